/** What hosted processes are to others: messages, groups, requests, monitors, hand-overs. Over the wire, and in the test kit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Down, OrreryError, Process, type Reply, Refused, call, cast, info } from "../src/index.js";
import { TestHost } from "../src/testing/index.js";
import { Fake } from "./fake.js";

const options = { timeout: 60_000 };

type Ask = { name?: string; to: string; word?: string; method?: string; argument?: any; timeoutMs?: number };

class Desk extends Process<unknown[]> {
  static override className = "desk";

  override init(key: string, argument: unknown) {
    this.state = argument === null ? [] : [key, argument];
  }
  @call join(group: string) {
    this.joinGroup(group);
  }
  @call leave(group: string) {
    this.leaveGroup(group);
  }
  @call tell({ to, word = "heard", argument }: Ask) {
    this.send(to, word, argument);
  }
  @call announce(argument: string) {
    this.publish("room/1", "heard", argument);
  }
  @call asks({ name = "heard", to, method = "get", argument, timeoutMs }: Ask) {
    this.request(name, to, method, argument, { timeoutMs });
  }
  @call watches({ name = "heard", to }: Ask) {
    this.monitor(name, to);
  }
  @call forgets(name: string) {
    this.demonitor(name);
  }
  @call later(name: string | null) {
    this.after(10, name ?? "heard", "tick");
  }
  @call rings(ms: any) {
    this.after(ms, "heard");
  }
  @call get() {
    return this.state;
  }
  @call holds() {
    this.replyLater();
  }
  @call crash() {
    throw new Error("oh");
  }
  @cast everything() {
    this.joinGroup("g");
    this.leaveGroup("g");
    this.send({ className: "mail", key: "ada" }, "hello", 1);
    this.publish("g", "said", { a: 1 });
    this.request("heard/stock", "stock/main", "take", [1]);
    this.request("heard", "n@1.2.3", "take", null, { timeoutMs: 1.5 });
    this.monitor("heard/other", "n@1.2.3");
    this.demonitor("other"); // one of an earlier version: nobody need hear of it
  }
  @info heard(argument: any) {
    this.state.push([this.message, this.source, this.source === "reply" ? said(argument) : argument]);
  }
  override handoff() {
    this.state.push("moved here");
  }
}

function said({ ok, error }: Reply): unknown {
  return error instanceof OrreryError ? [error.code, error.effect] : ok;
}

test("what a handler asks of others goes as effects, in order", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  assert.deepEqual((await fake.done("everything", null, "cast")).effects, [
    { join: "g" }, { leave: "g" }, { send: { to: "mail/ada", word: "hello", argument: 1 } }, { publish: { group: "g", word: "said", argument: { a: 1 } } },
    { call: { name: "heard/stock", to: "stock/main", method: "take", argument: [1] } }, { call: { name: "heard", to: "n@1.2.3", method: "take", argument: null, timeoutMs: 2 } },
    { monitor: { name: "heard/other", to: "n@1.2.3" } }, { demonitor: "other" },
  ]);
});

test("effects that cannot be are a crash that says so", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  for (const [method, argument, why] of [
    ["join", "", /the group has 0 bytes/], ["tell", { to: "cart" }, /names no process/], ["tell", { to: "cart/a", word: "key_lost" }, /a word of the system's/],
    ["watches", { name: "", to: "cart/a" }, /a monitor's name has 1 to 128 bytes/], ["asks", { to: "cart/a", timeoutMs: 0 }, /a timeout is over 0/],
    ["asks", { name: "x".repeat(129), to: "cart/a" }, /a request's name/], ["asks", { name: "nobody", to: "cart/a" }, /Desk has no @info 'nobody' for this request to come to; it has: heard/],
    ["watches", { name: "nobody", to: "cart/a" }, /for this monitor/], ["later", "nobody", /for this timer/],
  ] as const) assert.match((await fake.done(method, argument)).crash.text, why);
});

test("a time that is none of a timer is an error where it is set, and nothing of it is sent", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  assert.equal((await fake.done("rings", 1.5)).effects[0].timer.afterMs, 2);
  assert.match((await fake.done("rings", -1)).crash.text, /^RangeError: a timer is 0 to 34560000000 ms \(400 days\) ahead, not -1 \(relations\.test\.[jt]s:\d+\)/);
  assert.match((await fake.done("rings", "5")).crash.text, /^TypeError: a timer's time is a number of milliseconds, not a string /);
});

test("an info tells what it is, and a reply is a value or an error", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  const reason = { kind: "error", text: "oh" };
  for (const [source, argument, state] of [
    ["message", 5, ["heard/x", "message", 5]], ["timer", null, ["heard/x", "timer", null]], ["reply", { ok: 5 }, ["heard/x", "reply", 5]], ["reply", {}, ["heard/x", "reply", null]],
    ["reply", { error: { code: "not_found", text: "none", effect: "not_executed" } }, ["heard/x", "reply", ["not_found", "not_executed"]]],
    ["down", { pid: "n@1.2.3", reason }, ["heard/x", "down", { pid: "n@1.2.3", reason }]], ["down", { reason }, ["heard/x", "down", { pid: null, reason }]],
    ["down", { pid: "desk/b", reason }, ["heard/x", "down", { pid: null, reason }]],
  ] as const) assert.deepEqual((await fake.done("heard/x", argument, "info", { source })).state, [state]);
  assert.deepEqual((await fake.done("", null, "handoff")).state, ["moved here"]);
  assert.deepEqual((await fake.done("", { x: 1 }, "init")).state, ["a", { x: 1 }]);
  assert.deepEqual((await fake.done("", { x: 1 }, "init", { key: undefined })).state, ["", { x: 1 }]);
});

test("a hand-over is asked for where the sidecar knows of it, and else registered without", options, async () => {
  for (const [features, callbacks] of [[["host", "processes"], ["init", "handoff", "info"]], [["host"], ["init", "info"]]] as const) {
    await using fake = await Fake.start(undefined, 1024, [...features]);
    await using client = await fake.client();
    await client.host([Desk]);
    assert.deepEqual(fake.of("register")[0].callbacks, callbacks);
  }
});

test("messages are sent to names and pids that run, and to nobody else", async () => {
  const host = new TestHost(Desk);
  await host.call("b", "get");
  for (const to of ["desk/b", host.pid("b"), "desk/c", "mail/ada"]) await host.call("a", "tell", { to, argument: 1 });
  assert.deepEqual(host.state("b"), [["heard", "message", 1], ["heard", "message", 1]]);
  assert.deepEqual(host.sent.map(({ to }) => to), ["desk/b", host.pid("b"), "desk/c", "mail/ada"]);
  assert.deepEqual([host.sent[0]?.word, host.isRunning("c")], ["heard", false]);
  await host.info("b", "heard/x", 2);
  assert.deepEqual(host.state("b").at(-1), ["heard/x", "message", 2]);
  await host.call("b", "later");
  await host.advance(10);
  assert.deepEqual(host.state("b").at(-1), ["heard", "timer", "tick"]);
});

test("members of a group get what is published, until they have left as often as they joined", async () => {
  const host = new TestHost(Desk);
  for (const name of ["a", "a", "b"]) await host.call(name, "join", "room/1");
  assert.deepEqual([host.members("room/1"), host.groups("a")], [["desk/a", "desk/b"], ["room/1"]]);
  await host.call("a", "announce", "hello");
  assert.deepEqual(host.published, [{ group: "room/1", word: "heard", argument: "hello" }]);
  for (const name of ["a", "b"]) assert.deepEqual(host.state(name), [["heard", "message", "hello"]]);
  await host.call("a", "leave", "room/1");
  assert.equal(await host.publish("room/1", "heard", 2), 2);
  await host.call("a", "leave", "room/1");
  await host.kill("b");
  assert.deepEqual([await host.publish("room/1", "heard", 3), host.members("room/1"), host.state("b")], [0, [], []]);
});

test("requests are answered by processes and by stand-ins, without holding up who asks", async () => {
  const host = new TestHost(Desk);
  host.answer("stock", "take", (_key: string, count: number) => count * 2);
  host.answer("stock", "fail", new OrreryError("overloaded", "busy", "not_executed"));
  host.answer("stock", "refuse", () => {
    throw new Refused("conflict", "no");
  });
  for (const ask of [{ to: "desk/b" }, { to: "stock/x", method: "take", argument: 4 }, { to: "stock/x", method: "fail" }, { to: "stock/x", method: "refuse" }, { to: "desk/b", method: "crash" }, { to: "n@1.2.3" }]) {
    await host.call("a", "asks", ask);
  }
  assert.deepEqual(host.state<unknown[][]>("a").map(([, , what]) => what), [
    [], 8, ["overloaded", "not_executed"], ["conflict", "not_executed"], ["process_exited", "unknown"], ["not_found", "not_executed"],
  ]);
  await host.call("a", "asks", { name: "heard/late", to: "desk/b", method: "holds" });
  await host.advance(4999);
  assert.equal(host.state<unknown[]>("a").length, 6);
  await host.advance(1);
  assert.deepEqual(host.state<unknown[]>("a").at(-1), ["heard/late", "reply", ["deadline_exceeded", "unknown"]]);
});

test("monitors tell once of an end, and nothing where they are given up", async () => {
  const host = new TestHost(Desk);
  const downs = () => host.state<[string, string, Down][]>("a").map(([name, , { pid, reason }]) => [name, pid, reason.kind]);
  await host.call("b", "get");
  const pid = host.pid("b");
  await host.call("a", "watches", { name: "heard/b", to: "desk/b" });
  await host.call("a", "watches", { name: "heard/pid", to: pid });
  await host.call("a", "watches", { name: "heard/mail", to: "mail/ada" });
  await host.call("a", "forgets", "heard/pid");
  assert.deepEqual(host.monitors("a"), { "heard/b": "desk/b", "heard/mail": "mail/ada" });
  await assert.rejects(host.call("b", "crash"));
  await host.kill("b");
  assert.deepEqual(downs(), [["heard/b", pid, "error"]]);
  await host.down("mail/ada", "noconnection");
  for (const to of ["desk/nobody", pid]) await host.call("a", "watches", { to });
  assert.deepEqual(downs().slice(1), [["heard/mail", null, "noconnection"], ["heard", null, "noproc"], ["heard", pid, "noproc"]]);
});

test("a name that no info has is an error in the test kit too, and so is the end of who is watched by nobody", async () => {
  const host = new TestHost(Desk);
  for (const [method, argument] of [["later", "nobody"], ["asks", { name: "nobody", to: "desk/b" }], ["watches", { name: "nobody", to: "desk/b" }]] as const) {
    await assert.rejects(host.call("a", method, argument), /Desk has no @info 'nobody' for this (timer|request|monitor)/);
  }
  await assert.rejects(host.down("mail/ada"), /nobody watches 'mail\/ada'/);
  await host.call("b", "get");
  await host.call("a", "watches", { to: "desk/b" });
  await assert.rejects(host.down("desk/b"), /desk\/b is under test; end it with kill or stop/);
});

test("a process that is handed over hears so first, keeps its groups, and has neither monitors nor answers", async () => {
  const host = new TestHost(Desk);
  await host.call("a", "join", "g");
  await host.call("a", "asks", { name: "heard/late", to: "desk/b", method: "holds" });
  await host.call("a", "watches", { name: "heard/b", to: "desk/b" });
  await host.call("c", "watches", { to: "desk/a" });
  const before = host.pid("a");
  await host.handoff("a");
  assert.deepEqual(host.state("a"), ["moved here", ["heard/late", "reply", ["unavailable", "unknown"]]]);
  assert.deepEqual([host.members("g"), host.monitors("a")], [["desk/a"], {}]);
  assert.notEqual(host.pid("a"), before);
  assert.deepEqual(host.state("c"), [["heard", "down", { pid: before, reason: { kind: "moved", text: "" } }]]);
});
