/** Why processes end. */

export type ReasonKind =
  | "normal" | "shutdown" | "error" | "limit" | "killed"
  /** It lives on at another node, with its state: watch it anew. */
  | "moved"
  /** There was no such process: who watches or links starts none. */
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
  /** Which life it was, never a name; null where there is no pid: of that name nothing ran, or it was never seen. */
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
