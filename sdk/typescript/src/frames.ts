/** Frames: 4 bytes of length, big-endian, then one CBOR map. Pure: bytes in, maps out. */
import { CborError, DEPTH_MAX, decodeMap, encode } from "./cbor.js";
import { OrreryError } from "./errors.js";

export const FRAME_BYTES_MAX = 4 * 1024 * 1024;
export const LENGTH_BYTES = 4;
/** What frames put around a value (effects, lists of documents) comes on top of the value's own nesting. */
export const FRAME_DEPTH_MAX = DEPTH_MAX + 8;

export type Frame = Record<string, any> & { type: string };

export function encodeFrame(frame: Frame): Buffer {
  const bytes = encode(frame, FRAME_DEPTH_MAX, LENGTH_BYTES);
  bytes.writeUInt32BE(bytes.length - LENGTH_BYTES, 0);
  return bytes;
}

/** The map, and the bytes of its `state`, if it has one. Throws an {@link OrreryError} with code `protocol`. */
export function decodeFrame(body: Uint8Array): [Frame, Uint8Array | undefined] {
  try {
    const [frame, state] = decodeMap(body, "state", FRAME_DEPTH_MAX);
    if (typeof frame["type"] !== "string") throw new CborError("it has no type");
    return [frame as Frame, state];
  } catch (problem) {
    if (!(problem instanceof CborError)) throw problem;
    throw new OrreryError("protocol", `a frame of ${body.length} bytes cannot be read: ${problem.message}`);
  }
}

/** Cuts a stream of bytes into the bodies of frames, however they arrive. */
export class Splitter {
  private held: Buffer[] = [];
  private size = 0;
  private wanted = 4; // bytes to hold before looking again, so that a large frame in many pieces is copied once

  /** Yields each body that is whole. Throws an {@link OrreryError} for a length that no frame has. */
  *feed(data: Buffer): Generator<Buffer> {
    this.held.push(data);
    this.size += data.length;
    if (this.size < this.wanted) return;
    const all = this.held.length === 1 ? data : Buffer.concat(this.held, this.size);
    let at = 0;
    this.wanted = 4;
    while (all.length - at >= 4) {
      const length = all.readUInt32BE(at);
      if (length < 1 || length > FRAME_BYTES_MAX) {
        throw new OrreryError("protocol", `a frame of ${length} bytes; 1 to ${FRAME_BYTES_MAX} are accepted`);
      }
      if (at + 4 + length > all.length) {
        this.wanted = 4 + length;
        break;
      }
      yield all.subarray(at + 4, at + 4 + length);
      at += 4 + length;
    }
    this.held = at === all.length ? [] : [all.subarray(at)];
    this.size = all.length - at;
  }
}
