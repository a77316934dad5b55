/**
 * A Unix socket that this program may not connect to. No time heals that, so who waits for the first connection
 * hears of it at once.
 */
import { statSync } from "node:fs";
import { OrreryError } from "./errors.js";

const ACCEPTED =
  "Accepted is a user, or a member of a group, that may write to the socket and enter its folders: " +
  "look at its mode and group, and at the pod's volume that it is in";

export class SocketDenied extends OrreryError {
  constructor(path: string, cause: NodeJS.ErrnoException) {
    const text = `${path}: permission denied (${cause.code}) to ${whoText()}; ${socketText(path)}`;
    super("forbidden", `${text}. ${ACCEPTED}`, "not_executed");
    this.cause = cause;
  }
}

/** The problem of dialling a socket, in this package's words where it is about permissions. */
export function dialProblem(path: string, problem: Error): Error {
  const { code } = problem as NodeJS.ErrnoException;
  return code === "EACCES" || code === "EPERM" ? new SocketDenied(path, problem) : problem;
}

function whoText(): string {
  const groups = process.getgroups?.().join(", ") || "none";
  return `uid ${process.geteuid?.() ?? "unknown"}, gid ${process.getegid?.() ?? "unknown"}, groups ${groups}`;
}

function socketText(path: string): string {
  try {
    const { uid, gid, mode } = statSync(path);
    return `the socket has uid ${uid}, gid ${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
  } catch {
    return "the socket's mode cannot be read: a folder above it is closed too";
  }
}
