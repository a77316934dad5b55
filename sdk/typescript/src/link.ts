/** A connection to the sidecar that is there again after it was lost. */
import { Backoff, pause } from "./backoff.js";
import { Connection } from "./connection.js";
import { SocketDenied } from "./denied.js";
import { type Endpoint, endpointText } from "./endpoints.js";
import { OrreryError, problemText, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";
import type { Logger, Metrics } from "./hooks.js";
import { Waiters } from "./waiters.js";

/** A connection that lasted as long begins the pauses anew; one that is refused at once over and over does not. */
const STEADY_MS = 5000;

/** Who is told of connections, and gets the frames that are no answers. */
export interface Listener {
  /** A new connection stands; nothing of an earlier one holds any more. */
  opened?(connection: Connection): void;
  /** Whether the frame was for this listener. */
  received?(connection: Connection, frame: Frame, state: Uint8Array | undefined): boolean;
  /** The connection has ended, and all requests on it have. */
  lost?(connection: Connection, reason: string): void;
  /** There will be no more connections. */
  ended?(problem: OrreryError): void;
}

/** Dials until {@link close}, with pauses that double from 50 ms to 2 s. */
export class Link {
  current: Connection | undefined;
  readonly listeners: Listener[] = [];
  private readonly closing = new AbortController();
  private running: Promise<void> | undefined;
  private readonly waiters = new Waiters();
  private problem: Error = unavailable("not connected yet");
  private everConnected = false;
  private denials = 0; // rounds of dialling, one after the other, in which a socket was denied
  private denied: SocketDenied | undefined;

  constructor(
    private readonly endpoints: readonly Endpoint[],
    private readonly metrics: Required<Metrics>,
    readonly logger: Logger,
  ) {}

  start(): void {
    this.running ??= this.keepConnected();
  }

  async close(reason = "the client is closed"): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.problem = unavailable(reason);
    this.current?.close();
    await this.running;
    this.waiters.wake();
    for (const listener of [...this.listeners]) listener.ended?.(unavailable(reason));
  }

  remove(listener: Listener): void {
    const index = this.listeners.indexOf(listener);
    if (index >= 0) this.listeners.splice(index, 1);
  }

  /**
   * The connection, or the next one. Rejects with `unavailable` after a time (undefined: never) without, or the
   * signal's reason; with `forbidden` at once where none ever stood and the socket may not be opened.
   */
  async connection(patienceMs?: number, signal?: AbortSignal): Promise<Connection> {
    const end = patienceMs === undefined ? undefined : performance.now() + patienceMs;
    for (;;) {
      signal?.throwIfAborted();
      if (this.current?.isOpen) return this.current;
      if (this.closing.signal.aborted || !this.running) throw unavailable(`no connection to the sidecar: ${problemText(this.problem)}`);
      if (this.denied && !this.everConnected) throw this.denied;
      const left = end === undefined ? undefined : end - performance.now();
      if (left !== undefined && left <= 0) throw this.inVain(patienceMs ?? 0);
      await this.waiters.change(left, signal);
    }
  }

  private inVain(patienceMs: number): OrreryError {
    const where = this.endpoints.map(endpointText).join(" or ");
    return unavailable(`no connection to a sidecar at ${where} within ${patienceMs / 1000} s: ${problemText(this.problem)}`);
  }

  private async keepConnected(): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.closing;
    while (!signal.aborted) {
      const connection = await this.dial();
      if (connection) {
        const since = performance.now();
        await this.untilLost(connection);
        if (performance.now() - since >= STEADY_MS) backoff.reset();
      }
      await pause(backoff.next(), signal);
    }
  }

  /** A sidecar opens its socket to all just after it has made it: so a denial counts when the next round has it too. */
  private async dial(): Promise<Connection | undefined> {
    let denied: SocketDenied | undefined;
    for (const endpoint of this.endpoints) {
      try {
        const connection = await Connection.open(endpoint, (...frame) => this.received(...frame), this.logger);
        this.logger.info(`connected to the sidecar of ${connection.welcome.node} at ${endpointText(endpoint)}`);
        return connection;
      } catch (problem) {
        if (problem instanceof SocketDenied) denied = problem;
        this.failed(endpoint, problem as Error);
      }
    }
    this.denials = denied ? this.denials + 1 : 0;
    this.denied = this.denials >= 2 ? denied : undefined;
    if (this.denied) this.waiters.wake();
    return undefined;
  }

  private received(connection: Connection, frame: Frame, state: Uint8Array | undefined): void {
    if (this.listeners.some((listener) => listener.received?.(connection, frame, state))) return;
    this.logger.debug(`a frame of type '${frame.type}' is passed over`);
    if (frame.type !== "work") return; // this is of a host that has ended: who waits is to hear so
    connection.tell({ type: "done", work: frame["work"], crash: { text: `this app does not host class '${frame["class"]}'` } });
  }

  private failed(endpoint: Endpoint, problem: Error): void {
    if (problem.message !== this.problem.message) {
      const text = `no connection to the sidecar at ${endpointText(endpoint)}: ${problem.message}`; // once a reason, not once a try
      if (problem instanceof OrreryError && problem.code === "protocol") this.logger.error(text);
      else this.logger.warn(text);
    }
    if (!this.closing.signal.aborted) this.problem = problem;
  }

  private async untilLost(connection: Connection): Promise<void> {
    if (this.closing.signal.aborted) connection.close();
    this.current = connection;
    this.everConnected = true;
    this.denials = 0;
    this.denied = undefined;
    this.metrics.connected(connection.welcome.node);
    for (const listener of [...this.listeners]) listener.opened?.(connection);
    this.waiters.wake();
    const reason = await connection.closed;
    this.current = undefined;
    if (!this.closing.signal.aborted) this.logger.warn(`the connection to the sidecar ended: ${reason}`);
    if (!this.closing.signal.aborted) this.problem = unavailable(`the connection ended: ${reason}`);
    this.metrics.disconnected(reason);
    for (const listener of [...this.listeners]) listener.lost?.(connection, reason);
  }
}
