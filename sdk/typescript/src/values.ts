/** Values: arguments, replies and states, encoded and measured before they go anywhere. */
import { CborError, Encoded, encode } from "./cbor.js";
import { OrreryError, invalid } from "./errors.js";

export const VALUE_BYTES_MAX = 1024 * 1024;

/** Plain data: what JSON could express, and byte strings. Integers beyond 2^53 are bigints. */
export type Value =
  | null | undefined | boolean | number | bigint | string | Uint8Array
  | readonly Value[] | { readonly [key: string]: Value };

const TIMEOUT_MS_MAX = 3_600_000;

/** Throws `invalid_argument` for what is no timeout of a request. */
export function checkTimeout(ms: number | undefined): void {
  if (ms !== undefined && !(ms > 0 && ms <= TIMEOUT_MS_MAX)) throw invalid(`a timeout is over 0 and at most ${TIMEOUT_MS_MAX} ms, not ${ms}`);
}

/** The text with a mark in place of what is no valid Unicode, as half a pair that was cut: for people, never for values. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd"); // with the u flag, a pair is one character and no surrogate
}

/** Throws `invalid_argument` for what is not plain data, `too_large` for what is over the limit. */
export function encodeValue(value: unknown, what: string, bytesMax: number = VALUE_BYTES_MAX): Encoded {
  let bytes: Uint8Array;
  try {
    bytes = encode(value);
  } catch (problem) {
    if (!(problem instanceof CborError)) throw problem;
    throw invalid(`the ${what} cannot be sent: ${problem.message}`);
  }
  if (bytes.length > bytesMax) {
    throw new OrreryError("too_large", `the ${what} has ${bytes.length} bytes; at most ${bytesMax} can be sent`, "not_executed");
  }
  return new Encoded(bytes);
}
