/** How a request is made: a connection, a place among the requests under way, the deadline, and tries after it failed unharmed. */
import { Backoff, pause } from "./backoff.js";
import type { Connection } from "./connection.js";
import { type Effect, OrreryError, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";
import { Gate } from "./gate.js";
import type { Metrics } from "./hooks.js";
import type { Link, Listener } from "./link.js";
import { workAtHand } from "./trace.js";
import { checkTimeout } from "./values.js";

/** How long a request without a timeout waits for a connection. */
export const PATIENCE_MS = 10_000;
/** The sidecar keeps a call's deadline; so much later it counts as deaf. */
const GRACE_MS = 2000;
const REQUESTS_DEFAULT = 1024;
/** The sidecar counts all requests. So many are left for those that wait in no line: 64 classes and 16 subscriptions on a connection, and a drain. */
export const HEADROOM = 64 + 16 + 1;
/** Requests with a deadline that the sidecar keeps. */
const TIMED: readonly string[] = ["call", "start", "claim"];
/** Requests that sidecars do not know whose welcome lacks the feature `processes`. */
const OF_PROCESSES: readonly string[] = ["start", "open", "publish", "group", "groups", "registry", "lookup"];
export const HEALED_BY_TIME: readonly string[] = ["unavailable", "overloaded", "draining", "isolated"];

/**
 * Asks again after errors that say `not_executed` and that time may heal. Nothing that may have taken effect is asked twice. `attempts`
 * counts the first try; pauses double from `firstPauseMs` to `mostPauseMs`. The request's timeout holds for all tries together.
 */
export interface Retry {
  readonly attempts: number;
  readonly firstPauseMs?: number;
  readonly mostPauseMs?: number;
}

export interface AskOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: Retry | undefined;
}

/** Where a request goes: without a word, over the connection that there is. */
export interface Route {
  /** Only there: what it is about ends with that connection. */
  readonly on?: Connection;
  /** Told of the connection just before it carries the request. */
  readonly sending?: (connection: Connection) => void;
}

export class Asking implements Listener {
  private readonly gate = new Gate(REQUESTS_DEFAULT - HEADROOM);

  constructor(
    private readonly link: Link,
    private readonly retry: Retry,
    private readonly metrics: Required<Metrics>,
  ) {
    if (!(retry.attempts >= 1)) throw new RangeError(`attempts is ${retry.attempts}; it counts the first try and is at least 1`);
    link.listeners.push(this);
  }

  opened(connection: Connection): void {
    this.gate.resize(Math.max(1, connection.welcome.requests - HEADROOM));
  }

  /** The result. Rejects with an {@link OrreryError}, which says `effectIfLost` where the connection was lost, or the signal's reason. */
  async ask(operation: string, fields: Record<string, unknown>, effectIfLost: Effect, options: AskOptions & Route = {}): Promise<any> {
    const { timeoutMs } = options;
    checkTimeout(timeoutMs);
    const started = performance.now();
    const deadline = timeoutMs === undefined ? undefined : started + timeoutMs;
    let code = "ok";
    try {
      return await this.tries(operation, fields, effectIfLost, deadline, options);
    } catch (problem) {
      code = problem instanceof OrreryError ? problem.code : "cancelled";
      throw problem;
    } finally {
      const { class: className = "", method = "" } = fields as { class?: string; method?: string };
      this.metrics.requested(operation, className, method, code, performance.now() - started);
    }
  }

  private async tries(operation: string, fields: object, effectIfLost: Effect, deadline: number | undefined, options: AskOptions & Route): Promise<unknown> {
    const { attempts, firstPauseMs, mostPauseMs } = options.retry ?? this.retry;
    const backoff = new Backoff(firstPauseMs, mostPauseMs);
    for (let left = attempts - 1; ; left--) {
      try {
        return await this.once(operation, fields, effectIfLost, deadline, options);
      } catch (problem) {
        const ms = backoff.next();
        const inVain = options.on?.isOpen === false;
        const late = deadline !== undefined && performance.now() + ms >= deadline;
        if (left <= 0 || late || inVain || !heals(problem)) throw problem;
        await pause(ms, options.signal);
      }
    }
  }

  private async once(operation: string, fields: object, effectIfLost: Effect, deadline: number | undefined, options: AskOptions & Route): Promise<unknown> {
    const { signal, on, sending } = options;
    signal?.throwIfAborted();
    if (!this.gate.tryEnter()) await this.gate.enter(leftOf(deadline), signal);
    try {
      const current = on ?? this.link.current;
      const connection = current?.isOpen && current.isWritable ? current : await this.ready(deadline, signal, on);
      if (OF_PROCESSES.includes(operation)) checkAge(connection);
      sending?.(connection);
      const id = connection.nextId();
      const left = leftOf(deadline);
      const answer = connection.request(id, frameOf(operation, fields, connection, left), effectIfLost);
      if (left !== undefined) connection.limit(id, TIMED.includes(operation) ? left + GRACE_MS : left);
      try {
        return await (signal ? abortable(answer, signal) : answer);
      } finally {
        connection.cancel(id); // does nothing where it was answered
      }
    } finally {
      this.gate.leave();
    }
  }

  /** A connection that takes a frame now: that one, or any. */
  private async ready(deadline: number | undefined, signal: AbortSignal | undefined, on: Connection | undefined): Promise<Connection> {
    for (;;) {
      const left = leftOf(deadline);
      const connection = on ?? (await this.link.connection(left ?? PATIENCE_MS, signal));
      if (!connection.isOpen) throw unavailable("the connection to the sidecar that this was about has ended");
      if (connection.isWritable) return connection;
      await atMost(connection.writable(), left, signal);
      if (leftOf(deadline) === 0) throw new OrreryError("deadline_exceeded", "the sidecar did not read in time", "not_executed");
    }
  }
}

function heals(problem: unknown): boolean {
  return problem instanceof OrreryError && problem.effect === "not_executed" && HEALED_BY_TIME.includes(problem.code);
}

/** Throws `unavailable` where the sidecar has no processes of clients. */
export function checkAge({ welcome: { features, sidecar, node } }: Connection): void {
  if (features.has("processes")) return;
  throw unavailable(`the sidecar of ${node} is too old for this: version ${sidecar} does not have the feature 'processes'`);
}

function leftOf(deadline: number | undefined): number | undefined {
  return deadline === undefined ? undefined : Math.max(0, deadline - performance.now());
}

function frameOf(operation: string, fields: object, connection: Connection, left: number | undefined): Frame {
  const frame: Frame = { type: operation, ...fields };
  if (!TIMED.includes(operation)) return frame;
  if (left !== undefined) frame["timeoutMs"] = Math.max(1, Math.round(left));
  if (operation !== "call") return frame;
  const work = workAtHand();
  if (work?.connection === connection) frame["onBehalfOf"] = work.id;
  return frame;
}

/** Waits for it, but no longer than a time. Rejects with the signal's reason. */
async function atMost(waiting: Promise<void>, ms: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = ms === undefined ? [] : [new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))];
  const first = Promise.race([waiting, ...late]);
  try {
    await (signal ? abortable(first, signal) : first);
  } finally {
    clearTimeout(timer);
  }
}

/** As the answer, or rejects with the signal's reason where that is first. */
export function abortable<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const aborted = () => reject(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
