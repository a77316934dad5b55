/** What a handler asks for beside its reply. The sidecar carries effects out, in order, once the handler has ended well. */
import type { Encoded } from "./cbor.js";
import type { Refused } from "./errors.js";
import type { Name } from "./names.js";

export const EFFECTS_MAX = 1000;
export const TIMER_NAME_BYTES_MAX = 128;

/** An effect as it goes into a `done`. */
export type EffectFrame =
  | { readonly cast: { class: string; key: string; method: string; argument: Encoded } }
  | { readonly timer: { name: string; afterMs: number; argument: Encoded } }
  | { readonly cancelTimer: string }
  | { readonly reply: { to: number; reply: Encoded } | { to: number; error: { code: string; text: string; effect: string } } };

export function castEffect(to: Name, method: string, argument: Encoded): EffectFrame {
  return { cast: { class: to.className, key: to.key, method, argument } };
}

export function timerEffect(name: string, afterMs: number, argument: Encoded): EffectFrame {
  return { timer: { name, afterMs, argument } };
}

export function replyEffect(to: number, reply: Encoded): EffectFrame {
  return { reply: { to, reply } };
}

export function refusalEffect(to: number, { code, text, effect }: Refused): EffectFrame {
  return { reply: { to, error: { code, text, effect } } };
}
