/** What the conformance cases do not look at: the language's own idioms, over a live connection. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Logger, type Metrics, OrreryError, Process, call, connect, serve } from "../src/index.js";
import { Sidecar, noSidecar, until } from "./sidecar.js";

class Desk extends Process<{ count: number }> {
  static override className = "desk";
  forgotten?: number;

  override init() {
    this.state = { count: 0 };
  }
  @call add() {
    this.forgotten = 1;
    return ++this.state.count;
  }
  @call freeze(ms: number) {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }
  @call async wait(ms: number) {
    await sleep(ms, undefined, { signal: this.signal });
    return "waited";
  }
}

function listening(): Logger & { lines: string[] } {
  const lines: string[] = [];
  const say = (text: string) => void lines.push(text);
  return { lines, debug: say, info: say, warn: say, error: say };
}

const options = { skip: noSidecar, timeout: 240_000 };

test("clients and hosts are disposable", options, async () => {
  await using sidecar = await Sidecar.start("desk");
  const logger = listening();
  await using client = await connect({ address: sidecar.address, logger });
  {
    await using _host = await client.host([Desk]);
    assert.equal(await client.call<number>("desk/a", "add"), 1);
    assert.equal(await client.call<number>({ className: "desk", key: "a" }, "add"), 2);
  }
  assert.ok(logger.lines.some((line) => line.includes("set this.forgotten, which the next message does not find")));
});

test("an aborted signal gives a call up with its reason", options, async () => {
  await using sidecar = await Sidecar.start("desk");
  await using client = await connect({ address: sidecar.address, logger: listening() });
  await client.host([Desk]);
  await assert.rejects(client.call("desk/a", "wait", 10_000, { signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  await assert.rejects(client.call("counter/a", "add", 1, { signal: AbortSignal.abort(new Error("mine")) }), /mine/);
  assert.equal(await client.call("counter/a", "get"), 0);
});

test("events are iterated, and leaving the loop ends them", options, async () => {
  await using sidecar = await Sidecar.start();
  await using client = await connect({ address: sidecar.address, logger: listening() });
  const events = client.events("process_started");
  await events.open();
  await client.call("counter/a", "add");
  for await (const event of events) {
    assert.equal(event.data["key"], "a");
    break;
  }
  await assert.rejects(events.next(), (problem) => problem instanceof OrreryError && problem.code === "unavailable");
});

test("requests are counted", options, async () => {
  await using sidecar = await Sidecar.start();
  const rows: unknown[] = [];
  const metrics: Metrics = { requested: (...[operation, className, method, code]) => rows.push([operation, className, method, code]) };
  await using client = await connect({ address: sidecar.address, logger: listening(), metrics });
  await client.call("counter/a", "add");
  await assert.rejects(client.call("counter/a", "nix"));
  assert.deepEqual(rows, [["call", "counter", "add", "ok"], ["call", "counter", "nix", "not_found"]]);
});

test("serve ends with its signal, after the work is done", options, async () => {
  await using sidecar = await Sidecar.start("desk");
  await using client = await connect({ address: sidecar.address, logger: listening() });
  const stop = new AbortController();
  const serving = serve([Desk], { address: sidecar.address, signal: stop.signal, logger: listening() });
  const asking = client.call("desk/a", "wait", 200);
  await client.call("desk/b", "add");
  stop.abort();
  assert.equal(await asking, "waited");
  await serving;
});

test("serve ends while it waits for a sidecar", { timeout: 240_000 }, async () => {
  await serve([Desk], { address: "/nowhere/sdk.sock", signal: AbortSignal.timeout(50), logger: listening() });
});

test("serve ends with the error where its class is refused", options, async () => {
  await using sidecar = await Sidecar.start();
  class Counter extends Desk {
    static override className = "counter";
  }
  await assert.rejects(serve([Counter], { address: sidecar.address, logger: listening() }), /conflict/);
});

test("a program finishes its work at SIGTERM", options, async (t) => {
  await using sidecar = await Sidecar.start("cart", "stock");
  await using client = await connect({ address: sidecar.address, logger: listening() });
  const program = spawn(process.execPath, [fileURLToPath(new URL("../examples/shop.js", import.meta.url))], {
    env: { ...process.env, ORRERY_SOCKET: sidecar.address.slice("unix:".length) },
    stdio: "inherit",
  });
  t.after(() => program.kill("SIGKILL"));
  const ended = new Promise((resolve) => program.once("exit", (code) => resolve(code)));
  assert.equal(await client.call("cart/ada", "add", { item: "pen" }, { timeoutMs: 120_000 }), 1);
  program.kill("SIGTERM");
  assert.equal(await ended, 0);
});

test("a handler that blocks the event loop is named in the log", options, async () => {
  await using sidecar = await Sidecar.start("desk");
  const logger = listening();
  const leave = new AbortController();
  const serving = serve([Desk], { address: sidecar.address, signal: leave.signal, logger });
  await using client = await connect({ address: sidecar.address, logger: listening() });
  await client.call("desk/a", "freeze", 1800);
  await until(() => logger.lines.some((line) => line.includes("blocked")));
  assert.match(logger.lines.find((line) => line.includes("blocked")) ?? "", /blocked for \d+\.\d s; .* At work, or just now: desk\/a freeze/);
  leave.abort();
  await serving;
});
