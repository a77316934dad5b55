/** Standing for a key of the mesh, again and again, and working while it is held. */
import { type Asking, HEALED_BY_TIME, abortable, checkAge } from "./asking.js";
import { Backoff, pause } from "./backoff.js";
import type { ClientProcess, ClientProcesses } from "./clientprocess.js";
import type { Holder } from "./documents.js";
import { OrreryError, ProcessExit } from "./errors.js";
import type { Link } from "./link.js";
import { NORMAL, type Reason } from "./reason.js";
import { checkTask } from "./task.js";

const CLAIM_MS = 5000;
/** A holder that lives on may have released the key: so often this looks. */
const LOOK_MS = 5000;
const FIRST_PAUSE_MS = 50;
const MOST_PAUSE_MS = 1000;
/** Nothing is seen of the holder, and the key's owner has not heard of its end yet. */
const GONE: readonly string[] = ["noproc", "noconnection"];

interface Mesh {
  readonly link: Link;
  readonly asking: Asking;
  readonly processes: ClientProcesses;
}

/** See {@link Client.lead}. */
export async function runLeader<T>(mesh: Mesh, key: string, work: (lost: AbortSignal) => T | PromiseLike<T>, outside?: AbortSignal): Promise<T> {
  checkTask(work, "lead");
  const candidacy = new Candidacy(mesh, key, outside);
  for (;;) {
    checkAge(await mesh.link.connection(undefined, outside));
    const leader = await candidacy.stand();
    const term = leader && (await candidacy.serve(leader, work));
    if (term) return term.result;
  }
}

class Candidacy {
  private readonly backoff = new Backoff(FIRST_PAUSE_MS, MOST_PAUSE_MS);
  private said = "";

  constructor(
    private readonly mesh: Mesh,
    private readonly key: string,
    private readonly outside: AbortSignal | undefined,
  ) {}

  /** A new process that holds the key; undefined: it does not, and it is time to stand again. */
  async stand(): Promise<ClientProcess | undefined> {
    let process: ClientProcess | undefined;
    let holds = false;
    let soon = false;
    try {
      process = await this.mesh.processes.open(this.outside);
      holds = await this.claim(process);
      if (!holds) soon = !GONE.includes((await this.holdersEnd(process)).kind);
    } catch (problem) {
      this.outside?.throwIfAborted();
      if (!heals(problem, process)) throw problem;
      this.say(`the claim of '${this.key}' failed, and is tried again: ${(problem as Error).message}`);
    } finally {
      if (!holds && process) await this.close(process);
    }
    if (holds || soon) this.backoff.reset();
    else await pause(this.backoff.next(), this.outside);
    return holds ? process : undefined;
  }

  /** What came of the work; undefined: it was cut short. */
  async serve<T>(process: ClientProcess, work: (lost: AbortSignal) => T | PromiseLike<T>): Promise<{ result: T } | undefined> {
    const { outside } = this;
    const lost = new AbortController();
    const giveUp = () => lost.abort(outside?.reason);
    try {
      outside?.addEventListener("abort", giveUp);
      if (outside?.aborted) giveUp();
      void this.watch(process, lost);
      lost.signal.throwIfAborted();
      const result = await work(lost.signal);
      if (!lost.signal.aborted) return { result };
    } catch (problem) {
      if (!lost.signal.aborted) throw problem;
      const isOwn = problem !== lost.signal.reason && (problem as Error | undefined)?.name !== "AbortError";
      if (isOwn) this.mesh.link.logger.warn(`the work of the leader of '${this.key}' was cut short, and failed: ${String(problem)}`);
    } finally {
      outside?.removeEventListener("abort", giveUp);
      await this.close(process);
    }
    outside?.throwIfAborted();
    return undefined;
  }

  /** Until its end, so that what comes for it is read. What was dropped was for nobody: `key_lost` never is, a process that cannot be told of it ends. */
  private async watch(process: ClientProcess, lost: AbortController): Promise<void> {
    for await (const message of process) {
      if (message.kind !== "plain" || message.word !== "key_lost") continue;
      lost.abort(new OrreryError("conflict", `the key '${this.key}' is held by ${message.argument?.pid ?? "another"} now`, "unknown"));
    }
    lost.abort(new ProcessExit(process.ended ?? NORMAL, process.pid, `the leader of '${this.key}'`)); // for nobody, where the work had ended before
  }

  /** False: another holds the key. */
  private async claim(process: ClientProcess): Promise<boolean> {
    const claiming = process.claim(this.key, { timeoutMs: CLAIM_MS });
    try {
      await (this.outside ? abortable(claiming, this.outside) : claiming);
      return true;
    } catch (problem) {
      if (problem instanceof OrreryError && problem.code === "already_exists") return false;
      throw problem;
    }
  }

  /** Waits for the end of who holds the key, or until another does. */
  private async holdersEnd(process: ClientProcess): Promise<Reason> {
    let watched = "";
    let monitor = 0;
    for (;;) {
      const holder = await this.holder();
      if (!holder) return { kind: "noproc", text: "" };
      if (holder.pid !== watched) {
        monitor = await process.monitor(holder.pid);
        watched = holder.pid;
      }
      const reason = await this.down(process, monitor);
      if (reason) return reason;
    }
  }

  private async holder(): Promise<Holder | undefined> {
    const { entries } = await this.mesh.asking.ask("lookup", { key: this.key }, "not_executed", { timeoutMs: LOOK_MS, signal: this.outside });
    return entries[0];
  }

  /** Undefined: it goes on for now. */
  private async down(process: ClientProcess, monitor: number): Promise<Reason | undefined> {
    const end = performance.now() + LOOK_MS;
    for (;;) {
      const left = end - performance.now();
      if (left <= 0) return undefined;
      const message = await process.next({ timeoutMs: left, signal: this.outside }).catch((problem: unknown) => {
        if (!(problem instanceof OrreryError) || problem.code !== "deadline_exceeded") throw problem;
        return null;
      });
      if (message === null) return undefined;
      if (message === undefined) return { kind: "noconnection", text: "" }; // this process has ended itself
      if (message.kind === "down" && message.monitor === monitor) return message.reason;
    }
  }

  /** And with it its hold on the key. */
  private async close(process: ClientProcess): Promise<void> {
    await process.close().catch((problem: Error) => this.say(`the key '${this.key}' may be held still: ${problem.message}`));
  }

  /** Once a reason, not once a try. */
  private say(text: string): void {
    if (text !== this.said) this.mesh.link.logger.warn(text);
    this.said = text;
  }
}

/** Whether standing again may go better: not where the key is none. */
function heals(problem: unknown, process: ClientProcess | undefined): boolean {
  if (!(problem instanceof OrreryError)) return false;
  return HEALED_BY_TIME.includes(problem.code) || problem.code === "deadline_exceeded" || process?.ended !== undefined;
}
