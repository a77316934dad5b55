/** The small pure parts: frames, patches, names, addresses, pauses, the gate, errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/backoff.js";
import { encode } from "../src/cbor.js";
import { timerMs } from "../src/effects.js";
import { endpointText, endpoints, parseEndpoint } from "../src/endpoints.js";
import { OrreryError, Refused } from "../src/errors.js";
import { Splitter, decodeFrame, encodeFrame } from "../src/frames.js";
import { Gate } from "../src/gate.js";
import { guarded } from "../src/hooks.js";
import { checkMethod, nameText, parseName } from "../src/names.js";
import { apply, diff } from "../src/patch.js";
import { isTraceparent, traceparent } from "../src/trace.js";
import { encodeValue } from "../src/values.js";

const is = (code: string, effect = "not_executed") => (problem: unknown) => problem instanceof OrreryError && problem.code === code && problem.effect === effect;

test("frames are found however their bytes arrive", () => {
  const sent = [{ type: "a" }, { type: "b", data: "x".repeat(5000) }, { type: "c" }];
  const stream = Buffer.concat(sent.map(encodeFrame));
  for (const size of [1, 3, 4, 5, 1000, stream.length]) {
    const splitter = new Splitter();
    const found = [];
    for (let at = 0; at < stream.length; at += size) for (const body of splitter.feed(stream.subarray(at, at + size))) found.push(decodeFrame(body)[0]);
    assert.deepEqual(found, sent);
  }
});

test("frames have a length within bounds, and are maps with a type", () => {
  for (const head of ["00000000", "00400001", "485454502f312e31"]) assert.throws(() => [...new Splitter().feed(Buffer.from(head, "hex"))], /1 to 4194304 are accepted/);
  for (const body of [[0x80], encode({ typ: "x" }), encode({ type: 1 }), [0xff]]) assert.throws(() => decodeFrame(Uint8Array.from(body)), is("protocol", "unknown"));
});

test("patches make the new state of the old, where one can", () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 1, b: { c: 2, d: 3 } }, { b: { c: 4, d: 3 }, e: 5 }, { a: null, b: { c: 4 }, e: 5 }], [{ a: [1, 2] }, { a: [1, 2, 3] }, { a: [1, 2, 3] }],
    [{ a: 1 }, { a: 1 }, {}], [{ a: {} }, { a: { b: 1 } }, { a: { b: 1 } }], [{ a: { b: 1 } }, { a: {} }, { a: { b: null } }], [{ a: { b: 1 } }, { a: 5 }, { a: 5 }],
    [{ n: 0 }, { n: -0 }, { n: -0 }], [{ keep: null, a: 1 }, { keep: null, a: 2 }, { a: 2 }], [{ a: 1 }, { a: [null] }, { a: [null] }],
    [{ raw: Uint8Array.of(1) }, { raw: Uint8Array.of(2) }, { raw: Uint8Array.of(2) }], [{ raw: Uint8Array.of(1) }, { raw: Uint8Array.of(1) }, {}],
  ];
  for (const [before, after, patch] of cases) {
    assert.deepEqual(diff(before, after), patch);
    assert.deepEqual(apply(before, patch), after);
  }
  for (const [before, after] of [[[1], { a: 1 }], [{ a: 1 }, [1]], [{ a: 1 }, { a: null }], [{ a: 1 }, { b: { c: null } }], [null, {}]]) assert.equal(diff(before, after), undefined);
});

test("patches of the standard are applied as it says", () => {
  const cases: [unknown, unknown, unknown][] = [ // RFC 7396, appendix A
    [{ a: "b" }, { a: "c" }, { a: "c" }], [{ a: "b" }, { a: null }, {}], [{ a: ["b"] }, { a: "c" }, { a: "c" }], [["a", "b"], ["c", "d"], ["c", "d"]], [{ a: "foo" }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }], [[1, 2], { a: "b", c: null }, { a: "b" }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) assert.deepEqual(apply(target, patch), result);
});

test("names are split at the first slash, and those that name nothing are refused", () => {
  assert.deepEqual(parseName("cart/ada/1"), { className: "cart", key: "ada/1" });
  assert.equal(nameText(parseName({ className: "cart", key: "ä" })), "cart/ä");
  for (const name of ["cart", "/ada", "cart/", `${"c".repeat(64)}/a`, `cart/${"k".repeat(1025)}`, 7 as never, null as never, { className: "cart" } as never]) {
    assert.throws(() => parseName(name), is("invalid_argument"));
  }
  for (const method of ["", "m".repeat(129), undefined as never]) assert.throws(() => checkMethod(method), is("invalid_argument"));
});

test("addresses are Unix sockets or TCP, and come from the environment best first", () => {
  for (const text of ["unix:/run/x.sock", "tcp:127.0.0.1:3603", "tcp:[::1]:9"]) assert.equal(endpointText(parseEndpoint(text)), text);
  for (const text of ["ws://127.0.0.1:3600", "ws://127.0.0.1:3600/", "WS://127.0.0.1:3600"]) assert.equal(endpointText(parseEndpoint(text)), "ws://127.0.0.1:3600/v1/sdk");
  assert.equal(endpointText(parseEndpoint("wss://shop.example/orrery/sdk")), "wss://shop.example/orrery/sdk");
  for (const text of ["ws://", "ws:/host", "wss:///path", "ws://user:secret@host", "ws://host:x", "ws://host/#part"]) assert.throws(() => parseEndpoint(text), /no address/, text);
  for (const text of ["localhost", "host:", ":80", "host:0", "host:65536", "host:x", "unix:", "http://x:3600", "https://x:3600", "x/y:3600", "tcp:x/y:3600"]) assert.throws(() => parseEndpoint(text), /no address/);
  const both = { ORRERY_SOCKET: "/a.sock", ORRERY_TCP: "127.0.0.1:1" };
  assert.deepEqual(endpoints(undefined, both).map(endpointText), ["unix:/a.sock", "tcp:127.0.0.1:1"]);
  assert.deepEqual(endpoints("/b.sock", both).map(endpointText), ["unix:/b.sock"]);
  assert.deepEqual(endpoints(undefined, {}).map(endpointText), ["unix:/run/orrery/sdk.sock", "tcp:127.0.0.1:3603"]);
});

test("a timer takes whole milliseconds, at least one and at most 400 days", () => {
  const longest = 400 * 24 * 3_600_000;
  assert.deepEqual([0, 0.2, 1.5, 1000, longest].map(timerMs), [1, 1, 2, 1000, longest]);
  for (const ms of [-1, -0.5, NaN, Infinity, longest + 1]) assert.throws(() => timerMs(ms), { name: "RangeError", message: `a timer is 0 to ${longest} ms (400 days) ahead, not ${ms}` });
  for (const [ms, what] of [["5", "a string"], [5n, "a bigint"], [undefined, "undefined"], [null, "null"]]) {
    assert.throws(() => timerMs(ms as never), { name: "TypeError", message: `a timer's time is a number of milliseconds, not ${what}` });
  }
});

test("pauses double up to the most and are jittered", () => {
  const longest = new Backoff(50, 2000, () => 1);
  assert.deepEqual(Array.from({ length: 8 }, () => longest.next()), [50, 100, 200, 400, 800, 1600, 2000, 2000]);
  longest.reset();
  assert.equal(longest.next(), 50);
  assert.equal(new Backoff(50, 2000, () => 0).next(), 25);
});

test("the gate lets in as many as there is room, in their order", async () => {
  const gate = new Gate(1);
  const entered: string[] = [];
  const abort = new AbortController();
  await gate.enter();
  const waiting = [gate.enter().then(() => entered.push("b")), gate.enter(undefined, abort.signal), gate.enter().then(() => entered.push("d"))];
  abort.abort();
  await assert.rejects(waiting[1] as Promise<unknown>, { name: "AbortError" });
  gate.leave();
  await waiting[0];
  assert.deepEqual(entered, ["b"]);
  gate.resize(2);
  await waiting[2];
  assert.deepEqual([entered, gate.inside], [["b", "d"], 2]);
});

test("the gate turns away who waited too long, or too many", async () => {
  const gate = new Gate(0, 1);
  await assert.rejects(gate.enter(1), is("deadline_exceeded"));
  const waiting = gate.enter();
  await assert.rejects(gate.enter(), is("overloaded"));
  gate.resize(1);
  await waiting;
});

test("errors keep codes and effects that are not known true", () => {
  const problem = OrreryError.of({ code: "brand_new", text: "text", effect: "surely" });
  assert.deepEqual([problem.code, problem.effect, problem.text], ["brand_new", "unknown", "text"]);
  assert.equal(new OrreryError("not_found", "no class", "not_executed").message, "not_found: no class [not_executed]");
  assert.throws(() => new Refused("nope" as never, "x"), /'nope' is no code; use one of already_exists/);
  assert.throws(() => new Refused("conflict", "x", "maybe" as never), /an effect is one of/);
});

test("values that cannot be sent are the caller's mistake", () => {
  assert.throws(() => encodeValue({ a: new Set() }, "argument"), is("invalid_argument"));
  assert.throws(() => encodeValue("x".repeat(1_100_000), "reply"), is("too_large"));
});

test("traces are known by their form and belong to what runs in them", async () => {
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.ok(isTraceparent(trace));
  for (const text of ["", trace.toUpperCase(), `ff${trace.slice(2)}`]) assert.ok(!isTraceparent(text));
  assert.equal(await traceparent.run(trace, async () => traceparent.get()), trace);
  assert.equal(traceparent.get(), undefined);
});

test("metrics hooks that throw are logged and harm nothing", () => {
  const said: string[] = [];
  const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: (text: string) => said.push(text) };
  const seen: unknown[] = [];
  const metrics = guarded({ connected: (node) => seen.push(node), handled: () => { throw new Error("oh"); } }, logger);
  metrics.connected("n1");
  metrics.handled("a", "call", "b", "ok", 1);
  metrics.disconnected("x");
  assert.deepEqual([seen, said], [["n1"], ["a metrics hook failed: Error: oh"]]);
});
