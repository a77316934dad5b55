/** Tasks of this program that are linked with processes. */
import type { Asking } from "./asking.js";
import { pause } from "./backoff.js";
import type { ClientProcess, ClientProcesses } from "./clientprocess.js";
import { OrreryError, ProcessExit } from "./errors.js";
import type { Logger } from "./hooks.js";
import { type NameLike, isPid, parseName, targetText } from "./names.js";
import { NORMAL, reasonText } from "./reason.js";

const { setImmediate } = globalThis; // also where a test stands in for it later
/** How long a name's node is asked for its process. */
const LOOK_MS = 5000;
/** How long the exit of nobody may be on its way when that node has said that nothing runs. */
const EXIT_MS = 1000;

/** What a task that is linked with a process is given. */
export interface LinkedTask {
  /** Aborted with a {@link ProcessExit} when the process has ended, and with their reason where others gave the task up. */
  readonly signal: AbortSignal;
  /** The task is a process itself: who sends this pid an exit signal ends the task. */
  readonly pid: string;
}

interface Mesh {
  readonly asking: Asking;
  readonly processes: ClientProcesses;
}

interface End {
  readonly kind: "normal" | "shutdown" | "error";
  readonly text: string;
}

/** See {@link Client.link}. */
export async function runLinked<T>(
  { asking, processes }: Mesh,
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
    await known(asking, process, target, abort.signal);
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

/**
 * Until it is known whether there is somebody to be linked with, so that a task ends the same whether it is quick or slow. That there is nobody is an
 * exit like others, `noproc`, and comes behind the link's result, from the node where the process would be: that node is asked as well. Of a pid only
 * this node is; what another has to say may come while the task runs.
 */
async function known(asking: Asking, process: ClientProcess, target: string, signal: AbortSignal): Promise<void> {
  const runs = await (isPid(target) ? behind(process) : isSeen(asking, target, signal));
  if (runs || signal.aborted) await new Promise(setImmediate); // what has come is looked at
  else await pause(EXIT_MS, signal);
}

/** True, when what this node had to say to the process before has come. */
async function behind(process: ClientProcess): Promise<true> {
  await process.demonitor(1).catch(() => {}); // which there is none of
  return true;
}

/** False: it does not run. Where nobody can tell it may. */
async function isSeen(asking: Asking, name: string, signal: AbortSignal): Promise<boolean> {
  const { className, key } = parseName(name);
  try {
    await asking.ask("inspect", { class: className, key }, "not_executed", { timeoutMs: LOOK_MS, retry: { attempts: 1 }, signal });
    return true;
  } catch (problem) {
    return !(problem instanceof OrreryError) || problem.code !== "not_found";
  }
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
