/** Why processes end. */

export type ReasonKind =
  | "normal" | "shutdown" | "error" | "limit" | "killed" | "moved"
  /** There was no such process. */
  | "noproc"
  /** Its node, or the connection to the sidecar, was lost: what has become of it is not known. */
  | "noconnection"
  | "system_limit";

/** Why a process has ended, or is to end. Sidecars of later versions may have more kinds. */
export interface Reason {
  readonly kind: ReasonKind | (string & {});
  /** For people. */
  readonly text: string;
}

/** What is watched has ended. */
export interface Down {
  /** Which life it was; null where that is not known, as the process was watched by its name and never seen. */
  readonly pid: string | null;
  readonly reason: Reason;
}

export const NORMAL: Reason = { kind: "normal", text: "" };

export function reasonOf(fields: { kind?: unknown; text?: unknown } | null | undefined): Reason {
  return { kind: String(fields?.kind ?? "error"), text: String(fields?.text ?? "") };
}

export function reasonText({ kind, text }: Reason): string {
  return text ? `${kind}: ${text}` : kind;
}
