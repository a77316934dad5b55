/** The client: calls to processes anywhere in the mesh, through the sidecar of this pod. */
import { type AskOptions, Asking, PATIENCE_MS, type Retry } from "./asking.js";
import { type ClientProcess, ClientProcesses, type KeySpace } from "./clientprocess.js";
import type { Welcome } from "./connection.js";
import type { ClassDocument, Group, Groups, Holder, NodeDocument, ProcessDocument, Processes, Registry, Tree } from "./documents.js";
import { endpoints } from "./endpoints.js";
import { OrreryError, unavailable } from "./errors.js";
import { Events } from "./events.js";
import { encodeFrame } from "./frames.js";
import { type Logger, type Metrics, consoleLogger, guarded } from "./hooks.js";
import { Host, type HostOptions } from "./host.js";
import { runLeader } from "./lead.js";
import { Link } from "./link.js";
import { type Monitor, Monitors } from "./monitors.js";
import { type NameLike, checkGroup, checkMethod, checkWord, parseName } from "./names.js";
import type { ProcessClass } from "./process.js";
import { type LinkedTask, runLinked } from "./task.js";
import { isTraceparent, traceparent } from "./trace.js";
import { VALUE_BYTES_MAX, type Value, encodeValue } from "./values.js";

/** For everything but calls, whose class has a timeout of its own. */
const QUERY_MS = 10_000;

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

/**
 * Connects to the sidecar. Rejects with `unavailable` where none answers in time, and at once with `forbidden` where its
 * Unix socket may not be opened. The client dials again by itself after a loss.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(options);
  await client.open();
  return client;
}

export class Client implements AsyncDisposable {
  private readonly sidecarLink: Link;
  private readonly asking: Asking;
  private readonly metrics: Required<Metrics>;
  private readonly patienceMs: number | undefined;
  private readonly clientProcesses: ClientProcesses;
  private readonly monitors: Monitors;

  constructor(options: ConnectOptions = {}) {
    const logger = options.logger ?? consoleLogger;
    const { timeoutMs = PATIENCE_MS } = options;
    this.patienceMs = timeoutMs === Infinity ? undefined : timeoutMs;
    this.metrics = guarded(options.metrics, logger);
    this.sidecarLink = new Link(endpoints(options.address), this.metrics, logger);
    this.asking = new Asking(this.sidecarLink, options.retry ?? { attempts: 1 }, this.metrics);
    this.clientProcesses = new ClientProcesses(this.sidecarLink, this.asking);
    this.monitors = new Monitors(this.clientProcesses);
  }

  /** See {@link connect}. */
  async open(signal?: AbortSignal): Promise<void> {
    this.sidecarLink.start();
    try {
      await this.sidecarLink.connection(this.patienceMs, signal);
    } catch (problem) {
      await this.sidecarLink.close();
      throw problem;
    }
  }

  /** Ends the connection. Requests that wait end with `unavailable`. */
  async close(): Promise<void> {
    await this.sidecarLink.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What the sidecar said of itself; undefined while there is no connection. */
  get sidecar(): Welcome | undefined {
    return this.sidecarLink.current?.welcome;
  }

  // ---- processes ----

  /**
   * Asks a process and resolves with its reply. Rejects with an {@link OrreryError} whose `effect` says whether the process may have handled the
   * message. Aborting the signal gives the call up: it is executed all the same where the process had begun it.
   */
  async call<T = any>(to: NameLike, method: string, argument?: Value, options: CallOptions = {}): Promise<T> {
    const fields = this.message(to, method, argument, options.trace);
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
    const connection = this.sidecarLink.current;
    if (!connection) throw unavailable("there is no connection to the sidecar now");
    if (!connection.isWritable) throw new OrreryError("overloaded", "more than 4 MiB wait to be written to the sidecar", "not_executed");
    connection.send(encodeFrame({ type: "cast", ...fields }));
  }

  /**
   * Starts a process, unless it runs already, and resolves with its pid once its `init` is done. Rejects with an {@link OrreryError}, as
   * {@link call} does. `timeoutMs` is 1 ms to 1 h; the default is the class' own.
   */
  async start(name: NameLike, options: AskOptions = {}): Promise<string> {
    return (await this.asking.ask("start", nameFields(name), "unknown", options)).pid;
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

  // ---- being a process ----

  /**
   * A process whose code is here: it gets messages, is in groups, holds keys, watches and is linked. Rejects with `unavailable`, `not_executed` where
   * the sidecar is too old for it, and `overloaded` where the connection has as many as it may (1024). The caller closes it.
   */
  process(options: { signal?: AbortSignal | undefined } = {}): Promise<ClientProcess> {
    return this.clientProcesses.open(options.signal);
  }

  /** Watches a process, by its pid or its name: that which runs now. Resolves when it is watched; {@link Monitor.down} tells of its end. */
  monitor(to: NameLike): Promise<Monitor> {
    return this.monitors.add(to);
  }

  /**
   * Runs a task that is linked with a process that runs, and resolves with what it returns. A link starts none, {@link start} does: of a name that does
   * not run this rejects with a {@link ProcessExit}, reason `noproc`, and the task does not begin. (Of a pid of another node it may have, and is aborted.)
   * - The process ends, other than normally, or the connection is lost: the task's signal is aborted, and once the task has ended this rejects
   *   with a {@link ProcessExit}, which says why: after `moved` it lives on at another node, to be linked with anew. A task that does not look at its
   *   signal is waited for.
   * - The task fails: this rejects with its error, and the process gets an exit signal, `error` with the error's message.
   * - The task returns: nothing happens to the process.
   * - `signal` is aborted: so is the task's, this rejects with its reason, and the process gets an exit signal, `shutdown`.
   */
  link<T>(to: NameLike, task: (linked: LinkedTask) => T | PromiseLike<T>, options: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    return runLinked({ asking: this.asking, processes: this.clientProcesses }, to, task, options.signal, this.sidecarLink.logger);
  }

  /**
   * Leads: stands for a key of the mesh (`mesh_unique`) until it holds it, and does the work meanwhile. Of all that stand for a key, one works.
   * - Another holds the key: its end is waited for, and this stands again.
   * - It holds the key: `work` begins. Its signal is aborted the moment that the key is lost to another, the client process that holds it is killed,
   *   or the connection is lost. Once the work has ended, whatever came of it, this stands again, and works anew. Work that does not look at its
   *   signal is waited for.
   * - The work returns, or fails: the key is free, and this resolves with the result, or rejects with the error.
   * - `signal` is aborted: so is that of the work, the key is free once it has ended, and this rejects with the signal's reason.
   *
   * Goes on without a connection, until there is one. Rejects with an {@link OrreryError} where the client is closed, and where no time heals the claim.
   */
  lead<T>(key: string, work: (lost: AbortSignal) => T | PromiseLike<T>, options: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    return runLeader({ link: this.sidecarLink, asking: this.asking, processes: this.clientProcesses }, key, work, options.signal);
  }

  // ---- groups and keys ----

  /** A plain message to every member of a group that is known, from no process. How many there are. */
  async publish(group: string, word: string, argument?: Value): Promise<number> {
    const fields = { group: checkGroup(group), word: checkWord(word), argument: this.encoded(argument) };
    return (await this.asking.ask("publish", fields, "unknown", { timeoutMs: QUERY_MS })).members;
  }

  /** Who is in a group, as far as this node has heard. */
  async group(group: string): Promise<Group> {
    return this.asking.ask("group", { group: checkGroup(group) }, "not_executed", { timeoutMs: QUERY_MS });
  }

  /** The groups of the mesh. `limit` is 1 to 5000. */
  async groups(filter: { prefix?: string; limit?: number } = {}): Promise<Groups> {
    return this.asking.ask("groups", listFields(filter), "not_executed", { timeoutMs: QUERY_MS });
  }

  /** The keys of the mesh, in order. `limit` is 1 to 5000. */
  async registry(filter: { prefix?: string; limit?: number } = {}): Promise<Registry> {
    return this.asking.ask("registry", listFields(filter), "not_executed", { timeoutMs: QUERY_MS });
  }

  /** Who holds a key, see {@link ClientProcess.claim}: one at most where it is unique. */
  async lookup(key: string, space?: KeySpace): Promise<Holder[]> {
    return (await this.asking.ask("lookup", { key, in: space }, "not_executed", { timeoutMs: QUERY_MS })).entries;
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
    return new Events(this.sidecarLink, types, this.patienceMs);
  }

  // ---- hosting ----

  /** Hosts process classes over this client's connection; see {@link serve}. Resolves when they are registered. */
  async host(classes: readonly ProcessClass[], options: HostOptions = {}): Promise<Host> {
    const host = new Host(this.sidecarLink, this, classes, options, this.metrics);
    await host.open();
    return host;
  }

  private message(to: NameLike, method: string, argument: Value, trace = traceparent.get()): Record<string, unknown> {
    const fields = { ...nameFields(to), method: checkMethod(method), argument: this.encoded(argument) };
    return trace !== undefined && isTraceparent(trace) ? { ...fields, trace } : fields;
  }

  private encoded(argument: Value): unknown {
    return encodeValue(argument, "argument", this.sidecar?.valueBytes ?? VALUE_BYTES_MAX);
  }
}

function listFields({ prefix = "", limit = 1000 }: { prefix?: string; limit?: number }): Record<string, unknown> {
  return { prefix, limit };
}

function nameFields(name: NameLike): { class: string; key: string } {
  const { className, key } = parseName(name);
  return { class: className, key };
}
