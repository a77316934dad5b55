/** The client: calls to processes anywhere in the mesh, through the sidecar of this pod. */
import { type AskOptions, Asking, PATIENCE_MS, type Retry } from "./asking.js";
import type { Welcome } from "./connection.js";
import type { ClassDocument, NodeDocument, ProcessDocument, Processes, Tree } from "./documents.js";
import { endpoints } from "./endpoints.js";
import { OrreryError, invalid, unavailable } from "./errors.js";
import { Events } from "./events.js";
import { encodeFrame } from "./frames.js";
import { type Logger, type Metrics, consoleLogger, guarded } from "./hooks.js";
import { Host, type HostOptions } from "./host.js";
import { Link } from "./link.js";
import { type NameLike, checkMethod, parseName } from "./names.js";
import type { ProcessClass } from "./process.js";
import { isTraceparent, traceparent } from "./trace.js";
import { VALUE_BYTES_MAX, type Value, encodeValue } from "./values.js";

/** For everything but calls, whose class has a timeout of its own. */
const QUERY_MS = 10_000;
const TIMEOUT_MS_MAX = 3_600_000;

export interface ConnectOptions {
  /** `unix:/path`, `/path`, `tcp:host:port`, `host:port` or `ws://host:port`; without it `$ORRERY_SOCKET`, `$ORRERY_TCP`, then the defaults. */
  readonly address?: string | undefined;
  /** How long to wait for a sidecar that is not there yet; `Infinity`: for ever. Default: 10 s. */
  readonly timeoutMs?: number;
  /** The policy for all requests that name none. Default: nothing is asked twice. */
  readonly retry?: Retry | undefined;
  readonly logger?: Logger | undefined;
  readonly metrics?: Metrics | undefined;
}

export interface CastOptions extends Omit<AskOptions, "timeoutMs"> {
  /** A W3C `traceparent`; the default is that of {@link traceparent}. */
  readonly trace?: string | undefined;
}
export interface CallOptions extends CastOptions {
  /** Until the sidecar answers `deadline_exceeded`; 1 ms to 1 h. The default is the class' own. */
  readonly timeoutMs?: number | undefined;
}

/** Connects to the sidecar. Rejects with `unavailable` where none answers in time. The client dials again by itself after a loss. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(options);
  await client.open();
  return client;
}

export class Client implements AsyncDisposable {
  private readonly link: Link;
  private readonly asking: Asking;
  private readonly metrics: Required<Metrics>;
  private readonly patienceMs: number | undefined;

  constructor(options: ConnectOptions = {}) {
    const logger = options.logger ?? consoleLogger;
    const { timeoutMs = PATIENCE_MS } = options;
    this.patienceMs = timeoutMs === Infinity ? undefined : timeoutMs;
    this.metrics = guarded(options.metrics, logger);
    this.link = new Link(endpoints(options.address), this.metrics, logger);
    this.asking = new Asking(this.link, options.retry ?? { attempts: 1 }, this.metrics);
  }

  /** See {@link connect}. */
  async open(signal?: AbortSignal): Promise<void> {
    this.link.start();
    try {
      await this.link.connection(this.patienceMs, signal);
    } catch (problem) {
      await this.link.close();
      throw problem;
    }
  }

  /** Ends the connection. Requests that wait end with `unavailable`. */
  async close(): Promise<void> {
    await this.link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What the sidecar said of itself; undefined while there is no connection. */
  get sidecar(): Welcome | undefined {
    return this.link.current?.welcome;
  }

  // ---- processes ----

  /**
   * Asks a process and resolves with its reply. Rejects with an {@link OrreryError} whose `effect` says whether the process may have handled the
   * message. Aborting the signal gives the call up: it is executed all the same where the process had begun it.
   */
  async call<T = any>(to: NameLike, method: string, argument?: Value, options: CallOptions = {}): Promise<T> {
    const { timeoutMs } = options;
    const fields = this.message(to, method, argument, options.trace);
    if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX)) {
      throw invalid(`a timeout is over 0 and at most ${TIMEOUT_MS_MAX} ms, not ${timeoutMs}`);
    }
    return this.asking.ask("call", fields, "unknown", options);
  }

  /** Sends a message that the process does not answer. Resolves when the sidecar has accepted it. */
  async cast(to: NameLike, method: string, argument?: Value, options: CastOptions = {}): Promise<void> {
    await this.asking.ask("cast", this.message(to, method, argument, options.trace), "unknown", { ...options, timeoutMs: QUERY_MS });
  }

  /**
   * Sends a message and hears nothing more of it, not even whether there is such a class. Throws `unavailable` without a connection, and
   * `overloaded` where the sidecar does not read fast enough.
   */
  castNoWait(to: NameLike, method: string, argument?: Value, trace?: string): void {
    const fields = this.message(to, method, argument, trace);
    const connection = this.link.current;
    if (!connection) throw unavailable("there is no connection to the sidecar now");
    if (!connection.isWritable) throw new OrreryError("overloaded", "more than 4 MiB wait to be written to the sidecar", "not_executed");
    connection.send(encodeFrame({ type: "cast", ...fields }));
  }

  /** Tells of one process. Rejects with `not_found`, whose text names the owner, where it does not run. */
  async inspect(name: NameLike): Promise<ProcessDocument> {
    return this.asking.ask("inspect", nameFields(name), "not_executed", { timeoutMs: QUERY_MS });
  }

  /** Ends a process in order. */
  async stop(name: NameLike): Promise<void> {
    await this.asking.ask("stop", nameFields(name), "unknown", { timeoutMs: QUERY_MS });
  }

  /** Ends a process at once; its supervisor acts. */
  async kill(name: NameLike, reason = "killed"): Promise<void> {
    await this.asking.ask("kill", { ...nameFields(name), reason }, "unknown", { timeoutMs: QUERY_MS });
  }

  // ---- the mesh ----

  async nodes(): Promise<NodeDocument[]> {
    return (await this.asking.ask("nodes", {}, "not_executed", { timeoutMs: QUERY_MS })).nodes;
  }

  /** Processes of the whole mesh, or of this node only. */
  async processes(filter: { className?: string | undefined; limit?: number; local?: boolean } = {}): Promise<Processes> {
    const fields = { class: filter.className, limit: filter.limit ?? 1000, local: filter.local ?? false };
    return this.asking.ask("processes", fields, "not_executed", { timeoutMs: QUERY_MS });
  }

  async classes(): Promise<ClassDocument[]> {
    return (await this.asking.ask("classes", {}, "not_executed", { timeoutMs: QUERY_MS })).classes;
  }

  /** The supervisors of every node, or of this one only. */
  async tree(filter: { local?: boolean } = {}): Promise<Tree> {
    return this.asking.ask("tree", { local: filter.local ?? false }, "not_executed", { timeoutMs: QUERY_MS });
  }

  /** What happens from now on; all types where none is named. */
  events(...types: string[]): Events {
    return new Events(this.link, types, this.patienceMs);
  }

  // ---- hosting ----

  /** Hosts process classes over this client's connection; see {@link serve}. Resolves when they are registered. */
  async host(classes: readonly ProcessClass[], options: HostOptions = {}): Promise<Host> {
    const host = new Host(this.link, this, classes, options, this.metrics);
    await host.open();
    return host;
  }

  private message(to: NameLike, method: string, argument: Value, trace = traceparent.get()): Record<string, unknown> {
    const limit = this.sidecar?.valueBytes ?? VALUE_BYTES_MAX;
    const fields = { ...nameFields(to), method: checkMethod(method), argument: encodeValue(argument, "argument", limit) };
    return trace !== undefined && isTraceparent(trace) ? { ...fields, trace } : fields;
  }
}

function nameFields(name: NameLike): { class: string; key: string } {
  const { className, key } = parseName(name);
  return { class: className, key };
}
