/** Client processes, monitors and linked tasks: what goes over the wire, and what is heard of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { type ClientProcess, OrreryError, ProcessExit, type ProcessMessage } from "../src/index.js";
import { Fake, has } from "./fake.js";
import { until } from "./sidecar.js";

const options = { timeout: 60_000 };
const PID = "n@1.2.3";
const pidOf = (process: number) => `n@1.0.${process}`;
const plain = (process: number, word: string, argument: unknown = null) => ({ type: "message", process, kind: "plain", word, argument });
const exit = (process: number, kind: string, text = "") => ({ type: "message", process, kind: "exit", from: PID, reason: { kind, text } });
const dropped = (process: number, count: number) => ({ type: "message", process, kind: "dropped", count });
const down = (process: number, monitor: number, kind: string) => ({ type: "message", process, kind: "down", monitor, from: PID, reason: { kind, text: "" } });

/** Opens processes; `ok` are the results of other requests, by type, and `behind` what comes right behind one. */
function answers(ok: Record<string, unknown> = {}, behind: (frame: any) => any[] = () => []): Parameters<typeof Fake.start>[0] {
  return (frame, say) => {
    const result = frame.type === "open" ? { pid: pidOf(frame.process) } : ok[frame.type];
    if (result === undefined) return false;
    say({ type: "result", id: frame.id, ok: result }, ...behind(frame));
    return true;
  };
}

async function read(process: ClientProcess, count: number): Promise<ProcessMessage[]> {
  const found: ProcessMessage[] = [];
  while (found.length < count) found.push((await process.next()) as ProcessMessage);
  return found;
}

test("a client process has its pid, and misses no message that comes right behind it", options, async () => {
  await using fake = await Fake.start(answers({}, ({ type, process }) => (type === "open" ? [plain(process, "hello", 5)] : [])));
  await using client = await fake.client();
  const [one, two] = [await client.process(), await client.process()];
  assert.deepEqual([one.pid, two.pid], [pidOf(1), pidOf(2)]);
  assert.deepEqual(fake.of("open").map(({ process, credit }) => [process, credit]), [[1, 100], [2, 100]]);
  assert.deepEqual(await one.next(), { kind: "plain", word: "hello", argument: 5 });
});

test("a down that had come is dropped when its monitor is given up", options, async () => {
  const behind = ({ type, process }: any) => (type === "monitor" ? [down(process, 7, "noproc"), plain(process, "hello")] : []);
  await using fake = await Fake.start(answers({ monitor: { monitor: 7 }, demonitor: {} }, behind));
  await using client = await fake.client();
  const process = await client.process();
  await process.demonitor(await process.monitor("cart/a"));
  assert.deepEqual(await process.next(), { kind: "plain", word: "hello", argument: null });
});

test("every act is a request of the process, and gives what the document says", options, async () => {
  await using fake = await Fake.start(answers({
    call: "reply", publish: { members: 3 }, spawn: { pid: PID, monitor: 4 }, monitor: { monitor: 7 }, leave: { member: true }, watch: { pids: [PID] }, release: { held: true },
  }));
  await using client = await fake.client();
  const process = await client.process();
  const acts: [() => Promise<unknown>, unknown, object][] = [
    [() => process.call("cart/a", "add", 1, { timeoutMs: 5000 }), "reply", { type: "call", to: "cart/a", method: "add", argument: 1, timeoutMs: 5000 }],
    [() => process.call(PID, "add"), "reply", { type: "call", to: PID, method: "add", argument: null }],
    [() => process.cast({ className: "cart", key: "a/b" }, "note", 1), undefined, { type: "cast", to: "cart/a/b", method: "note", argument: 1 }],
    [() => process.send(PID, "hello", { a: 1 }), undefined, { type: "send", to: PID, word: "hello", argument: { a: 1 } }],
    [() => process.send(PID, "w".repeat(255)), undefined, { type: "send", to: PID, word: "w".repeat(255), argument: null }],
    [() => process.publish("room/1", "said", "x"), 3, { type: "publish", group: "room/1", word: "said", argument: "x" }],
    [() => process.spawn("cart", 5, { link: true, monitor: true }), { pid: PID, monitor: 4 }, { type: "spawn", class: "cart", argument: 5, link: true, monitor: true }],
    [() => process.monitor("cart/a"), 7, { type: "monitor", to: "cart/a" }],
    [() => process.demonitor(7), undefined, { type: "demonitor", monitor: 7 }],
    [() => process.link(PID), undefined, { type: "link", to: PID }],
    [() => process.unlink(PID), undefined, { type: "unlink", to: PID }],
    [() => process.exit(PID, { kind: "kill" }), undefined, { type: "exit", to: PID, reason: { kind: "kill", text: "" } }],
    [() => process.join("g"), undefined, { type: "join", group: "g" }],
    [() => process.leave("g"), true, { type: "leave", group: "g" }],
    [() => process.watch("g"), [PID], { type: "watch", group: "g" }],
    [() => process.unwatch("g"), undefined, { type: "unwatch", group: "g" }],
    [() => process.claim("k", { value: 1, in: "node_unique", timeoutMs: 100 }), undefined, { type: "claim", key: "k", value: 1, in: "node_unique", timeoutMs: 100 }],
    [() => process.update("k", 2), undefined, { type: "update", key: "k", value: 2 }],
    [() => process.release("k"), true, { type: "release", key: "k" }],
    [() => process.close({ kind: "error", text: "boom" }), undefined, { type: "close", reason: { kind: "error", text: "boom" } }],
  ];
  for (const [act, gives, frame] of acts) {
    assert.deepEqual(await act(), gives);
    const { id: _, timeoutMs, in: space, ...heard } = fake.heard.at(-1);
    const sent = { ...heard, ...(timeoutMs !== undefined && { timeoutMs }), ...(space && { in: space }) };
    assert.deepEqual(sent, { ...frame, process: 1 });
  }
});

test("what names nobody is refused before it is sent", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  const bad = [
    () => process.send("cart", "w"), () => process.monitor(""), () => process.link("/x"), () => process.send(PID, "key_lost"), () => process.join(""), () => process.join("g".repeat(256)),
    () => process.call(PID, ""), () => client.monitor("cart"), () => client.link("cart", () => 1), () => client.publish("g", "group_left"), () => client.start("cart"),
    () => client.start("cart/a", { timeoutMs: 0 }), () => process.send(PID, "w", new Map() as never),
  ];
  for (const act of bad) await assert.rejects(act, has("invalid_argument", "not_executed"), String(act));
  assert.deepEqual(fake.heard.map(({ type }) => type), ["hello", "open"]);
});

test("credit is given as messages are read, and not before", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  fake.tell(...Array.from({ length: 100 }, (_, n) => plain(1, "n", n)));
  assert.deepEqual((await read(process, 49)).map((message) => (message as { argument: number }).argument), Array.from({ length: 49 }, (_, n) => n));
  await process.join("g"); // what was said before has arrived
  assert.deepEqual(fake.of("credit"), []);
  await read(process, 51);
  await process.join("g");
  assert.deepEqual(fake.of("credit"), [{ type: "credit", process: 1, add: 50 }, { type: "credit", process: 1, add: 50 }]);
});

test("messages of a kind that is not known are passed over, and their credit is given back", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  fake.tell(...Array.from({ length: 50 }, () => ({ type: "message", process: 1, kind: "postcard" })), plain(1, "w"));
  assert.deepEqual(await process.next(), { kind: "plain", word: "w", argument: null });
  await until(() => fake.of("credit").length === 1);
});

test("how many messages were dropped is told in their place, for one credit", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  fake.tell(plain(1, "before"), dropped(1, 12), exit(1, "error"), ...Array.from({ length: 48 }, () => dropped(1, 1)));
  const [before, told, end, ...others] = await read(process, 51);
  assert.deepEqual([before?.kind, told, end?.kind, others.length], ["plain", { kind: "dropped", count: 12 }, "exit", 48]);
  await until(() => fake.of("credit").length === 1);
  assert.deepEqual(fake.of("credit"), [{ type: "credit", process: 1, add: 50 }]);
});

test("monitors and linked tasks go on over what was dropped, and give its credit back", options, async () => {
  await using fake = await Fake.start(watching());
  await using client = await fake.client();
  const monitor = await client.monitor("cart/a");
  const heard: { signal?: AbortSignal } = {};
  const ended = client.link("cart/a", ({ signal }) => {
    heard.signal = signal;
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  ended.catch(() => {});
  await until(() => heard.signal);
  fake.tell(...[1, 2].flatMap((process) => Array.from({ length: 60 }, () => dropped(process, 1000))));
  await until(() => fake.of("credit").length === 2);
  assert.deepEqual([inspect(monitor), heard.signal?.aborted], ["Monitor <cart/a, watched>", false]);
  fake.tell(down(1, 1, "error"), exit(2, "error"));
  assert.equal((await monitor.down).reason.kind, "error");
  await assert.rejects(ended, ProcessExit);
});

test("waiting for a message ends in time, or with a signal, and loses none", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  await assert.rejects(process.next({ timeoutMs: 10 }), has("deadline_exceeded", "not_executed"));
  await assert.rejects(process.next({ signal: AbortSignal.timeout(10) }), { name: "TimeoutError" });
  const waiting = [process.next(), process.next()];
  fake.tell(plain(1, "a"), plain(1, "b"));
  assert.deepEqual((await Promise.all(waiting)).map((message) => (message as { word: string }).word), ["a", "b"]);
});

test("a client process that is closed ends its iteration after what had come, and acts no more", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const words: string[] = [];
  let process: ClientProcess;
  {
    await using scoped = await client.process();
    process = scoped;
    fake.tell(plain(1, "a"), plain(1, "b"));
    await scoped.join("g");
  }
  for await (const message of process) words.push((message as { word: string }).word);
  assert.deepEqual([words, process.ended], [["a", "b"], { kind: "normal", text: "" }]);
  await process.close();
  await assert.rejects(process.join("g"), has("unavailable", "not_executed"));
  assert.deepEqual(fake.heard.map(({ type }) => type), ["hello", "open", "join", "close"]);
});

test("a close that is refused leaves the process open", options, async () => {
  await using fake = await Fake.start((frame, say) => {
    const first = frame.type === "close" && fake.of("close").length === 1;
    if (first) say({ type: "result", id: frame.id, error: { code: "invalid_argument", text: "no", effect: "not_executed" } });
    return first || answers()!(frame, say);
  });
  await using client = await fake.client();
  const process = await client.process();
  await assert.rejects(process.close({ kind: "kill" as never }), has("invalid_argument", "not_executed"));
  await process.join("g");
  await process.close();
  assert.equal(process.ended?.kind, "normal");
});

test("a client process that is killed says so", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  const process = await client.process();
  fake.tell(plain(1, "last"), { type: "ended", process: 1, reason: { kind: "killed", text: "enough" } });
  assert.deepEqual([await process.next(), await process.next()], [{ kind: "plain", word: "last", argument: null }, undefined]);
  assert.deepEqual(process.ended, { kind: "killed", text: "enough" });
  await assert.rejects(process.send(PID, "w"), (problem) => has("unavailable", "not_executed")(problem) && /killed: enough/.test(String(problem)));
  await process.close();
  assert.deepEqual(fake.of("close"), []);
});

test("client processes end with their connection, and new ones are opened on the next", options, async () => {
  await using fake = await Fake.start((frame, say) => frame.type === "join" || answers()!(frame, say));
  await using client = await fake.client();
  const process = await client.process();
  const joining = process.join("g");
  fake.tell(plain(1, "last"));
  await until(() => fake.of("join").length === 1);
  fake.sockets[0]?.end();
  await assert.rejects(joining, has("unavailable", "unknown"));
  assert.deepEqual([(await process.next())?.kind, await process.next(), process.ended?.kind], ["plain", undefined, "noconnection"]);
  await assert.rejects(process.join("g"), has("unavailable", "not_executed"));
  await process.close();
  assert.equal((await client.process()).pid, pidOf(2));
  assert.deepEqual(fake.of("close"), []);
});

test("an act whose connection has ended is not tried again", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client({ attempts: 100 });
  const process = await client.process();
  fake.sockets[0]?.destroy();
  await assert.rejects(process.send(PID, "w"), (problem) => problem instanceof OrreryError && problem.code === "unavailable");
  await assert.rejects(process.send(PID, "w"), has("unavailable", "not_executed"));
});

test("a process that nobody waits for any more as it is opened is closed", options, async () => {
  await using fake = await Fake.start(({ type }) => type === "open");
  await using client = await fake.client();
  await assert.rejects(client.process({ signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
  await until(() => fake.of("close").length === 1);
  assert.equal(fake.of("close")[0].process, 1);
});

test("a sidecar without processes is told to be too old, and is sent nothing", options, async () => {
  await using fake = await Fake.start(undefined, 1024, ["host", "events"]);
  await using client = await fake.client();
  const asks = [
    () => client.process(), () => client.monitor("a/b"), () => client.link("a/b", () => 1), () => client.start("a/b"), () => client.publish("g", "w"), () => client.group("g"),
    () => client.groups(), () => client.registry(), () => client.lookup("k"),
  ];
  for (const ask of asks) await assert.rejects(ask, (problem) => has("unavailable", "not_executed")(problem) && /too old/.test(String(problem)), String(ask));
  assert.deepEqual(fake.heard.map(({ type }) => type), ["hello"]);
});

/** Numbers monitors from 1, and says at once that `cart/none` does not run. */
function watching(): Parameters<typeof Fake.start>[0] {
  let monitor = 0;
  return (frame, say) => {
    if (frame.type !== "monitor") return answers()!(frame, say);
    monitor += 1;
    say({ type: "result", id: frame.id, ok: { monitor } }, ...(frame.to === "cart/none" ? [{ ...down(1, monitor, "noproc"), from: undefined }] : []));
    return true;
  };
}

test("monitors share a process, and each tells once", options, async () => {
  await using fake = await Fake.start(watching());
  await using client = await fake.client();
  const [one, none, two] = await Promise.all([client.monitor("cart/a"), client.monitor("cart/none"), client.monitor(PID)]);
  assert.deepEqual(fake.of("open").length, 1);
  assert.deepEqual(await none.down, { pid: null, reason: { kind: "noproc", text: "" } });
  fake.tell(down(1, 1, "error"));
  assert.deepEqual(await one.down, { pid: PID, reason: { kind: "error", text: "" } });
  await one.cancel();
  await two.cancel();
  await assert.rejects(two.down, has("cancelled", "not_executed"));
  assert.deepEqual(fake.of("demonitor").map((frame) => frame.monitor), [3]);
});

test("monitors tell of a lost connection, and new ones are made on the next", options, async () => {
  await using fake = await Fake.start(watching());
  await using client = await fake.client();
  const [byName, byPid] = [await client.monitor("cart/a"), await client.monitor(PID)];
  fake.sockets[0]?.destroy();
  assert.deepEqual([(await byPid.down).pid, (await byPid.down).reason.kind], [PID, "noconnection"]);
  assert.equal((await byName.down).pid, null);
  await byName.cancel();
  const again = await client.monitor("cart/a");
  fake.tell(down(2, 3, "normal"));
  assert.equal((await again.down).reason.kind, "normal");
  assert.deepEqual(fake.of("demonitor"), []);
});

/** A linked task that waits, what its signal said, and what came of it. */
async function linked(fake: Fake, outside?: AbortSignal, returns?: Promise<unknown>) {
  const client = await fake.client();
  const heard: { signal?: AbortSignal; pid?: string } = {};
  const ended = client.link("cart/a", ({ signal, pid }) => {
    Object.assign(heard, { signal, pid });
    return returns ?? new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("as it was told to"))));
  }, { signal: outside });
  ended.catch(() => {});
  await until(() => heard.signal);
  return { client, heard, ended, [Symbol.asyncDispose]: () => client.close() };
}
const closedWith = async (fake: Fake) => (await until(() => fake.of("close")[0])).reason;

test("a task whose process ends is told so, and who waits hears why", options, async () => {
  await using fake = await Fake.start(answers());
  await using task = await linked(fake);
  assert.deepEqual([fake.of("link")[0].to, task.heard.pid], ["cart/a", pidOf(1)]);
  fake.tell(exit(1, "normal"), plain(1, "nothing"), exit(1, "error", "boom"));
  await assert.rejects(task.ended, (problem) => problem instanceof ProcessExit && problem === task.heard.signal?.reason);
  const { reason, pid, code, effect } = task.heard.signal?.reason as ProcessExit;
  assert.deepEqual([reason, pid, code, effect], [{ kind: "error", text: "boom" }, PID, "process_exited", "unknown"]);
  assert.deepEqual(await closedWith(fake), { kind: "error", text: "error: boom" });
});

test("a task that fails, returns or is given up ends its links with error, normal or shutdown", options, async () => {
  const mine = new Error("mine");
  const outside = AbortSignal.abort.bind(AbortSignal);
  const abort = new AbortController();
  for (const [returns, signal, closes, expected] of [
    [Promise.reject(mine), undefined, { kind: "error", text: "mine" }, mine],
    [Promise.resolve(5), undefined, { kind: "normal", text: "" }, 5],
    [undefined, abort.signal, { kind: "shutdown", text: "mine" }, mine],
  ] as const) {
    await using fake = await Fake.start(answers());
    returns?.catch(() => {});
    await using task = await linked(fake, signal, returns);
    if (signal) abort.abort(mine);
    assert.equal(await task.ended.catch((problem) => problem), expected);
    assert.deepEqual(await closedWith(fake), closes);
  }
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  await assert.rejects(client.link("cart/a", () => assert.fail("it began"), { signal: outside(mine) }), (problem) => problem === mine);
});

test("a task whose connection is lost, or whose own process is killed, is told so", options, async () => {
  for (const [end, kind, code] of [
    [(fake: Fake) => fake.sockets[0]?.destroy(), "noconnection", "unavailable"],
    [(fake: Fake) => fake.tell({ type: "ended", process: 1, reason: { kind: "killed", text: "" } }), "killed", "process_exited"],
  ] as const) {
    await using fake = await Fake.start(answers());
    await using task = await linked(fake);
    end(fake);
    await assert.rejects(task.ended, (problem) => problem instanceof ProcessExit && problem.reason.kind === kind && problem.code === code);
  }
});

test("a task whose link is refused does not begin", options, async () => {
  await using fake = await Fake.start((frame, say) => {
    if (frame.type !== "link") return answers()!(frame, say);
    say({ type: "result", id: frame.id, error: { code: "overloaded", text: "no", effect: "not_executed" } });
    return true;
  });
  await using client = await fake.client();
  await assert.rejects(client.link("cart/a", () => assert.fail("it began")), has("overloaded", "not_executed"));
  assert.equal((await closedWith(fake)).kind, "error");
});

/** Answers links, and what is asked behind them: the exit of nobody comes late, as from another node. `code` is what that node says of the process. */
function nobody(code: string): Parameters<typeof Fake.start>[0] {
  return (frame, say) => {
    if (frame.type !== "inspect") return answers({ link: {}, demonitor: {} }, ({ type, to }) => (type === "link" && to === PID ? [exit(1, "noproc")] : []))!(frame, say);
    say({ type: "result", id: frame.id, error: { code, text: "no", effect: "not_executed" } });
    if (code === "not_found") setTimeout(say, 50, exit(1, "noproc"));
    return true;
  };
}

test("a task whose process does not run does not begin, however late its exit comes", options, async () => {
  for (const to of ["cart/a", PID]) {
    await using fake = await Fake.start(nobody("not_found"));
    await using client = await fake.client();
    const begun = () => assert.fail("it began");
    await assert.rejects(client.link(to, begun), (problem) => problem instanceof ProcessExit && problem.reason.kind === "noproc");
    assert.deepEqual(fake.of("inspect").map(({ class: className, key }) => [className, key]), to === PID ? [] : [["cart", "a"]]);
    assert.equal((await closedWith(fake)).kind, "error");
  }
});

test("a task whose process cannot be looked at begins, and hears of its end", options, async () => {
  await using fake = await Fake.start(nobody("unavailable"));
  await using task = await linked(fake);
  fake.tell(exit(1, "noproc"));
  await assert.rejects(task.ended, (problem) => problem instanceof ProcessExit && problem.reason.kind === "noproc");
});

test("a task that is given up while its process is looked at does not begin", options, async () => {
  await using fake = await Fake.start((frame, say) => frame.type === "inspect" || answers()!(frame, say));
  await using client = await fake.client();
  const mine = new Error("mine");
  const abort = new AbortController();
  const ended = client.link("cart/a", () => assert.fail("it began"), { signal: abort.signal });
  await until(() => fake.of("inspect").length === 1);
  abort.abort(mine);
  await assert.rejects(ended, (problem) => problem === mine);
  assert.equal((await closedWith(fake)).kind, "shutdown");
});

test("what is no function is no task, and nothing is sent for it", options, async () => {
  await using fake = await Fake.start(answers());
  await using client = await fake.client();
  for (const task of [Promise.resolve(1), undefined, null, "task"]) await assert.rejects(client.link("cart/a", task as never), { name: "TypeError", message: /link takes a function/ });
  assert.deepEqual(fake.heard.map(({ type }) => type), ["hello"]);
});

test("an exit names what was linked, and says where it did not run or lives on", options, async () => {
  for (const [from, kind, pid, text] of [
    [PID, "error", PID, `cart/a (${PID}) exited, error: boom`], ["cart/a", "noproc", null, "cart/a did not run, and a link starts nothing; client.start does"],
    [PID, "moved", PID, `cart/a (${PID}) has moved to another node, where it lives on; link with it anew`], [PID, "noconnection", PID, `cart/a (${PID}) cannot be seen any more: boom`],
  ] as const) {
    await using fake = await Fake.start(answers());
    await using task = await linked(fake);
    fake.tell({ ...exit(1, kind, "boom"), from });
    await assert.rejects(task.ended, (problem) => problem instanceof ProcessExit && problem.pid === pid && problem.text === text);
  }
});

test("client processes and monitors are shown with their state", options, async () => {
  await using fake = await Fake.start(watching());
  await using client = await fake.client();
  const [process, one, none] = [await client.process(), await client.monitor("cart/a"), await client.monitor("cart/b")];
  assert.deepEqual([process, one].map((each) => inspect(each)), ["ClientProcess <n@1.0.1, open>", "Monitor <cart/a, watched>"]);
  fake.tell({ type: "ended", process: 1, reason: { kind: "killed", text: "enough" } }, { ...down(2, 1, "error"), from: "cart/a" });
  assert.equal((await one.down).pid, null);
  await none.cancel();
  assert.deepEqual([process, one, none].map((each) => inspect(each)), ["ClientProcess <n@1.0.1, ended, killed: enough>", "Monitor <cart/a, down, error>", "Monitor <cart/b, cancelled>"]);
});

test("starting, groups and keys are asked for by their names", options, async () => {
  const [groups, group, registry] = [{ groups: [], truncated: false }, { group: "g", members: [], truncated: false }, { entries: [], truncated: true }];
  await using fake = await Fake.start(answers({ start: { pid: PID }, publish: { members: 2 }, groups, group, registry, lookup: { entries: [{ key: "k", pid: PID, value: 1 }] } }));
  await using client = await fake.client();
  assert.equal(await client.start("cart/a", { timeoutMs: 700 }), PID);
  assert.equal(await client.publish("g", "said", { a: 1 }), 2);
  assert.deepEqual([await client.groups({ prefix: "g" }), await client.group("g"), await client.registry({ limit: 5 })], [groups, group, registry]);
  assert.deepEqual(await client.lookup("k", "node_unique"), [{ key: "k", pid: PID, value: 1 }]);
  assert.deepEqual(fake.heard.slice(1).map(({ id: _, ...frame }) => frame), [
    { type: "start", class: "cart", key: "a", timeoutMs: 700 }, { type: "publish", group: "g", word: "said", argument: { a: 1 } }, { type: "groups", prefix: "g", limit: 1000 },
    { type: "group", group: "g" }, { type: "registry", prefix: "", limit: 5 }, { type: "lookup", key: "k", in: "node_unique" },
  ]);
});
