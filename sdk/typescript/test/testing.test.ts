/** The test kit: processes without a sidecar, on a fake clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError, Process, type Reason, Refused, call, cast, info } from "../src/index.js";
import { TestHost } from "../src/testing/index.js";

interface CartState {
  items: unknown[];
  waiting: number | null;
}

class Cart extends Process<CartState> {
  static override className = "cart";

  override init(key: string) {
    if (key === "closed") throw new Error("closed");
    this.state = { items: [], waiting: null };
  }
  @call async add(item: unknown) {
    this.after(3_600_000, "remind");
    return this.state.items.push(item);
  }
  @call total() {
    return this.state.items.length;
  }
  @call async checkout({ stock }: { stock: string }) {
    const left = await this.call(stock, "take", this.state.items as string[], { timeoutMs: 5000 });
    this.cancelTimer("remind");
    this.cast(`mail/${this.key}`, "send", left);
    return left;
  }
  @call wait() {
    this.state.waiting = this.replyLater();
  }
  @cast wake(value: string) {
    if (this.state.waiting !== null) this.reply(this.state.waiting, value);
  }
  @call crash() {
    throw new Error("oh");
  }
  @call full() {
    throw new Refused("conflict", "full");
  }
  @call odd(what: string) {
    if (what === "state") this.state = new Map() as never;
    if (what === "twice") {
      this.replyLater();
      return 1;
    }
    if (what === "token") this.reply("me" as never);
    if (what === "late") setTimeout(() => assert.throws(() => this.cast("a/b", "c"), /has ended/));
    return what === "reply" ? new Date() : null;
  }
  @call leave() {
    this.stop("normal", "done");
  }
  @call then_() {
    this.continue(5);
  }
  override handleContinue(value: number) {
    this.state.items.push(value);
  }
  @info remind() {
    this.cast(`mail/${this.key}`, "send", "you forgot something");
    this.after(60_000, "remind");
  }
  override terminate({ text }: Reason) {
    this.cast(`mail/${this.key}`, "bye", text);
  }
}

class Stock extends Process<{ caller?: number; note?: unknown }> {
  static override className = "stock";

  override init() {
    this.state = {};
  }
  @call take(items: unknown[]) {
    if (this.key === "slow") {
      this.state.caller = this.replyLater();
      this.after(2000, "answer");
      return undefined;
    }
    if (this.key === "never") return void this.replyLater();
    return 10 - items.length;
  }
  @info answer() {
    if (this.state.caller !== undefined) this.reply(this.state.caller, "late");
  }
  @cast note(value: unknown) {
    this.state.note = value;
  }
}

const ends = (code: string, effect: string, text = "") => (problem: unknown) =>
  problem instanceof OrreryError && problem.code === code && problem.effect === effect && problem.text.includes(text);

test("messages are handled and states are kept", async () => {
  const host = new TestHost(Cart);
  assert.equal(host.isRunning("ada"), false);
  assert.equal(await host.call("ada", "add", "pen"), 1);
  assert.equal(await host.call("cart/ada", "add", "ink"), 2);
  assert.deepEqual(host.state("ada"), { items: ["pen", "ink"], waiting: null });
  assert.ok(host.isRunning("ada"));
});

test("time passes only when it is told to", async () => {
  const host = new TestHost(Cart);
  await host.call("ada", "add", "pen");
  assert.deepEqual(host.timers("ada"), { remind: 3_600_000 });
  await host.advance(3_599_999);
  assert.deepEqual(host.casts, []);
  await host.advance(1);
  assert.deepEqual(host.casts, [{ to: "mail/ada", method: "send", argument: "you forgot something" }]);
  await host.advance(120_000);
  assert.deepEqual([host.casts.length, host.now], [3, 3_720_000]);
  for (const ms of [-1, NaN]) await assert.rejects(host.advance(ms), { name: "RangeError", message: `time passes by some milliseconds, not by ${ms}` });
});

test("processes talk to each other, and to stand-ins", async () => {
  const host = new TestHost(Cart, Stock);
  await host.call("cart/ada", "add", "pen");
  assert.equal(await host.call("cart/ada", "checkout", { stock: "stock/here" }), 9);
  assert.deepEqual(host.timers("cart/ada"), {});
  await host.cast("stock/here", "note", "hello");
  assert.deepEqual(host.state("stock/here"), { note: "hello" });
  await assert.rejects(host.call("warehouse/x", "take"), /say host.answer/);
  host.answer("warehouse", "take", (key: string, items: unknown[]) => `${key}:${items.length}`);
  assert.equal(await host.call("cart/ada", "checkout", { stock: "warehouse/x" }), "x:1");
  host.answer("warehouse", "take", new OrreryError("overloaded", "busy", "not_executed"));
  await assert.rejects(host.call("cart/ada", "checkout", { stock: "warehouse/x" }), ends("process_exited", "unknown", "overloaded: busy"));
  await assert.rejects(host.call("cart/ada", "checkout", { stock: "cart/ada" }), /would wait for itself/);
});

test("answers come later, and deadlines pass", async () => {
  const host = new TestHost(Cart, Stock);
  const asking = host.call("cart/ada", "checkout", { stock: "stock/slow" });
  let answered = false;
  void asking.then(() => (answered = true));
  await host.advance(1000);
  assert.equal(answered, false);
  await host.advance(1000);
  assert.equal(await asking, "late");
  const waiting = host.call("cart/ada", "wait");
  await host.settle();
  await host.cast("cart/ada", "wake", "now");
  assert.equal(await waiting, "now");
  const late = assert.rejects(host.call("cart/ada", "wait", null, { timeoutMs: 3000 }), ends("deadline_exceeded", "unknown"));
  await host.advance(3000);
  await late;
  const never = assert.rejects(host.call("cart/ada", "checkout", { stock: "stock/never" }), /deadline_exceeded/);
  const waits = assert.rejects(host.call("cart/ada", "total", null, { timeoutMs: 1000 }), ends("deadline_exceeded", "not_executed"));
  await host.advance(6000);
  await Promise.all([never, waits]);
});

test("processes end and restart as in a mesh", async () => {
  const host = new TestHost(Cart);
  await host.call("ada", "add", "pen");
  await assert.rejects(host.call("ada", "crash"), /Error: oh \(testing\.test\.[jt]s:\d+\)/);
  assert.deepEqual([host.state("ada").items, host.timers("ada")], [[], {}]);
  await assert.rejects(host.call("ada", "full"), ends("conflict", "not_executed", "full"));
  for (const [what, why] of [["state", "the state cannot be sent: Map is no plain data at the top; "], ["state", " (Cart.odd)"], ["reply", "the reply cannot be sent: Date"], ["twice", "left its caller waiting"], ["token", "a caller's token"]] as const) {
    await assert.rejects(host.call("ada", "odd", what), ends("process_exited", "unknown", why));
  }
  await host.call("ada", "odd", "late");
  await host.kill("ada");
  await host.call("ada", "leave");
  assert.equal(host.isRunning("ada"), false);
  assert.deepEqual(host.casts, [{ to: "mail/ada", method: "bye", argument: "done" }]);
  await host.call("ada", "add", "x");
  await host.stop("ada", "shutdown", "away");
  assert.equal(host.casts.at(-1)?.argument, "away");
  assert.deepEqual(host.exits.map(({ kind }) => kind), ["error", "error", "error", "error", "error", "error", "killed", "normal", "shutdown"]);
  await assert.rejects(host.call("closed", "add"), /closed/);
  assert.equal(host.isRunning("closed"), false);
});

test("what continues comes before other messages", async () => {
  const host = new TestHost(Cart);
  await Promise.all([host.call("ada", "then_"), host.call("ada", "add", "pen")]);
  assert.deepEqual(host.state("ada").items, [5, "pen"]);
});

test("only what could be sent is taken", async () => {
  const host = new TestHost(Cart);
  await assert.rejects(host.call("ada", "add", new Set() as never), ends("invalid_argument", "not_executed"));
  await assert.rejects(host.call("ada", "nix"), ends("not_found", "not_executed"));
  await assert.rejects(host.cast("ada", "nix"), ends("not_found", "not_executed", "class 'cart' has no method 'nix' for a cast; it has: wake"));
  await assert.rejects(host.cast("ada", "add", 1), ends("not_found", "not_executed"));
  assert.ok(!host.isRunning("ada"));
  assert.throws(() => host.state("bob"), ends("not_found", "not_executed"));
});

test("a newer version brings states along", async () => {
  class Newer extends Cart {
    static override stateVersion = 2;
    override codeChange(fromVersion: number) {
      this.state.items = this.state.items.map((item) => ({ item, fromVersion }));
    }
  }
  const host = new TestHost(Cart);
  await host.call("ada", "add", "pen");
  host.upgrade(Newer);
  assert.equal(await host.call("ada", "total"), 1);
  assert.deepEqual(host.state("ada").items, [{ item: "pen", fromVersion: 0 }]);
});

test("a call that a handler does not await is said where it fails, and ends nothing", async (t) => {
  const lines: string[] = [];
  t.mock.method(console, "warn", (line: string) => void lines.push(line));
  class Careless extends Process<null> {
    static override className = "careless";
    @call forgets() {
      void this.call("other/a", "nothing");
      return 1;
    }
    @call async waits() {
      return this.call("other/a", "nothing").catch((problem: Error) => problem.message);
    }
  }
  const host = new TestHost(Careless);
  host.answer("other", "nothing", () => {
    throw new Refused("conflict", "no");
  });
  assert.equal(await host.call("careless/a", "forgets"), 1);
  while (!lines.some((line) => line.includes("did not await"))) await new Promise((resolve) => setImmediate(resolve));
  assert.match(lines.join("\n"), /careless\/a did not await its call of nothing at other\/a, which failed: .*no/);
  lines.length = 0;
  assert.match(await host.call("careless/a", "waits"), /no/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(lines, []);
});

test("fields that a class declares are no lost ones, unless a handler changes them", async (t) => {
  const lines: string[] = [];
  t.mock.method(console, "warn", (line: string) => void lines.push(line));
  class Fields extends Process<null> {
    static override className = "fields";
    limit = 10;
    readonly helper = () => this.limit;
    @call reads() {
      return this.helper();
    }
    @call changes() {
      this.limit = 11;
    }
  }
  const host = new TestHost(Fields);
  assert.equal(await host.call("fields/a", "reads"), 10);
  assert.deepEqual(lines, []);
  await host.call("fields/a", "changes");
  assert.match(lines.join("\n"), /'changes' set this.limit, which the next message does not find/);
});
