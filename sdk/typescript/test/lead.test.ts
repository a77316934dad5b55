/** Leading: a key that is stood for again and again, and work that is done while it is held. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, OrreryError, ProcessExit } from "../src/index.js";
import { Fake, has } from "./fake.js";
import { until } from "./sidecar.js";

const options = { timeout: 60_000 };
const HOLDER = "n@1.2.3";

/** The key as its owner sees it: `holder` has it, else whoever claims it. `isSeen`: a monitor of the holder waits for its end. */
class Registry {
  holder: string | undefined;
  isSeen = true;
  monitor: { process: number; monitor: number } | undefined;

  readonly answer: Parameters<typeof Fake.start>[0] = (frame, say) => {
    const ok = (value: unknown) => say({ type: "result", id: frame.id, ok: value });
    const { type, process } = frame;
    if (type === "open") ok({ pid: `n@1.0.${process}` });
    else if (type === "claim" && this.holder) say({ type: "result", id: frame.id, error: { code: "already_exists", text: `${this.holder} holds it`, effect: "not_executed" } });
    else if (type === "lookup") ok({ entries: this.holder ? [{ key: frame.key, pid: this.holder, value: null }] : [] });
    else if (type === "monitor") {
      ok({ monitor: 7 });
      this.monitor = { process, monitor: 7 };
      if (!this.isSeen) say(this.down("noproc"));
    } else return false;
    return true;
  };

  down(kind: string) {
    return { type: "message", ...this.monitor, kind: "down", from: HOLDER, reason: { kind, text: "" } };
  }
}

const keyLost = (process: number) => ({ type: "message", process, kind: "plain", word: "key_lost", argument: { key: "k", pid: HOLDER } });
const ended = (process: number) => ({ type: "ended", process, reason: { kind: "killed", text: "" } });

/** Work that goes on until it is cut short; `signals` are those of each time. */
function working(client: Client, signal?: AbortSignal) {
  const signals: AbortSignal[] = [];
  const led = client.lead("k", (lost) => {
    signals.push(lost);
    return new Promise<never>((_, reject) => lost.addEventListener("abort", () => reject(lost.reason as Error)));
  }, { signal });
  led.catch(() => {});
  return { signals, led };
}
const closed = (fake: Fake) => fake.of("close").map(({ process }) => process);

test("a leader's work returns or fails, and its key is free", options, async () => {
  await using fake = await Fake.start(new Registry().answer);
  await using client = await fake.client();
  assert.equal(await client.lead("k", async () => 5), 5);
  assert.deepEqual(fake.of("claim").map(({ process, key, in: space }) => [process, key, space]), [[1, "k", undefined]]);
  const mine = new OrreryError("unavailable", "mine", "not_executed"); // of the work: nothing that standing again would heal
  await assert.rejects(client.lead("k", () => Promise.reject(mine)), (problem) => problem === mine);
  assert.deepEqual(closed(fake), [1, 2]);
  await assert.rejects(client.lead("k", Promise.resolve() as never), { name: "TypeError", message: /lead takes a function.* not a promise/ });
  assert.deepEqual(fake.of("open").length, 2);
});

test("a leader that loses its key, its process or its connection works no more, stands again and works anew", options, async () => {
  for (const [lose, why] of [
    [(fake: Fake) => fake.tell(keyLost(1)), (problem: unknown) => has("conflict", "unknown")(problem)],
    [(fake: Fake) => fake.tell(ended(1)), (problem: unknown) => problem instanceof ProcessExit && problem.reason.kind === "killed"],
    [(fake: Fake) => fake.sockets[0]?.destroy(), (problem: unknown) => problem instanceof ProcessExit && problem.reason.kind === "noconnection"],
  ] as const) {
    await using fake = await Fake.start(new Registry().answer);
    await using client = await fake.client();
    const { signals } = working(client);
    await until(() => signals.length === 1);
    lose(fake);
    await until(() => signals.length === 2);
    assert.ok(signals[0]?.aborted && why(signals[0].reason), String(signals[0]?.reason));
    assert.ok(!signals[1]?.aborted);
    assert.deepEqual(fake.of("claim").map(({ process }) => process), [1, 2]);
  }
});

test("a leader goes on where messages to it were dropped, and gives their credit back", options, async () => {
  const registry = new Registry();
  registry.holder = HOLDER;
  await using fake = await Fake.start(registry.answer);
  await using client = await fake.client();
  const { signals } = working(client);
  const dropped = (process: number) => Array.from({ length: 60 }, () => ({ type: "message", process, kind: "dropped", count: 7 }));
  await until(() => registry.monitor);
  fake.tell(...dropped(1)); // while another holds the key
  await until(() => fake.of("credit").length === 1);
  registry.holder = undefined;
  fake.tell(registry.down("normal"));
  await until(() => signals.length === 1);
  fake.tell(...dropped(2));
  await until(() => fake.of("credit").length === 2);
  assert.deepEqual([signals[0]?.aborted, fake.of("claim").length], [false, 2]);
  fake.tell(keyLost(2));
  await until(() => signals[0]?.aborted);
});

test("what work returns after it was cut short is not the result", options, async () => {
  await using fake = await Fake.start(new Registry().answer);
  await using client = await fake.client();
  let times = 0;
  const led = client.lead("k", async (lost) => {
    if (++times === 2) return "whole";
    fake.tell(keyLost(1));
    await new Promise((resolve) => lost.addEventListener("abort", resolve));
    return "half";
  });
  assert.equal(await led, "whole");
});

test("a key that another holds is stood for when that has ended", options, async () => {
  const registry = new Registry();
  registry.holder = HOLDER;
  await using fake = await Fake.start(registry.answer);
  await using client = await fake.client();
  const { signals } = working(client);
  await until(() => registry.monitor);
  assert.deepEqual([fake.of("monitor")[0].to, fake.of("claim").length, signals.length], [HOLDER, 1, 0]);
  registry.holder = undefined;
  fake.tell(registry.down("normal"));
  await until(() => signals.length === 1);
  assert.deepEqual([closed(fake), fake.of("claim").map(({ process }) => process)], [[1], [1, 2]]);
});

test("a key whose holder is gone and that is not free yet is asked for after pauses that grow", options, async () => {
  const registry = new Registry();
  Object.assign(registry, { holder: HOLDER, isSeen: false });
  await using fake = await Fake.start(registry.answer);
  await using client = await fake.client();
  const { signals } = working(client);
  const began = performance.now();
  await until(() => fake.of("claim").length === 5);
  const ms = performance.now() - began;
  assert.ok(ms >= 300, `five tries in ${ms} ms`); // between them pauses of at least 25 ms, 50, 100 and 200
  registry.holder = undefined;
  await until(() => signals.length === 1);
});

test("who leads, or stands for it, stops with its signal", options, async () => {
  const registry = new Registry();
  await using fake = await Fake.start(registry.answer);
  await using client = await fake.client();
  const mine = new Error("mine");
  for (const holder of [undefined, HOLDER]) {
    registry.holder = holder;
    const stop = new AbortController();
    const { signals, led } = working(client, stop.signal);
    await until(() => (holder ? registry.monitor : signals.length === 1));
    stop.abort(mine);
    await assert.rejects(led, (problem) => problem === mine);
    assert.deepEqual(signals.map(({ reason }) => reason), holder ? [] : [mine]);
  }
  assert.deepEqual(closed(fake), [1, 2]);
  await assert.rejects(client.lead("k", () => assert.fail("it began"), { signal: AbortSignal.abort(mine) }), (problem) => problem === mine);
});

test("a claim that no time heals, an old sidecar and a closed client end it", options, async () => {
  await using fake = await Fake.start((frame, say) => {
    if (frame.type !== "claim") return new Registry().answer!(frame, say);
    const codes = ["deadline_exceeded", "isolated", "invalid_argument"];
    say({ type: "result", id: frame.id, error: { code: codes[fake.of("claim").length - 1], text: "no", effect: "not_executed" } });
    return true;
  });
  const client = await fake.client();
  await assert.rejects(client.lead("k", () => assert.fail("it began")), has("invalid_argument", "not_executed"));
  assert.deepEqual(closed(fake), [1, 2, 3]);
  await client.close();
  await assert.rejects(client.lead("k", () => 1), has("unavailable", "not_executed"));
  await using old = await Fake.start(undefined, 1024, ["host"]);
  await using another = await old.client();
  await assert.rejects(another.lead("k", () => 1), /too old/);
});

test("a client that is closed ends its leader", options, async () => {
  await using fake = await Fake.start(new Registry().answer);
  const client = await fake.client();
  const { signals, led } = working(client);
  await until(() => signals.length === 1);
  await client.close();
  await assert.rejects(led, { message: "unavailable: no connection to the sidecar: the client is closed [not_executed]" });
  assert.ok(signals[0]?.aborted);
});
