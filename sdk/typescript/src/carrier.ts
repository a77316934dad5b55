/** What carries the frames of one connection: a stream of bytes, or a WebSocket (websocket.ts). */
import { once } from "node:events";
import { type NetConnectOpts, type Socket, connect } from "node:net";
import { dialProblem } from "./denied.js";
import { type Endpoint, endpointText } from "./endpoints.js";
import { Splitter } from "./frames.js";
import { WebSocketCarrier } from "./websocket.js";

const READ_BYTES = 64 * 1024;

/** Who hears of a carrier. What `body` throws is told to `broken`. */
export interface Receiver {
  /** One frame, without its length. */
  body(bytes: Uint8Array): void;
  broken(problem: unknown): void;
  /** Bytes came. */
  alive(): void;
  /** There will be nothing more; the problem, if it was one. Once. */
  ended(problem: Error | undefined): void;
}

export interface Carrier {
  readonly isOpen: boolean;
  /** Bytes that were given and are not written yet. */
  readonly unwritten: number;
  /** A frame with its length, as {@link encodeFrame} makes it. */
  write(frame: Uint8Array): void;
  /** Resolves when less may be unwritten than before, or it has ended. The same promise for all who wait now. */
  drained(): Promise<void>;
  /** Closes when all is written. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** Dials. Rejects with a system error, or an {@link OrreryError} where it is no place for this protocol. */
export async function dial(endpoint: Endpoint, receiver: Receiver): Promise<Carrier> {
  if ("url" in endpoint) return WebSocketCarrier.open(endpoint.url, endpointText(endpoint), receiver);
  const carrier = new StreamCarrier(endpoint, receiver);
  try {
    await once(carrier.socket, "connect");
  } catch (problem) {
    throw "path" in endpoint ? dialProblem(endpoint.path, problem as Error) : problem;
  }
  return carrier;
}

class StreamCarrier implements Carrier {
  readonly socket: Socket;
  private readonly splitter = new Splitter();
  private draining: Promise<void> | undefined;

  constructor(
    endpoint: NetConnectOpts,
    private readonly receiver: Receiver,
  ) {
    // Into one buffer again and again: a stream would allocate another 64 KiB for each read, however little comes.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    this.socket = connect({ ...endpoint, noDelay: true, onread: { buffer, callback: (size) => this.read(buffer, size) } });
    let problem: Error | undefined;
    this.socket.on("error", (error) => (problem = error));
    this.socket.on("close", () => receiver.ended(problem));
  }

  private read(from: Buffer, size: number): boolean {
    this.receiver.alive();
    try {
      // A copy: what is read of it, a state or bytes in an argument, is used after the next read.
      for (const body of this.splitter.feed(Buffer.from(from.subarray(0, size)))) this.receiver.body(body);
    } catch (broken) {
      this.receiver.broken(broken);
    }
    return true;
  }

  get isOpen(): boolean {
    return this.socket.writable;
  }

  get unwritten(): number {
    return this.socket.writableLength;
  }

  write(frame: Uint8Array): void {
    this.socket.write(frame);
  }

  drained(): Promise<void> {
    this.draining ??= new Promise((resolve) => {
      if (this.socket.closed) return resolve();
      const end = () => {
        this.socket.off("drain", end).off("close", end);
        this.draining = undefined;
        resolve();
      };
      this.socket.on("drain", end).on("close", end);
    });
    return this.draining;
  }

  end(): void {
    this.socket.destroySoon();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
