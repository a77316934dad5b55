/** One connection to the sidecar, from its hello to its end. Dialling again is the link's business. */
import { type Carrier, type Receiver, dial } from "./carrier.js";
import { CborError } from "./cbor.js";
import { type Endpoint, endpointText } from "./endpoints.js";
import { type Effect, OrreryError, invalid, unavailable } from "./errors.js";
import { FRAME_BYTES_MAX, type Frame, decodeFrame, encodeFrame } from "./frames.js";
import type { Logger } from "./hooks.js";
import { Requests } from "./requests.js";
import { VALUE_BYTES_MAX } from "./values.js";
import { VERSION } from "./version.js";

export const PROTOCOL_VERSION = 1;
const HELLO_MS = 5000;
const CLOSE_MS = 1000; // for what is unwritten when it closes
/** With more than this unwritten, new requests wait, and casts that ask for no answer are refused. */
export const WRITE_BYTES_MAX = 4 * 1024 * 1024;

/** What the sidecar said about itself and its limits. */
export interface Welcome {
  readonly node: string;
  readonly mesh: string;
  readonly sidecar: string;
  readonly features: ReadonlySet<string>;
  readonly keepaliveMs: number;
  readonly frameBytes: number;
  readonly valueBytes: number;
  readonly requests: number;
}

export type FrameHandler = (connection: Connection, frame: Frame, state: Uint8Array | undefined) => void;

/** Carries frames and keeps requests. `onFrame` gets what is neither a result nor housekeeping: events, work, and what concerns them. */
export class Connection {
  readonly welcome: Welcome;
  /** Resolves with the reason, for people, once the connection has ended and all its requests have. */
  readonly closed: Promise<string>;
  private readonly requests = new Requests();
  private lastId = 0;
  private heard = performance.now();
  private keepalive: NodeJS.Timeout | undefined;
  private endedBecause = "";

  private constructor(
    private readonly carrier: Carrier,
    welcome: Frame,
    incoming: Incoming,
    onFrame: FrameHandler,
    private readonly logger: Logger,
  ) {
    this.welcome = welcomeOf(welcome);
    this.closed = new Promise((resolve) => {
      incoming.ended = (problem) => {
        clearTimeout(this.keepalive);
        const reason = this.reason(problem);
        this.requests.loseAll(reason);
        resolve(reason);
      };
    });
    incoming.received = (frame, state) => this.received(frame, state, onFrame);
    incoming.unreadable = (problem) => {
      this.logger.error(`what came from the sidecar cannot be read: ${problem.text}`);
      this.close(problem.text, "protocol");
    };
    incoming.heard = () => (this.heard = performance.now());
    this.watch();
  }

  /** Dials and greets. Rejects with a system error, or an {@link OrreryError} where no welcome comes. */
  static async open(endpoint: Endpoint, onFrame: FrameHandler, logger: Logger): Promise<Connection> {
    const incoming = new Incoming();
    const carrier = await dial(endpoint, incoming);
    try {
      const client = `orrery-typescript/${VERSION} (node ${process.versions.node})`;
      carrier.write(encodeFrame({ type: "hello", version: PROTOCOL_VERSION, minVersion: 1, features: [], client }));
      return new Connection(carrier, await incoming.welcome(endpointText(endpoint)), incoming, onFrame, logger);
    } catch (problem) {
      carrier.destroy();
      throw problem;
    }
  }

  get isOpen(): boolean {
    return this.carrier.isOpen && !this.endedBecause;
  }

  get isWritable(): boolean {
    return this.carrier.unwritten <= WRITE_BYTES_MAX;
  }

  /** Resolves when less than the maximum is unwritten, or the connection has ended. */
  async writable(): Promise<void> {
    if (!this.isWritable) await this.carrier.drained();
  }

  /** Says goodbye, and closes once that is written. */
  close(text = "the client is done", code = "cancelled"): void {
    if (!this.isOpen) return;
    this.tell({ type: "goodbye", code, text });
    this.endedBecause = text;
    this.carrier.end();
    setTimeout(() => this.carrier.destroy(), CLOSE_MS).unref();
  }

  /** Ends it at once, whatever is unwritten. */
  abort(reason: string): void {
    this.endedBecause ||= reason;
    this.carrier.destroy();
  }

  // ---- frames out ----

  /** Sends a frame that is encoded. Throws `unavailable` where the connection has ended. */
  send(bytes: Uint8Array): void {
    if (!this.isOpen) throw unavailable("the connection to the sidecar is closed");
    this.carrier.write(bytes);
  }

  /** Sends what has no answer; to nobody where the connection has ended. */
  tell(frame: Frame): void {
    if (this.isOpen) this.send(encodeFrame(frame));
  }

  nextId(): number {
    return ++this.lastId;
  }

  /**
   * Sends a request under an id from {@link nextId}. Ends with the result, or with an {@link OrreryError}. Throws `invalid_argument` for what
   * cannot be sent, as a text that is no valid Unicode.
   */
  request(id: number, frame: Frame, effectIfLost: Effect = "unknown"): Promise<unknown> {
    let bytes: Uint8Array;
    try {
      bytes = encodeFrame({ ...frame, id });
    } catch (problem) {
      if (!(problem instanceof CborError)) throw problem;
      throw invalid(`the ${frame.type} cannot be sent: ${problem.message}`);
    }
    this.send(bytes);
    return this.requests.add(id, effectIfLost);
  }

  /** See {@link Requests.limit}. */
  limit(id: number, ms: number): void {
    this.requests.limit(id, ms);
  }

  /** Gives a request up, where it is still open: the sidecar is told, and its late result is dropped. */
  cancel(id: number): void {
    if (this.requests.drop(id)) this.tell({ type: "cancel", id });
  }

  // ---- frames in ----

  private received(frame: Frame, state: Uint8Array | undefined, onFrame: FrameHandler): void {
    switch (frame.type) {
      case "result":
        return this.requests.takeResult(frame);
      case "ping":
        return this.tell({ type: "pong", n: frame["n"] });
      case "goodbye":
        this.endedBecause = goodbyeText(frame);
        this.carrier.end();
        return;
      case "pong":
      case "welcome":
        return;
      default:
        return onFrame(this, frame, state);
    }
  }

  private reason(problem: Error | undefined): string {
    return this.endedBecause || problem?.message || "closed by the other side";
  }

  /** Pings where nothing was heard for the keepalive time, gives up after twice that. */
  private watch(due = Infinity): void {
    const { keepaliveMs } = this.welcome;
    const now = performance.now();
    const silent = now - this.heard;
    let wait = keepaliveMs - silent;
    if (now - due > keepaliveMs / 4) {
      wait = keepaliveMs / 4; // this loop was blocked: what has arrived meanwhile is not read yet
    } else if (silent >= 2 * keepaliveMs) {
      this.abort(`nothing was heard from the sidecar for ${(silent / 1000).toFixed(1)} s`);
      return;
    } else if (silent >= keepaliveMs) {
      this.tell({ type: "ping", n: 1 });
      wait = 2 * keepaliveMs - silent;
    }
    this.keepalive = setTimeout(() => this.watch(now + wait), wait);
  }
}

/** What a carrier brings as frames, before there is a connection to give them to and after. */
class Incoming implements Receiver {
  received: (frame: Frame, state: Uint8Array | undefined) => void = (frame) => this.first(frame);
  unreadable: (problem: OrreryError) => void = (problem) => this.fail(protocolError(`this is no sidecar: ${problem.text}`));
  ended: (problem: Error | undefined) => void = (problem) => this.fail(unavailable(`the connection ended: ${problem?.message ?? "closed"}`));
  heard: () => void = () => {};
  private readonly greeting: Promise<Frame>;
  private first!: (frame: Frame) => void;
  private fail!: (problem: Error) => void;

  constructor() {
    this.greeting = new Promise((resolve, reject) => {
      this.fail = reject;
      this.first = (frame) => {
        if (frame.type === "welcome") resolve(frame);
        else if (frame.type === "goodbye") reject(new OrreryError(String(frame["code"]), goodbyeText(frame), "not_executed"));
      };
    });
    this.greeting.catch(() => {}); // looked at, even where nobody waits for it any more
  }

  async welcome(where: string): Promise<Frame> {
    const text = `${where} did not answer the hello within ${HELLO_MS / 1000} s`;
    const timer = setTimeout(() => this.fail(unavailable(text)), HELLO_MS);
    try {
      return await this.greeting;
    } finally {
      clearTimeout(timer);
    }
  }

  alive(): void {
    this.heard();
  }

  body(bytes: Uint8Array): void {
    const [frame, state] = decodeFrame(bytes);
    this.received(frame, state);
  }

  broken(problem: unknown): void {
    const text = problem instanceof OrreryError ? problem.text : `a frame has not the fields that it should: ${String(problem)}`;
    this.unreadable(protocolError(text));
  }
}

function protocolError(text: string): OrreryError {
  return new OrreryError("protocol", text, "not_executed");
}

function goodbyeText(frame: Frame): string {
  const said = `the sidecar said goodbye: ${frame["code"]}: ${frame["text"]}`;
  if (frame["code"] !== "protocol" || frame["version"] === undefined) return said;
  return `${said} (it speaks versions ${frame["minVersion"]} to ${frame["version"]}, this client ${PROTOCOL_VERSION})`;
}

function welcomeOf(frame: Frame): Welcome {
  const limits = frame["limits"] ?? {};
  return {
    node: frame["node"] ?? "",
    mesh: frame["mesh"] ?? "",
    sidecar: frame["sidecar"] ?? "",
    features: new Set<string>(frame["features"] ?? []),
    keepaliveMs: Math.max(frame["keepaliveMs"] ?? 15000, 10),
    frameBytes: limits.frameBytes ?? FRAME_BYTES_MAX,
    valueBytes: limits.valueBytes ?? VALUE_BYTES_MAX,
    requests: limits.requests ?? 1024,
  };
}
