/** Tasks of this program that are linked with processes. */
import type { ClientProcess, ClientProcesses } from "./clientprocess.js";
import { ProcessExit } from "./errors.js";
import type { Logger } from "./hooks.js";
import { type NameLike, isPid, targetText } from "./names.js";
import { NORMAL, reasonText } from "./reason.js";

/** What a task that is linked with a process is given. */
export interface LinkedTask {
  /** Aborted with a {@link ProcessExit} when the process has ended, and with their reason where others gave the task up. */
  readonly signal: AbortSignal;
  /** The task is a process itself: who sends this pid an exit signal ends the task. */
  readonly pid: string;
}

interface End {
  readonly kind: "normal" | "shutdown" | "error";
  readonly text: string;
}

/** See {@link Client.link}. */
export async function runLinked<T>(
  processes: ClientProcesses,
  to: NameLike,
  task: (linked: LinkedTask) => T | PromiseLike<T>,
  outside: AbortSignal | undefined,
  logger: Logger,
): Promise<T> {
  const target = targetText(to);
  checkTask(task, "link");
  const process = await processes.open(outside);
  const abort = new AbortController();
  const giveUp = () => abort.abort(outside?.reason);
  let end: End = NORMAL as End;
  try {
    await process.link(target);
    outside?.addEventListener("abort", giveUp);
    if (outside?.aborted) giveUp();
    void listen(process, target, abort);
    abort.signal.throwIfAborted();
    const result = await task({ signal: abort.signal, pid: process.pid });
    abort.signal.throwIfAborted();
    return result;
  } catch (problem) {
    const why: unknown = abort.signal.aborted ? abort.signal.reason : problem;
    end = endOf(why, abort.signal.aborted);
    throw why;
  } finally {
    outside?.removeEventListener("abort", giveUp);
    await process.close(end).catch((problem: Error) => logger.warn(`a task linked with ${target} has ended, and its process not: ${problem.message}`));
  }
}

/** Throws a TypeError for what cannot be begun, as the promise of a task that has begun already. */
export function checkTask(task: unknown, act: string): void {
  if (typeof task === "function") return;
  const what = task instanceof Promise ? "a promise" : task === null ? "null" : `a value of type ${typeof task}`;
  throw new TypeError(`${act} takes a function, which it calls when the time has come, not ${what}`);
}

/** Reads its messages until its end: exits end the task, all else is for nobody. */
async function listen(process: ClientProcess, target: string, abort: AbortController): Promise<void> {
  for await (const message of process) {
    if (message.kind !== "exit" || message.reason.kind === "normal") continue;
    const pid = message.from ?? null;
    // Linked by its pid, it is known whose exit this is; others ask a task to exit as well.
    const name = isPid(target) && pid !== null ? pid : target;
    abort.abort(new ProcessExit(message.reason, pid, name));
  }
  abort.abort(new ProcessExit(process.ended ?? NORMAL, process.pid)); // for nobody, where the task had ended before
}

/** Which end of the task its links hear of. */
function endOf(why: unknown, aborted: boolean): End {
  if (!aborted) return { kind: "error", text: textOf(why) };
  if (!(why instanceof ProcessExit)) return { kind: "shutdown", text: textOf(why) };
  return { kind: why.reason.kind === "shutdown" ? "shutdown" : "error", text: reasonText(why.reason) };
}

function textOf(problem: unknown): string {
  try {
    return problem instanceof Error ? problem.message : String(problem);
  } catch {
    return "what ended it cannot be told";
  }
}
