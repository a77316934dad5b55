/** What a handler asks for beside its reply. The sidecar carries effects out, in order, once the handler has ended well. */
import { type Encoded, isWellFormed } from "./cbor.js";
import type { Refused } from "./errors.js";
import type { Name } from "./names.js";
import { wellFormed } from "./values.js";

export const EFFECTS_MAX = 1000;
const INFO_NAME_BYTES_MAX = 128;
const TIMER_MS_MAX = 400 * 24 * 3_600_000;

/** An effect as it goes into a `done`. */
export type EffectFrame =
  | { readonly cast: { class: string; key: string; method: string; argument: Encoded } }
  | { readonly timer: { name: string; afterMs: number; argument: Encoded } }
  | { readonly cancelTimer: string }
  | { readonly send: { to: string; word: string; argument: Encoded } }
  | { readonly publish: { group: string; word: string; argument: Encoded } }
  | { readonly join: string }
  | { readonly leave: string }
  | { readonly call: { name: string; to: string; method: string; argument: Encoded; timeoutMs?: number } }
  | { readonly monitor: { name: string; to: string } }
  | { readonly demonitor: string }
  | { readonly reply: { to: number; reply: Encoded } | { to: number; error: { code: string; text: string; effect?: string } } };

export function castEffect(to: Name, method: string, argument: Encoded): EffectFrame {
  return { cast: { class: to.className, key: to.key, method, argument } };
}

/** In whole milliseconds, at least one. Throws for what is no time of a timer. */
export function timerMs(ms: number): number {
  if (typeof ms !== "number") throw new TypeError(`a timer's time is a number of milliseconds, not ${ms === null || ms === undefined ? ms : `a ${typeof ms}`}`);
  if (!(ms >= 0 && ms <= TIMER_MS_MAX)) throw new RangeError(`a timer is 0 to ${TIMER_MS_MAX} ms (400 days) ahead, not ${ms}`);
  return Math.max(1, Math.ceil(ms));
}

export function timerEffect(name: string, afterMs: number, argument: Encoded): EffectFrame {
  return { timer: { name, afterMs, argument } };
}

export function replyEffect(to: number, reply: Encoded): EffectFrame {
  return { reply: { to, reply } };
}

/** Without an effect that was said it is the sidecar's: an earlier message may have changed the state. */
export function refusalEffect(to: number, { code, text, saidEffect }: Refused): EffectFrame {
  return { reply: { to, error: { code, text: wellFormed(text), ...(saidEffect && { effect: saidEffect }) } } };
}

/** Throws for what no timer, request or monitor is called; `what` is which of them it is. */
export function checkInfoName(what: string, name: string): string {
  if (!isWellFormed(name)) throw new RangeError(`a ${what}'s name is valid Unicode`);
  const size = Buffer.byteLength(name);
  if (size < 1 || size > INFO_NAME_BYTES_MAX) throw new RangeError(`a ${what}'s name has 1 to ${INFO_NAME_BYTES_MAX} bytes, not ${size}`);
  return name;
}
