/** Hosting: registers process classes with the sidecar, and does the work that it hands over. */
import { LazyAbort } from "./abort.js";
import { Backoff, pause } from "./backoff.js";
import type { Client } from "./client.js";
import type { Connection } from "./connection.js";
import type { Runtime } from "./context.js";
import { type Callback, type Definition, definitionsOf } from "./definition.js";
import { OrreryError } from "./errors.js";
import { type Frame, encodeFrame } from "./frames.js";
import type { Logger, Metrics } from "./hooks.js";
import { LagWatch, TICK_MS } from "./lag.js";
import type { Link, Listener } from "./link.js";
import type { NameLike } from "./names.js";
import type { ProcessClass } from "./process.js";
import { VALUE_BYTES_MAX, type Value } from "./values.js";
import { type Done, type Work, crash, givenUp, handle, workOf, workText } from "./work.js";

const DRAIN_MS = 20_000;

export interface HostOptions {
  /** Names this app and its version to people. */
  readonly app?: string | undefined;
  /** Overrides that of the classes: how much of each is handled here at once. */
  readonly concurrency?: number | undefined;
  /** Gives registering up. Work comes before all classes are registered: what is at work then is drained first. */
  readonly signal?: AbortSignal | undefined;
  /** For what is at work when it ends. Default: 20 s. */
  readonly drainTimeoutMs?: number | undefined;
}

/** `ready`, `undeclared` (no such `ProcessClass` yet) or `other` (it is not app-hosted any more). */
export type ClassState = "ready" | "undeclared" | "other";

interface AtWork {
  readonly work: Work;
  readonly abort: LazyAbort;
  /** Nobody is to hear what comes of it: its connection has ended, or the host has. */
  abandoned: boolean;
}

/**
 * Hosts classes over a client's connection; made by {@link Client.host}. Registers again by itself on every new connection. When a connection is
 * lost, handlers at work see their signal aborted: the sidecar has ended exactly the processes that they worked for.
 */
export class Host implements Listener, Runtime, AsyncDisposable {
  /** By class. */
  readonly states = new Map<string, ClassState>();
  readonly logger: Logger;
  valueBytes = VALUE_BYTES_MAX;
  private readonly definitions: Map<string, Definition>;
  private readonly asked = new Set<string>(); // classes that this connection was asked to register, until they are drained
  private readonly atWork = new Set<AtWork>();
  private readonly justEnded: { at: number; work: Work }[] = []; // those that blocked the event loop have ended when it goes on
  private readonly lag: LagWatch;
  private connection: Connection | undefined;
  private draining = false;
  private registeredOnce!: () => void;
  private fail!: (problem: Error) => void;
  private readonly registered = new Promise<void>((resolve) => (this.registeredOnce = resolve));
  private readonly failure = new Promise<never>((_, reject) => (this.fail = reject));

  constructor(
    private readonly link: Link,
    private readonly client: Client,
    classes: readonly ProcessClass[],
    private readonly options: HostOptions,
    private readonly metrics: Required<Metrics>,
  ) {
    this.definitions = definitionsOf(classes);
    this.logger = link.logger;
    this.lag = new LagWatch(() => this.describeWork(), this.logger);
    this.failure.catch(() => {}); // whoever waits for it hears it; else it was logged
  }

  // ---- its life ----

  /** Registers. Rejects with an {@link OrreryError} where the sidecar refuses a class for good. */
  async open(): Promise<void> {
    this.link.listeners.unshift(this); // work is most of what comes
    this.lag.start();
    const { signal } = this.options;
    const aborted = () => this.fail(signal?.reason as Error);
    signal?.addEventListener("abort", aborted);
    try {
      this.opened(await this.link.connection(undefined, signal));
      await Promise.race([this.registered, this.failure]);
    } catch (problem) {
      if (signal?.aborted) await this.drain();
      this.close();
      throw problem;
    } finally {
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Takes no more work and finishes what is here. Whether that was done in time. */
  async drain(timeoutMs = this.options.drainTimeoutMs ?? DRAIN_MS): Promise<boolean> {
    this.draining = true;
    const { connection } = this;
    if (!connection?.isOpen) return true;
    const asked = [...this.asked]; // each by its name: the connection may be another host's too
    const drained = asked.map((className) => {
      const id = connection.nextId();
      const answer = connection.request(id, { type: "drain", class: className }, "not_executed");
      connection.limit(id, timeoutMs);
      return answer;
    });
    try {
      await Promise.all(drained);
      for (const className of asked) this.asked.delete(className);
      return true;
    } catch (problem) {
      const left = this.atWork.size;
      if (connection.isOpen) this.logger.warn(`draining did not end in time, with ${left} handlers at work: ${(problem as Error).message}`);
      else if (left > 0) this.logger.warn(`the connection to the sidecar was lost while ${left} handlers were at work: their processes have ended`);
      return !connection.isOpen && left === 0; // without a sidecar there is nothing more to finish
    }
  }

  /**
   * Hosts no more. Handlers at work see their signal aborted, what they still say is for nobody, and their callers hear `unavailable`, `unknown`;
   * {@link drain} first lets them finish.
   */
  close(): void {
    this.link.remove(this);
    this.withdraw();
    this.connection = undefined;
    this.abandon("the host has ended");
    this.lag.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.drain();
    } finally {
      this.close();
    }
  }

  /** Rejects when hosting cannot go on, with the reason: a class that the sidecar does not take, or a closed client. */
  failed(): Promise<never> {
    return this.failure;
  }

  // ---- registering ----

  opened(connection: Connection): void {
    if (this.connection === connection || this.draining) return;
    this.connection = connection;
    this.asked.clear();
    this.valueBytes = connection.welcome.valueBytes;
    void this.registerAll(connection);
  }

  private async registerAll(connection: Connection): Promise<void> {
    if (!connection.welcome.features.has("host")) {
      this.fail(new OrreryError("protocol", "this sidecar hosts no classes of apps", "not_executed"));
      return;
    }
    const backoff = new Backoff(200, 5000);
    let waiting = [...this.definitions.values()];
    const wanted = () => connection === this.connection && connection.isOpen && !this.draining;
    while (waiting.length > 0 && wanted()) {
      const refused: Definition[] = [];
      for (const definition of waiting) if (wanted() && !(await this.registerOne(connection, definition))) refused.push(definition);
      waiting = refused;
      if (waiting.length > 0) await pause(backoff.next());
    }
    if (waiting.length === 0) this.registeredOnce();
  }

  /** Whether the sidecar knows the class now; errors that time cannot heal end the host. */
  private async registerOne(connection: Connection, definition: Definition): Promise<boolean> {
    const { className } = definition;
    const { app = "", concurrency } = this.options;
    const refused: Callback[] = connection.welcome.features.has("processes") ? [] : ["handoff"];
    this.asked.add(className);
    try {
      // As long as it takes: a connection that is alive brings an answer, and one that is given up may be carried out all the same.
      const answer = connection.request(connection.nextId(), { type: "register", ...definition.registration(app, concurrency, refused) }, "not_executed");
      const { state = "ready" } = ((await answer) ?? {}) as { state?: ClassState };
      this.setState(className, state);
      return true;
    } catch (problem) {
      this.asked.delete(className);
      const { code } = problem as OrreryError;
      this.logger.error(`class '${className}' is not registered: ${(problem as Error).message}`);
      const forGood = code === "invalid_argument" || code === "already_exists" || (code === "conflict" && !this.states.has(className));
      if (forGood) this.fail(problem as OrreryError);
      return false;
    }
  }

  /** Takes back what is registered, so that nothing more is handed over that nobody would answer. */
  private withdraw(): void {
    const others = this.link.listeners.flatMap((listener) => (listener instanceof Host ? [...listener.asked] : []));
    for (const className of this.asked) {
      if (!others.includes(className)) this.connection?.tell({ type: "drain", id: this.connection.nextId(), class: className });
    }
    this.asked.clear();
  }

  private setState(className: string, state: ClassState): void {
    if (this.states.get(className) !== state) {
      const text = `class '${className}' is ${{ ready: "ready", undeclared: "not declared yet", other: "not app-hosted" }[state] ?? state}`;
      if (state === "ready") this.logger.info(text);
      else this.logger.warn(text);
    }
    this.states.set(className, state);
  }

  // ---- Listener ----

  received(connection: Connection, frame: Frame, state: Uint8Array | undefined): boolean {
    switch (frame.type) {
      case "work":
        if (!this.definitions.has(frame["class"])) return false;
        this.start(connection, frame, state);
        return true;
      case "cancel":
        return this.cancel(connection, frame["work"], frame["text"] ?? "");
      case "class":
        if (!this.definitions.has(frame["class"])) return false;
        this.setState(frame["class"], frame["state"] ?? "ready");
        return true;
      case "refused":
        this.logger.error(`the sidecar refused what a handler did: ${frame["error"]?.code}: ${frame["error"]?.text}`);
        return true;
      default:
        return false;
    }
  }

  lost(): void {
    this.abandon("the connection was lost");
  }

  ended(problem: OrreryError): void {
    this.fail(problem);
  }

  // ---- work ----

  private start(connection: Connection, frame: Frame, state: Uint8Array | undefined): void {
    const abort = new LazyAbort();
    const one: AtWork = { work: workOf(frame, state, abort, connection), abort, abandoned: false };
    this.atWork.add(one);
    void this.do(one);
  }

  private async do(one: AtWork): Promise<void> {
    const { work, abort } = one;
    const started = performance.now();
    const done = await this.handled(work);
    this.atWork.delete(one);
    if (this.justEnded.push({ at: performance.now(), work }) > 5) this.justEnded.shift();
    if (one.abandoned) this.sendDone(work, givenUp(work));
    else this.sendDone(work, abort.aborted ? { fields: {}, outcome: "cancelled" } : done);
    const outcome = abort.aborted ? "cancelled" : done.outcome;
    this.metrics.handled(work.className, work.callback, work.method, outcome, performance.now() - started);
  }

  private async handled(work: Work): Promise<Done> {
    try {
      return await handle(this.definitions.get(work.className) as Definition, work, this);
    } catch {
      this.logger.error(`${work.className}/${work.key} could not be handled, in ${workText(work)}`);
      return crash("the handler ended with what cannot be told"); // as an error whose text cannot be made
    }
  }

  private sendDone(work: Work, done: Done): void {
    const connection = work.connection as Connection;
    if (!connection.isOpen) return;
    const { frameBytes } = connection.welcome;
    let bytes: Uint8Array | undefined;
    let why = "";
    try {
      bytes = encodeFrame({ type: "done", work: work.id, ...done.fields });
      if (bytes.length > frameBytes) why = `state, reply and effects together have ${bytes.length} bytes; a frame has at most ${frameBytes}`;
    } catch (problem) {
      why = `what the handler did cannot be sent: ${(problem as Error).message}`;
    }
    if (!bytes || why) {
      this.logger.error(`${work.className}/${work.key}: ${why}`);
      bytes = encodeFrame({ type: "done", work: work.id, ...crash(why).fields });
    }
    connection.send(bytes);
  }

  private cancel(connection: Connection, id: unknown, text: string): boolean {
    for (const { work, abort } of this.atWork) {
      if (work.connection !== connection || work.id !== id) continue;
      this.logger.warn(`${work.className}/${work.key}: nobody waits for ${workText(work)} any more: ${text}`);
      abort.abort(new OrreryError("cancelled", text, "unknown"));
      return true;
    }
    return false;
  }

  private abandon(reason: string): void {
    for (const one of this.atWork) {
      one.abandoned ||= !one.abort.aborted; // what was cancelled before ends with an empty done
      one.abort.abort(new OrreryError("cancelled", reason, "unknown"));
    }
  }

  private describeWork(): string {
    const since = performance.now() - TICK_MS;
    const works = [...this.justEnded.filter(({ at }) => at >= since), ...this.atWork].map(({ work }) => work);
    return works.slice(0, 5).map((work) => `${work.className}/${work.key} ${work.method || work.callback}`).join(", ");
  }

  // ---- Runtime ----

  callFrom(work: Work, to: NameLike, method: string, argument: unknown, options: { timeoutMs?: number | undefined }): Promise<any> {
    return this.client.call(to, method, argument as Value, { ...options, signal: work.signal });
  }
}
