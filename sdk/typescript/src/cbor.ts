/**
 * CBOR (RFC 8949) for plain data: null, booleans, numbers, texts, byte strings, arrays, objects. Strict both ways, as the sidecar is:
 * definite lengths only, valid UTF-8, no key twice, no bytes left over, bounded nesting. Tags are passed over when reading. What JSON
 * has no word for (undefined, NaN) is not written; members that are undefined are left out, as JSON.stringify does.
 */

export const DEPTH_MAX = 64;
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 64n - 1n;

export class CborError extends Error {
  override readonly name = "CborError";
}

/** An item that is encoded already; {@link encode} copies it in as it is. */
export class Encoded {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

// ---- writing ----

const SCRATCH_BYTES = 4096;

class Writer {
  private bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  private length = 0;
  /** Of the item at hand, for errors. */
  private readonly path: (string | number)[] = [];

  /** Encodes after so many bytes that are the caller's to fill. The result is a copy. */
  whole(value: unknown, depth: number, before: number): Buffer {
    this.length = before;
    this.path.length = 0;
    this.item(value, depth);
    return Buffer.from(this.bytes.subarray(0, this.length));
  }

  get isLarge(): boolean {
    return this.bytes.length > 16 * SCRATCH_BYTES;
  }

  private item(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        return this.text(value);
      case "number":
        return this.number(value);
      case "boolean":
        return this.byte(value ? 0xf5 : 0xf4);
      case "bigint":
        return this.bigint(value);
      case "object":
        return this.object(value, depth);
      case "undefined":
        return this.byte(0xf6);
      default:
        throw this.notPlain(`a ${typeof value}`);
    }
  }

  private object(value: object | null, depth: number): void {
    if (value === null) return this.byte(0xf6);
    if (Array.isArray(value)) return this.array(value, depth);
    if (value instanceof Uint8Array) return this.blob(value);
    if (value instanceof Encoded) return this.raw(value.bytes);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw this.notPlain(value.constructor?.name ?? "an object");
    this.map(value as Record<string, unknown>, depth);
  }

  private array(value: readonly unknown[], depth: number): void {
    if (depth === 0) throw new CborError(`nested too deeply at ${this.place()}`);
    this.head(0x80, value.length);
    for (let index = 0; index < value.length; index++) this.member(index, value[index], depth);
  }

  private map(value: Record<string, unknown>, depth: number): void {
    if (depth === 0) throw new CborError(`nested too deeply at ${this.place()}`);
    const keys = Object.keys(value).filter((key) => value[key] !== undefined);
    this.head(0xa0, keys.length);
    for (const key of keys) {
      this.text(key);
      this.member(key, value[key], depth);
    }
  }

  private member(key: string | number, value: unknown, depth: number): void {
    this.path.push(key);
    this.item(value, depth - 1);
    this.path.pop();
  }

  private text(value: string): void {
    if (!isWellFormed(value)) throw new CborError(`a text that is no valid Unicode at ${this.place()}`);
    const size = Buffer.byteLength(value);
    this.head(0x60, size);
    this.reserve(size);
    this.length += this.bytes.write(value, this.length, size, "utf8");
  }

  private number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0) this.head(0x00, value);
      else this.head(0x20, -1 - value);
      return;
    }
    if (!Number.isFinite(value)) throw new CborError(`${value} has no form in plain data at ${this.place()}`);
    this.reserve(9);
    this.bytes[this.length] = 0xfb;
    this.bytes.writeDoubleBE(value, this.length + 1);
    this.length += 9;
  }

  private bigint(value: bigint): void {
    if (value < INT_MIN || value > INT_MAX) {
      throw new CborError(`an integer of more than 64 bits at ${this.place()}; from -2^63 to 2^64 - 1 can be sent`);
    }
    const number = value < 0n ? -1n - value : value;
    const major = value < 0n ? 0x20 : 0x00;
    if (number <= BigInt(Number.MAX_SAFE_INTEGER)) return this.head(major, Number(number));
    this.reserve(9);
    this.bytes[this.length] = major | 27;
    this.bytes.writeBigUInt64BE(number, this.length + 1);
    this.length += 9;
  }

  private blob(value: Uint8Array): void {
    this.head(0x40, value.length);
    this.raw(value);
  }

  private raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  private byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  private head(major: number, number: number): void {
    this.reserve(9);
    if (number < 24) {
      this.bytes[this.length++] = major | number;
    } else if (number < 0x100) {
      this.bytes[this.length++] = major | 24;
      this.bytes[this.length++] = number;
    } else if (number < 0x10000) {
      this.bytes[this.length++] = major | 25;
      this.length = this.bytes.writeUInt16BE(number, this.length);
    } else if (number < 0x100000000) {
      this.bytes[this.length++] = major | 26;
      this.length = this.bytes.writeUInt32BE(number, this.length);
    } else {
      this.bytes[this.length++] = major | 27;
      this.length = this.bytes.writeUInt32BE(Math.floor(number / 0x100000000), this.length);
      this.length = this.bytes.writeUInt32BE(number % 0x100000000, this.length);
    }
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + more));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  private notPlain(what: string): CborError {
    const accepted = "send null, booleans, numbers, bigints, strings, Uint8Arrays, arrays or plain objects";
    return new CborError(`${what} is no plain data at ${this.place()}; ${accepted}`);
  }

  private place(): string {
    return this.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`)).join("") || "the top";
  }
}

export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text); // with the u flag, a pair is one character and no surrogate
}

/** Kept from one item to the next; undefined while it is at work, as a getter of what it writes may encode too. */
let scratch: Writer | undefined = new Writer();

/**
 * Encodes one item, behind `before` bytes that are left for the caller. Throws {@link CborError}, which names the place, for what is not plain
 * data.
 */
export function encode(value: unknown, depthMax: number = DEPTH_MAX, before = 0): Buffer {
  const writer = scratch ?? new Writer();
  scratch = undefined;
  try {
    return writer.whole(value, depthMax, before);
  } finally {
    scratch = writer.isLarge ? new Writer() : writer;
  }
}

// ---- reading ----

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  at = 0;
  private readonly bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reads an item; `seen` hears of each member of the outermost map where its value lies. */
  item(depth: number, seen?: (key: string, start: number, end: number) => void): unknown {
    const head = this.next();
    if (head >= 0xe0) return this.simpleOrFloat(head);
    const major = head >> 5;
    const number = this.number(head);
    switch (major) {
      case 0:
        return number;
      case 1:
        return typeof number === "bigint" || number >= Number.MAX_SAFE_INTEGER ? -1n - BigInt(number) : -1 - number;
      case 2:
        return this.blob(number);
      case 3:
        return this.text(number);
      case 4:
        return this.array(this.count(number), depth);
      case 5:
        return this.map(this.count(number), depth, seen);
      default:
        return this.tagged(depth);
    }
  }

  /** A copy: the frame it is from need not stay. */
  private blob(size: number | bigint): Uint8Array {
    const start = this.skip(size);
    return new Uint8Array(this.bytes.subarray(start, this.at));
  }

  private array(count: number, depth: number): unknown[] {
    if (depth === 0) throw new CborError("nested too deeply");
    const items: unknown[] = [];
    for (let index = 0; index < count; index++) items.push(this.item(depth - 1));
    return items;
  }

  private map(count: number, depth: number, seen?: (key: string, start: number, end: number) => void): object {
    if (depth === 0) throw new CborError("nested too deeply");
    const entries: Record<string, unknown> = {};
    for (let index = 0; index < count; index++) {
      const key = this.key();
      if (Object.hasOwn(entries, key)) throw new CborError("a map has a key twice");
      const start = this.at;
      const value = this.item(depth - 1);
      if (key === "__proto__") Object.defineProperty(entries, key, { value, enumerable: true, configurable: true, writable: true });
      else entries[key] = value;
      seen?.(key, start, this.at);
    }
    return entries;
  }

  private key(): string {
    const head = this.next();
    if (head >> 5 !== 3) throw new CborError("a map has a key that is no text");
    return this.text(this.number(head));
  }

  private text(size: number | bigint): string {
    const start = this.skip(size);
    if (this.at - start < 24 && this.isAscii(start, this.at)) return this.bytes.toString("latin1", start, this.at);
    try {
      return utf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw new CborError("a text is no valid UTF-8");
    }
  }

  private isAscii(start: number, end: number): boolean {
    for (let at = start; at < end; at++) if ((this.bytes[at] as number) >= 0x80) return false;
    return true;
  }

  private tagged(depth: number): unknown {
    while (this.at < this.bytes.length && (this.bytes[this.at] as number) >> 5 === 6) this.number(this.next());
    return this.item(depth);
  }

  private simpleOrFloat(head: number): unknown {
    switch (head) {
      case 0xf4:
        return false;
      case 0xf5:
        return true;
      case 0xf6:
        return null;
      case 0xf9:
        return half(this.bytes.readUInt16BE(this.skip(2)));
      case 0xfa:
        return this.bytes.readFloatBE(this.skip(4));
      case 0xfb:
        return this.bytes.readDoubleBE(this.skip(8));
      default:
        throw new CborError(`the simple value 0x${head.toString(16)} is no plain data`);
    }
  }

  private number(head: number): number | bigint {
    const low = head & 31;
    if (low < 24) return low;
    switch (low) {
      case 24:
        return this.next();
      case 25:
        return this.bytes.readUInt16BE(this.skip(2));
      case 26:
        return this.bytes.readUInt32BE(this.skip(4));
      case 27: {
        const large = this.bytes.readBigUInt64BE(this.skip(8));
        return large <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(large) : large;
      }
      case 31:
        throw new CborError("an indefinite length, which is not used here");
      default:
        throw new CborError(`the reserved head 0x${head.toString(16)}`);
    }
  }

  /** Of items that follow; each has a byte at least, so that nothing is reserved for a lie. */
  private count(number: number | bigint): number {
    if (typeof number === "bigint" || this.at + number > this.bytes.length) throw ended();
    return number;
  }

  private next(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw ended();
    return byte;
  }

  /** Where the bytes begin. */
  private skip(size: number | bigint): number {
    const start = this.at;
    this.at = start + this.count(size);
    return start;
  }

  nothingLeft(): void {
    const left = this.bytes.length - this.at;
    if (left !== 0) throw new CborError(`${left} bytes are left over after the item`);
  }
}

function ended(): CborError {
  return new CborError("the bytes end within an item");
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Decodes exactly one item. Integers beyond 2^53 are bigints. Throws {@link CborError} where it is not that. */
export function decode(bytes: Uint8Array, depthMax: number = DEPTH_MAX): unknown {
  const reader = new Reader(bytes);
  const value = reader.item(depthMax);
  reader.nothingLeft();
  return value;
}

/** Decodes one map, and says which bytes its member `raw` had, so that they can be compared later. */
export function decodeMap(bytes: Uint8Array, raw: string, depthMax: number = DEPTH_MAX): [Record<string, unknown>, Uint8Array | undefined] {
  if ((bytes[0] ?? 0) >> 5 !== 5) throw new CborError("not a map");
  const reader = new Reader(bytes);
  let kept: Uint8Array | undefined;
  const entries = reader.item(depthMax, (key, start, end) => {
    if (key === raw) kept = bytes.subarray(start, end);
  });
  reader.nothingLeft();
  return [entries as Record<string, unknown>, kept];
}
