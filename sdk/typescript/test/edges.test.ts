/** At the edges: texts that are no Unicode, hosts that end while their client goes on, a sidecar that does not read, waiting for nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HEADROOM } from "../src/asking.js";
import { Connection } from "../src/connection.js";
import { Process, Refused, call, cast, serve } from "../src/index.js";
import { Fake, has, logger } from "./fake.js";
import { until } from "./sidecar.js";

const HALF = "\ud83d"; // of a pair
const options = { timeout: 60_000 };

class Desk extends Process<unknown> {
  static override className = "desk";

  @call crash(text: string) {
    throw new Error(text);
  }
  @call refuseNow(text: string) {
    throw new Refused("conflict", text);
  }
  @call stopNow(text: string) {
    this.stop("error", text);
  }
  @call forget(name: string) {
    this.cancelTimer(name);
  }
  @call odd(what: string) {
    if (what === "untold") throw Object.create(null);
    throw new Refused("conflict", { toString: null } as never);
  }
  @cast refuseLater(effect: "unknown" | null) {
    this.refuse(3, effect ? new Refused("conflict", `a${HALF}`, effect) : new Refused("conflict", `a${HALF}`));
  }
  @call crawl() {
    return new Promise((resolve) => setTimeout(resolve, 500)); // and does not look at its signal
  }
  @call wait() {
    return new Promise((_, reject) => this.signal.addEventListener("abort", () => reject(this.signal.reason)));
  }
}
class Cart extends Desk {
  static override className = "cart";
}

test("texts that are no Unicode, or cut within a character, are answered all the same", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  assert.match((await fake.done("crash", "x")).crash.text, /^Error: x/);
  for (const odd of ["", "x"]) assert.match((await fake.done("crash", odd + "😀".repeat(600))).crash.text, /^Error: x?😀+/u);
  // No frame carries half a pair: handlers have it of their own.
  class Bad extends Desk {
    override crash(): never {
      throw new Error(`a${HALF}`);
    }
    override refuseNow(): never {
      throw new Refused("conflict", `a${HALF}`);
    }
    override stopNow() {
      this.stop("error", `a${HALF}`);
    }
    override forget() {
      this.cancelTimer(HALF);
    }
    static {
      for (const name of ["crash", "refuseNow", "stopNow", "forget"] as const) call(name)(this.prototype[name] as never, {} as never);
    }
  }
  await using again = await fake.client();
  await again.host([Bad]);
  assert.match((await fake.done("crash")).crash.text, /^Error: a\ufffd/);
  assert.equal((await fake.done("refuseNow")).error.text, "a\ufffd");
  assert.equal((await fake.done("stopNow")).stop.text, "a\ufffd");
  assert.match((await fake.done("forget")).crash.text, /valid Unicode/);
  assert.ok((await fake.done("odd", "untold")).crash);
  assert.ok((await fake.done("odd", "text")).crash);
});

test("the log names what a process crashed in", options, async (t) => {
  const said: string[] = [];
  t.mock.method(logger, "error", (text: string) => void said.push(text));
  class Shut extends Desk {
    static override className = "shut";
    override init() {
      throw new Error("no paper");
    }
  }
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Shut]);
  for (const [method, callback] of [["", "init"], ["crash", "call"]] as const) await fake.done(method, "oh", callback, { class: "shut" });
  assert.deepEqual(said.map((text) => text.split("\n")[0]), ["shut/a crashed in init: Error: no paper", "shut/a crashed in call crash: Error: oh"]);
});

test("who is refused later hears the effect that was said, or the sidecar's", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  await client.host([Desk]);
  assert.deepEqual((await fake.done("refuseLater", null, "cast")).effects, [{ reply: { to: 3, error: { code: "conflict", text: "a\ufffd" } } }]);
  assert.equal((await fake.done("refuseLater", "unknown", "cast")).effects[0].reply.error.effect, "unknown");
});

test("names and reasons that are no Unicode are refused before they are sent", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  const calls = [() => client.call(`desk/${HALF}`, "get"), () => client.call("desk/a", HALF)];
  const others = [() => client.kill("desk/a", HALF), () => client.events(HALF).open()];
  for (const ask of [...calls, ...others]) await assert.rejects(ask, has("invalid_argument", "not_executed"));
});

test("a host of which one class is refused takes the others back, and what comes late is crashed", options, async () => {
  await using fake = await Fake.start((frame, say) => {
    if (frame.type !== "register" || frame.class !== "cart") return false;
    say({ type: "result", id: frame.id, error: { code: "conflict", text: "no", effect: "not_executed" } });
    return true;
  });
  await using client = await fake.client();
  await assert.rejects(client.host([Desk, Cart]), has("conflict", "not_executed"));
  assert.equal((await fake.done("wait")).crash.text, "this app does not host class 'desk'");
  assert.deepEqual(fake.of("drain").map((frame) => frame.class), ["desk"]);
});

test("a host that is closed tells callers so, and leaves other hosts of its client alone", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  const [desk, cart] = [await client.host([Desk]), await client.host([Cart])];
  assert.match((await fake.done("crash", "x")).crash.text, /^Error: x/); // though the other host is asked first
  const work = { type: "work", class: "desk", key: "a", method: "wait", state: null };
  fake.tell({ ...work, work: 1, callback: "call" });
  fake.tell({ ...work, work: 2, callback: "call" });
  fake.tell({ type: "cancel", work: 2 });
  await until(() => fake.of("done").some((frame) => frame.work === 2));
  desk.close();
  const done = await until(() => fake.of("done").find((frame) => frame.work === 1));
  assert.deepEqual([done.error.code, done.error.effect, done.crash], ["unavailable", "unknown", undefined]);
  cart.close();
  await until(() => fake.of("drain").length === 2);
  assert.deepEqual(fake.of("drain").map((frame) => frame.class), ["desk", "cart"]);
});

test("registering takes as long as the sidecar does", options, async () => {
  await using fake = await Fake.start((frame, say) => {
    const again = fake.of("register").length > 1;
    const answer = again ? { error: { code: "already_exists", text: "it is", effect: "not_executed" } } : { ok: { state: "ready" } };
    if (frame.type === "register") setTimeout(say, 200, { type: "result", id: frame.id, ...answer });
    return frame.type === "register";
  });
  await using client = await fake.client();
  const { limit } = Connection.prototype;
  Connection.prototype.limit = function (id) {
    limit.call(this, id, 10);
  };
  try {
    await client.host([Desk]);
  } finally {
    Connection.prototype.limit = limit;
  }
});

test("registrations, subscriptions and drains have a place beside calls", options, async () => {
  await using fake = await Fake.start((frame) => frame.type === "call", HEADROOM + 2);
  await using client = await fake.client();
  const ended = Promise.allSettled(Array.from({ length: 5 }, () => client.call("desk/a", "get")));
  await until(() => fake.of("call").length === 2);
  await client.events().open();
  await (await client.host([Desk])).drain();
  assert.equal(fake.of("call").length, 2);
  await client.close();
  await ended;
});

test("a sidecar that does not read is waited for without harm", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  const warnings: string[] = [];
  const warned = (warning: Error) => warnings.push(warning.name);
  process.on("warning", warned);
  fake.sockets[0]?.pause();
  const argument = "x".repeat(1_000_000);
  try {
    for (;;) client.castNoWait("desk/a", "note", argument);
  } catch (problem) {
    assert.ok(has("overloaded", "not_executed")(problem));
  }
  const mine = new Error("mine");
  const abort = new AbortController();
  const given = client.call("desk/a", "get", null, { signal: abort.signal });
  const waiting = Array.from({ length: 20 }, () => client.call("desk/a", "get", null, { timeoutMs: 50_000 }));
  const all = Promise.allSettled(waiting);
  await assert.rejects(client.call("desk/a", "get", null, { timeoutMs: 20 }), has("deadline_exceeded", "not_executed"));
  abort.abort(mine);
  await assert.rejects(given, (problem) => problem === mine);
  const ending = client.close();
  fake.sockets[0]?.resetAndDestroy();
  for (const { reason } of (await all) as PromiseRejectedResult[]) assert.equal(reason.name, "OrreryError", String(reason));
  await ending;
  process.off("warning", warned);
  assert.deepEqual(warnings, []);
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout");
  assert.ok(timers.length < waiting.length, `${timers.length} timers are left, which keep the program alive`);
});

test("several may wait for events, and closing while it opens subscribes to nothing", options, async () => {
  await using fake = await Fake.start();
  await using client = await fake.client();
  const events = client.events();
  await events.open();
  const both = Promise.all([events.next(), events.next()]);
  const { id } = fake.of("subscribe")[0];
  for (const n of [1, 2]) fake.tell({ type: "event", id, event: "node_up", data: { n } });
  assert.deepEqual((await both).map(({ data }) => data["n"]), [1, 2]);
  events.close();
  const late = client.events();
  const opening = late.open();
  late.close();
  await assert.rejects(opening, has("unavailable", "not_executed"));
  await client.call("desk/a", "get"); // what is before it has arrived
  assert.equal(fake.of("subscribe").length, 1);
});

test("a loop over events ends when its client is closed, and not where the subscription was lost", options, async () => {
  await using fake = await Fake.start();
  const client = await fake.client();
  const [looped, asked, dropped] = [client.events(), client.events(), client.events()];
  for (const events of [looped, asked, dropped]) await events.open();
  const loop = async (events: AsyncIterable<{ type: string }>) => {
    const types: string[] = [];
    for await (const { type } of events) types.push(type);
    return types;
  };
  const id = fake.of("subscribe").map((frame) => frame.id);
  fake.tell({ type: "event", id: id[0], event: "node_up", data: {} }, { type: "closed", id: id[2] });
  await assert.rejects(loop(dropped), has("unavailable", "not_executed"));
  const [ended, next] = [loop(looped), asked.next()];
  next.catch(() => {});
  await client.cast("desk/a", "tell"); // what was said before has arrived
  await client.close();
  assert.deepEqual(await ended, ["node_up"]);
  await assert.rejects(next, has("unavailable", "not_executed"));
});

test("draining without a sidecar ends, and is a warning only where handlers were at work", options, async (t) => {
  const said: string[] = [];
  t.mock.method(logger, "warn", (text: string) => void said.push(text));
  for (const busy of [false, true]) {
    await using fake = await Fake.start(({ type }) => type === "drain");
    await using client = await fake.client();
    const host = await client.host([Desk]);
    if (busy) fake.tell({ type: "work", work: 1, class: "desk", key: "a", callback: "call", method: "crawl", argument: null, state: null });
    await client.cast("desk/a", "tell"); // what was said before has arrived
    const drained = host.drain();
    await until(() => fake.of("drain").length === 1);
    fake.sockets[0]?.destroy();
    assert.equal(await drained, !busy);
  }
  const about = said.filter((text) => /drain|handlers/.test(text));
  assert.deepEqual(about, ["the connection to the sidecar was lost while 1 handlers were at work: their processes have ended"]);
});

test("serve with a signal that was aborted before ends, also without a sidecar", options, async () => {
  await serve([Desk], { address: "/nowhere/sdk.sock", signal: AbortSignal.abort(), logger });
});

test("a sidecar that is not there is said once", options, async () => {
  const lines: string[] = [];
  const logger = { debug() {}, info() {}, warn: (line: string) => void lines.push(line), error() {} };
  class Empty extends Process<null> {
    static override className = "empty";
  }
  await serve([Empty], { address: "/nowhere/sdk.sock", signal: AbortSignal.timeout(300), logger });
  assert.equal(lines.filter((line) => line.startsWith("no connection to the sidecar at unix:/nowhere/sdk.sock: ")).length, 1);
});
