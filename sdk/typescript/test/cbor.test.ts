/** The codec, against the vectors of RFC 8949, appendix A, and against what must not pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CborError, Encoded, decode, decodeMap, encode } from "../src/cbor.js";

const hex = (text: string) => Buffer.from(text, "hex");
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Those of appendix A that are plain data, in the form that is written here. */
const BOTH_WAYS: [string, unknown][] = [
  ["00", 0], ["01", 1], ["0a", 10], ["17", 23], ["1818", 24], ["1819", 25], ["1864", 100], ["1903e8", 1000], ["1a000f4240", 1000000],
  ["1b000000e8d4a51000", 1000000000000], ["1bffffffffffffffff", 18446744073709551615n], ["20", -1], ["29", -10], ["3863", -100], ["3903e7", -1000],
  ["1b001fffffffffffff", Number.MAX_SAFE_INTEGER], ["1b0020000000000000", 2n ** 53n], ["3b001ffffffffffffe", -Number.MAX_SAFE_INTEGER],
  ["3b001fffffffffffff", -(2n ** 53n)], ["3b7fffffffffffffff", -(2n ** 63n)],
  ["fb3ff199999999999a", 1.1], ["fb7e37e43c8800759c", 1.0e300], ["fbc010666666666666", -4.1], ["fb8000000000000000", -0],
  ["f4", false], ["f5", true], ["f6", null], ["40", bytes()], ["4401020304", bytes(1, 2, 3, 4)],
  ["60", ""], ["6161", "a"], ["6449455446", "IETF"], ["62225c", '"\\'], ["62c3bc", "\u00fc"], ["63e6b0b4", "\u6c34"], ["64f0908591", "\u{10151}"],
  ["80", []], ["83010203", [1, 2, 3]], ["8301820203820405", [1, [2, 3], [4, 5]]],
  ["98190102030405060708090a0b0c0d0e0f101112131415161718181819", Array.from({ length: 25 }, (_, index) => index + 1)],
  ["a0", {}], ["a26161016162820203", { a: 1, b: [2, 3] }], ["826161a161626163", ["a", { b: "c" }]],
  ["a56161614161626142616361436164614461656145", { a: "A", b: "B", c: "C", d: "D", e: "E" }],
];

/** Read, but written in another form: shorter floats; tags, which are passed over; heads that are longer than needed. */
const READ_ONLY: [string, unknown][] = [
  ["f90000", 0], ["f98000", -0], ["f93c00", 1], ["f93e00", 1.5], ["f97bff", 65504], ["f90001", 5.960464477539063e-8], ["f90400", 0.00006103515625],
  ["f9c400", -4], ["fa47c35000", 100000], ["fa7f7fffff", 3.4028234663852886e38], ["f97c00", Infinity], ["f9fc00", -Infinity], ["f97e00", NaN],
  ["fa7f800000", Infinity], ["fa7fc00000", NaN], ["fbfff0000000000000", -Infinity], ["3bffffffffffffffff", -18446744073709551616n],
  ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"], ["c11a514b67b0", 1363896240], ["c1fb41d452d9ec200000", 1363896240.5],
  ["d74401020304", bytes(1, 2, 3, 4)], ["d818456449455446", bytes(0x64, 0x49, 0x45, 0x54, 0x46)], ["1800", 0], ["1900ff", 255], ["780161", "a"],
];

const REFUSED: [string, RegExp][] = [
  ["5f42010243030405ff", /indefinite/], ["7f657374726561646d696e67ff", /indefinite/], ["9fff", /indefinite/], ["bf61610161629f0203ffff", /indefinite/],
  ["f7", /simple value/], ["f0", /simple value/], ["f8ff", /simple value/], ["fc", /simple value/], ["ff", /simple value/], ["1c", /reserved/], ["7e", /reserved/],
  ["a201020304", /no text/], ["a1f5f5", /no text/], ["a2616101616102", /twice/], ["", /end within/], ["18", /end within/], ["1901", /end within/],
  ["62c3", /end within/], ["44010203", /end within/], ["8201", /end within/], ["a16161", /end within/], ["fb3ff1", /end within/], ["c2", /end within/],
  ["9bffffffffffffffff", /end within/], ["5bffffffffffffffff", /end within/], ["62c328", /UTF-8/], ["a162c32801", /UTF-8/], ["0000", /left over/], ["8080", /left over/],
];

test("reading takes what the standard gives as examples", () => {
  for (const [encoded, value] of [...BOTH_WAYS, ...READ_ONLY]) assert.deepEqual(decode(hex(encoded)), value, encoded);
});

test("writing gives the preferred form", () => {
  for (const [encoded, value] of BOTH_WAYS) assert.equal(Buffer.from(encode(value)).toString("hex"), encoded);
});

test("reading refuses what is no plain data and says why", () => {
  for (const [encoded, why] of REFUSED) assert.throws(() => decode(hex(encoded)), (problem) => problem instanceof CborError && why.test(problem.message), encoded);
});

test("nesting is bounded both ways", () => {
  const deepest = Buffer.concat([Buffer.alloc(64, 0x81), bytes(0)]);
  assert.deepEqual(Buffer.from(encode(decode(deepest))), deepest);
  assert.throws(() => decode(Buffer.concat([Buffer.alloc(65, 0x81), bytes(0)])), /nested too deeply/);
  assert.throws(() => encode([decode(deepest)]), /nested too deeply at \[0\]/);
  assert.equal(decode(Buffer.concat([Buffer.alloc(100_000, 0xc1), bytes(5)])), 5);
});

test("reading never fails otherwise, whatever the bytes", () => {
  const whole = encode({ a: [1, -2, 3.5, "text", bytes(1, 2), null, true], b: { c: {} } });
  let seed = 7;
  const draw = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 3000; round++) {
    const damaged = Buffer.from(whole);
    for (let count = draw(4); count >= 0; count--) damaged[draw(damaged.length)] = draw(256);
    try {
      decode(damaged.subarray(0, 1 + draw(damaged.length)));
    } catch (problem) {
      assert.ok(problem instanceof CborError, String(problem));
    }
  }
});

test("a key called __proto__ is a member like others", () => {
  const value = decode(encode(JSON.parse('{"__proto__": {"polluted": true}}'))) as Record<string, unknown>;
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.equal(value["polluted"], undefined);
  assert.deepEqual(Object.keys(value), ["__proto__"]);
});

test("members that are undefined are left out, elsewhere undefined is null", () => {
  assert.deepEqual(decode(encode({ a: undefined, b: [undefined], c: 1 })), { b: [null], c: 1 });
  assert.equal(decode(encode(undefined)), null);
});

test("what is encoded already is copied in", () => {
  assert.deepEqual(encode({ a: new Encoded(encode([1])) }), encode({ a: [1] }));
});

test("large texts, byte strings and arrays come back as they went", () => {
  for (const value of ["x".repeat(300), "ü".repeat(70_000), new Uint8Array(70_000).fill(7), Array(300).fill(null), 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32]) {
    assert.deepEqual(decode(encode(value)), value);
  }
});

test("what is no plain data is named with its place", () => {
  const cases: [unknown, RegExp][] = [
    [{ a: [1, new Set()] }, /Set is no plain data at \.a\[1\]/], [new Date(), /Date is no plain data at the top/], [{ f: () => 1 }, /a function is no plain data at \.f/],
    [[NaN], /NaN has no form in plain data at \[0\]/], [{ n: 2n ** 64n }, /more than 64 bits at \.n/], [["\ud800"], /no valid Unicode at \[0\]/], [Symbol("x"), /a symbol/],
  ];
  for (const [value, why] of cases) assert.throws(() => encode(value), why);
});

test("the bytes of one member are told", () => {
  const frame = { type: "work", state: { items: [1, 2] }, work: 3 };
  const [entries, raw] = decodeMap(encode(frame), "state");
  assert.deepEqual(entries, frame);
  assert.deepEqual(Buffer.from(raw ?? []), Buffer.from(encode({ items: [1, 2] })));
  assert.equal(decodeMap(encode({ type: "ping" }), "state")[1], undefined);
  assert.throws(() => decodeMap(bytes(0x80), "state"), /not a map/);
});
