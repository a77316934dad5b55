/** A sidecar that says what a test tells it to, and keeps what it hears. */
import { type Server, type Socket, createServer } from "node:net";
import { type Frame, Splitter, decodeFrame, encodeFrame } from "../src/frames.js";
import { type Client, OrreryError, type Retry, connect } from "../src/index.js";
import { until } from "./sidecar.js";

export const logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Says frames at once, so that they are read together. */
type Say = (...frames: Frame[]) => void;
type Instead = (frame: any, say: Say) => boolean;

/** Greets, answers requests with `{}` and calls with their arguments, unless `instead` does something else with the frame. */
export class Fake implements AsyncDisposable {
  readonly heard: any[] = [];
  readonly sockets: Socket[] = [];

  private constructor(private readonly server: Server) {}

  static async start(instead: Instead = () => false, requests = 1024, features = ["host", "events", "processes"]): Promise<Fake> {
    const fake = new Fake(createServer());
    fake.server.on("connection", (socket) => {
      const splitter = new Splitter();
      const say: Say = (...frames) => void (socket.destroyed || socket.write(Buffer.concat(frames.map(encodeFrame))));
      fake.sockets.push(socket);
      socket.on("error", () => {});
      socket.on("data", (data) => {
        for (const body of splitter.feed(data)) {
          const [frame] = decodeFrame(body);
          fake.heard.push(frame);
          if (frame.type === "hello") say({ type: "welcome", node: "fake", mesh: "m", features, limits: { requests } });
          else if (!instead(frame, say) && "id" in frame) say({ type: "result", id: frame["id"], ok: frame["argument"] ?? {} });
        }
      });
    });
    await new Promise<void>((resolve) => fake.server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  client(retry?: Retry): Promise<Client> {
    return connect({ address: `127.0.0.1:${(this.server.address() as { port: number }).port}`, logger, retry });
  }
  of(type: string): any[] {
    return this.heard.filter((frame) => frame.type === type);
  }
  tell(...frames: Frame[]): void {
    this.sockets.at(-1)?.write(Buffer.concat(frames.map(encodeFrame)));
  }
  /** The `done` of a message to a desk. */
  async done(method: string, argument: unknown = null, callback = "call", more: object = {}): Promise<any> {
    const work = this.heard.length + 1000;
    this.tell({ type: "work", work, class: "desk", key: "a", callback, method, argument, caller: 3, state: [], ...more });
    return until(() => this.of("done").find((frame) => frame.work === work), 10_000);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export function has(code: string, effect: string): (problem: unknown) => boolean {
  return (problem) => problem instanceof OrreryError && problem.code === code && problem.effect === effect;
}
