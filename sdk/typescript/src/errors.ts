/** What a request can end with, beside its result. */

import { type Reason, reasonText } from "./reason.js";

/** Every code of the protocol. Sidecars of later versions may have more. */
export const CODES = [
  "invalid_argument", "not_found", "conflict", "already_exists", "too_large", "overloaded", "unauthenticated", "forbidden",
  "process_exited", "handler_failed", "limit_exceeded", "unavailable", "draining", "isolated", "deadline_exceeded", "internal",
  "io", "protocol", "cancelled", "gone", "given_up",
] as const;
export type Code = (typeof CODES)[number];

/**
 * What an error means for the state of the mesh: `not_executed` (nothing was done; asking again is safe), `executed` (it was done, and
 * this is its outcome), or `unknown` (look before asking again).
 */
export type Effect = "not_executed" | "executed" | "unknown";

const EFFECTS: readonly string[] = ["not_executed", "executed", "unknown"];

/** What requests end with that have no result. Tell them apart by {@link code}, and decide by {@link effect}. */
export class OrreryError extends Error {
  override readonly name: string = "OrreryError";
  readonly code: Code | (string & {});
  readonly effect: Effect;
  /** The error's text, for people; `message` has the code and the effect around it. */
  readonly text: string;

  constructor(code: Code | (string & {}), text: string, effect: Effect = "unknown") {
    super(`${code}: ${text} [${effect}]`);
    this.code = code;
    this.text = text;
    this.effect = effect;
  }

  /** The error of a result frame; effects that this version does not know are `unknown`. */
  static of(fields: { code?: unknown; text?: unknown; effect?: unknown }): OrreryError {
    const effect = EFFECTS.includes(fields.effect as string) ? (fields.effect as Effect) : "unknown";
    return new OrreryError(String(fields.code ?? "internal"), String(fields.text ?? ""), effect);
  }
}

/** What a task ends with that is linked with a process: that has ended, for this reason, or cannot be seen any more (`noconnection`). */
export class ProcessExit extends OrreryError {
  override readonly name = "ProcessExit";
  readonly reason: Reason;
  /** Whose exit it was; null where that is not known. */
  readonly pid: string | null;

  /** `name` is what it was linked by. */
  constructor(reason: Reason, pid: string | null, name: string = pid ?? "the process") {
    const who = pid === null || pid === name ? name : `${name} (${pid})`;
    super(reason.kind === "noconnection" ? "unavailable" : "process_exited", `${who} ${fateText(reason)}`, "unknown");
    this.reason = reason;
    this.pid = pid;
  }
}

/**
 * Thrown by a handler: its caller gets this error, and the process lives on as it was before the message. Changes to the state and
 * effects of that message are dropped. `effect` need only be given where something was done elsewhere that cannot be taken back; without it,
 * it is `not_executed` where this is thrown, and `executed` where a later message refuses: what the earlier one did to the state stays.
 *
 * `code` is one of the protocol's, {@link CODES}. Another is a RangeError here, which crashes the process as any error does; what is your own to say
 * is for the text. The codes: `already_exists`, `cancelled`, `conflict`, `deadline_exceeded`, `draining`, `forbidden`, `given_up`, `gone`, `handler_failed`,
 * `internal`, `invalid_argument`, `io`, `isolated`, `limit_exceeded`, `not_found`, `overloaded`, `process_exited`, `protocol`, `too_large`, `unauthenticated`,
 * `unavailable`.
 */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly code: Code;
  readonly text: string;
  readonly effect: Effect;
  /** Undefined where it was not said. */
  readonly saidEffect: Effect | undefined;

  constructor(code: Code, text: string = code, effect?: Effect) {
    super(`${code}: ${text}`);
    if (!CODES.includes(code)) throw new RangeError(`'${code}' is no code; use one of ${[...CODES].sort().join(", ")}, and say in the text what is your own`);
    if (effect !== undefined && !EFFECTS.includes(effect)) throw new RangeError(`an effect is one of ${EFFECTS.join(", ")}, not '${effect}'`);
    this.code = code;
    this.text = text;
    this.saidEffect = effect;
    this.effect = effect ?? "not_executed";
  }
}

function fateText(reason: Reason): string {
  const { kind, text } = reason;
  switch (kind) {
    case "noconnection":
      return text ? `cannot be seen any more: ${text}` : "cannot be seen any more";
    case "noproc":
      return "did not run, and a link starts nothing; client.start does";
    case "moved":
      return "has moved to another node, where it lives on; link with it anew";
    default:
      return `exited, ${reasonText(reason)}`;
  }
}

/** Its text, without the code and the effect that the error around it has too. */
export function problemText(problem: Error): string {
  return problem instanceof OrreryError ? problem.text : problem.message;
}

export function unavailable(text: string, effect: Effect = "not_executed"): OrreryError {
  return new OrreryError("unavailable", text, effect);
}

export function invalid(text: string): OrreryError {
  return new OrreryError("invalid_argument", text, "not_executed");
}
