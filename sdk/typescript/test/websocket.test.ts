/** A ws:// address: what a WebSocket adds to the other connections. The protocol itself is the conformance cases' business. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrame, encodeFrame } from "../src/frames.js";
import { type Client, OrreryError, Process, call, connect, serve } from "../src/index.js";
import { until } from "./sidecar.js";

const { WebSocketServer } = (await import("ws" as string)) as { WebSocketServer: any };

/** Greets, and answers calls with their arguments, unless `misbehave` does something else with the frame. */
class Fake implements AsyncDisposable {
  readonly heard: any[] = [];
  readonly closed: number[] = [];
  offered = "";
  path = "";

  private constructor(private readonly server: any) {}

  static async start(keepaliveMs: number, misbehave: (frame: any, socket: any) => boolean = () => false): Promise<Fake> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => server.once("listening", resolve));
    const fake = new Fake(server);
    server.on("connection", (socket: any, request: any) => {
      fake.path = request.url;
      fake.offered = request.headers["sec-websocket-protocol"];
      socket.on("close", (code: number) => fake.closed.push(code));
      socket.on("message", (data: Buffer) => {
        const [frame] = decodeFrame(data);
        fake.heard.push(frame);
        if (misbehave(frame, socket)) return;
        if (frame.type === "hello") say(socket, { type: "welcome", node: "fake", mesh: "m", keepaliveMs, features: ["host"] });
        if (frame.type === "call") say(socket, { type: "result", id: frame["id"], ok: frame["argument"] });
      });
    });
    return fake;
  }
  get address(): string {
    return `ws://127.0.0.1:${this.server.address().port}`;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.server.clients) socket.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function say(socket: any, frame: any): void {
  socket.send(encodeFrame(frame).subarray(4));
}

function quiet(): { lines: string[]; debug: (s: string) => void; info: (s: string) => void; warn: (s: string) => void; error: (s: string) => void } {
  const lines: string[] = [];
  const add = (text: string) => void lines.push(text);
  return { lines, debug: add, info: add, warn: add, error: add };
}

async function fails(of: Promise<unknown>): Promise<OrreryError> {
  return of.then(
    () => assert.fail("it succeeded"),
    (problem) => {
      assert.ok(problem instanceof OrreryError, String(problem));
      return problem;
    },
  );
}

const options = { timeout: 60_000 };

test("a call goes over a WebSocket as one message, and a close says goodbye", options, async () => {
  await using fake = await Fake.start(15_000);
  const client = await connect({ address: fake.address });
  assert.equal(fake.offered, "orrery.v1");
  assert.equal(fake.path, "/v1/sdk");
  const text = "x".repeat(900_000);
  assert.equal(await client.call("echo/a", "say", text), text);
  await client.close();
  await until(() => fake.closed.length);
  assert.deepEqual(fake.closed, [1000]);
  assert.equal(fake.heard.at(-1).type, "goodbye");
});

test("a path of a proxy's own is kept", options, async () => {
  await using fake = await Fake.start(15_000);
  await using client = await connect({ address: `${fake.address}/orrery/v1/sdk?pod=a` });
  assert.equal(await client.call("echo/a", "say", 1), 1);
  assert.equal(fake.path, "/orrery/v1/sdk?pod=a");
});

test("calls under way end as unknown when the WebSocket is closed, and it dials again", options, async () => {
  let times = 0;
  await using fake = await Fake.start(15_000, (frame, socket) => {
    if (frame.type !== "call" || times++ > 0) return false;
    socket.close(1001, "the node goes");
    return true;
  });
  const logger = quiet();
  await using client: Client = await connect({ address: fake.address, logger });
  const lost = await fails(client.call("echo/a", "say", 1));
  assert.equal(lost.code, "unavailable");
  assert.equal(lost.effect, "unknown");
  assert.match(lost.text, /1001: the node goes/);
  assert.equal(await client.call("echo/a", "say", 2), 2);
});

test("a WebSocket that falls silent is given up after twice the keepalive time", options, async () => {
  await using fake = await Fake.start(100, (frame, socket) => {
    if (frame.type === "call") socket.pause(); // hears nothing more, not even a close
    return frame.type === "call";
  });
  await using client = await connect({ address: fake.address, logger: quiet() });
  const lost = await fails(client.call("echo/a", "say", 1));
  assert.match(lost.text, /nothing was heard/);
});

test("what is no frame ends the connection with the reason", options, async () => {
  for (const [what, wrong] of [
    [(socket: any) => socket.send("text"), /a text message/],
    [(socket: any) => socket.send(Buffer.alloc(4 * 1024 * 1024 + 1)), /a frame of 4194305 bytes/],
    [(socket: any) => socket.send(Buffer.alloc(0)), /a frame of 0 bytes/],
    [(socket: any) => socket.send(Buffer.from([0xff])), /cannot be read/],
  ] as const) {
    await using fake = await Fake.start(15_000, (frame, socket) => {
      if (frame.type === "call") what(socket);
      return frame.type === "call";
    });
    await using client = await connect({ address: fake.address, logger: quiet() });
    assert.match((await fails(client.call("echo/a", "say", 1))).text, wrong);
  }
});

test("a server that accepts no WebSocket is named with what it said", options, async () => {
  const { createServer } = await import("node:http");
  const server = createServer((_, answer) => answer.writeHead(403).end()).listen(0, "127.0.0.1");
  server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    const { port } = server.address() as { port: number };
    const problem = await fails(connect({ address: `ws://127.0.0.1:${port}`, timeoutMs: 500, logger: quiet() }));
    assert.match(problem.text, /403/);
  } finally {
    server.close();
  }
});

test("serve that ends while it registers finishes what it was handed", options, async () => {
  const drains: any[] = [];
  await using fake = await Fake.start(15_000, (frame, socket) => {
    if (frame.type === "register" && frame.class === "desk") {
      say(socket, { type: "result", id: frame.id, ok: { state: "ready" } });
      say(socket, { type: "work", work: 7, class: "desk", key: "a", callback: "call", method: "wait", argument: null });
    }
    if (frame.type === "drain") drains.push(frame); // answered when the work is done, as a sidecar does
    if (frame.type === "done") for (const { id } of drains) say(socket, { type: "result", id, ok: null });
    return frame.type === "register";
  });
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  class Desk extends Process<null> {
    static override className = "desk";
    @call async wait() {
      await finished;
      return "waited";
    }
  }
  class Late extends Process<null> {
    static override className = "late";
    @call get() {
      return 1;
    }
  }
  const stop = new AbortController();
  const serving = serve([Desk, Late], { address: fake.address, signal: stop.signal, logger: quiet() });
  await until(() => fake.heard.some((frame) => frame.type === "register" && frame.class === "late"));
  stop.abort();
  await until(() => drains.length === 2);
  finish();
  await serving;
  const done = fake.heard.find((frame) => frame.type === "done");
  assert.deepEqual([done.work, done.reply], [7, "waited"]);
});
