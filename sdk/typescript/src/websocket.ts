/** Frames over a WebSocket, each one binary message: the platform's own where it has one, else that of the package `ws`. */
import type { Carrier, Receiver } from "./carrier.js";
import { OrreryError, unavailable } from "./errors.js";
import { FRAME_BYTES_MAX, LENGTH_BYTES } from "./frames.js";

const SUBPROTOCOL = "orrery.v1";
const DRAIN_LOOK_MS = 5; // a WebSocket does not tell when it has written
const OPEN = 1;
const NORMAL = 1000;

/** As much as is used of what browsers, Node 22 and `ws` have alike. */
interface Socket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code: number): void;
  terminate?(): void;
  addEventListener(type: "open" | "close" | "error" | "message", listener: (event: SocketEvent) => void): void;
}
interface SocketEvent {
  readonly data?: unknown;
  readonly message?: string;
  readonly code?: number;
  readonly reason?: string;
}
type SocketClass = new (url: string, protocols: string[]) => Socket;

async function socketClass(): Promise<SocketClass> {
  const own = (globalThis as { WebSocket?: SocketClass }).WebSocket;
  if (own) return own;
  try {
    const name = "ws"; // optional: not for the compiler to look up
    return ((await import(name)) as { WebSocket: SocketClass }).WebSocket;
  } catch (problem) {
    throw unavailable(`a ws:// address needs Node 22, or the package 'ws' (npm install ws): ${(problem as Error).message}`);
  }
}

export class WebSocketCarrier implements Carrier {
  private over = false;
  private draining: Promise<void> | undefined;
  private problem: Error | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly receiver: Receiver,
  ) {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("error", (event) => (this.problem = new Error(event.message || "the WebSocket failed")));
    socket.addEventListener("close", (event) => this.ended(this.problem ?? closeProblem(event)));
    socket.addEventListener("message", (event) => this.take(event.data));
  }

  /** Rejects with an {@link OrreryError} `unavailable` where no WebSocket is accepted. */
  static async open(url: string, where: string, receiver: Receiver): Promise<Carrier> {
    const socket = new (await socketClass())(url, [SUBPROTOCOL]);
    const carrier = new WebSocketCarrier(socket, receiver);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("close", () => reject(unavailable(`no WebSocket at ${where}: ${carrier.problem?.message ?? "closed"}`)));
    });
    return carrier;
  }

  get isOpen(): boolean {
    return !this.over && this.socket.readyState === OPEN;
  }

  get unwritten(): number {
    return this.socket.bufferedAmount;
  }

  write(frame: Uint8Array): void {
    this.socket.send(frame.subarray(LENGTH_BYTES)); // messages have a length of their own
  }

  drained(): Promise<void> {
    this.draining ??= this.untilLess().finally(() => (this.draining = undefined));
    return this.draining;
  }

  private async untilLess(): Promise<void> {
    const before = this.unwritten;
    while (this.isOpen && this.unwritten >= before) await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }

  end(): void {
    this.socket.close(NORMAL);
  }

  destroy(): void {
    if (this.socket.terminate) this.socket.terminate();
    else this.socket.close(NORMAL);
    this.ended(undefined); // the other side may never answer a close
  }

  private take(data: unknown): void {
    if (this.over) return;
    this.receiver.alive();
    try {
      if (!(data instanceof ArrayBuffer)) throw new OrreryError("protocol", "a text message; binary ones are accepted");
      if (data.byteLength < 1 || data.byteLength > FRAME_BYTES_MAX) {
        throw new OrreryError("protocol", `a frame of ${data.byteLength} bytes; 1 to ${FRAME_BYTES_MAX} are accepted`);
      }
      this.receiver.body(new Uint8Array(data));
    } catch (broken) {
      this.receiver.broken(broken);
    }
  }

  private ended(problem: Error | undefined): void {
    if (this.over) return;
    this.over = true;
    this.receiver.ended(problem);
  }
}

function closeProblem(event: SocketEvent): Error | undefined {
  if (event.code === undefined || event.code === NORMAL) return undefined;
  return new Error(`the WebSocket was closed with ${event.code}${event.reason ? `: ${event.reason}` : ""}`);
}
