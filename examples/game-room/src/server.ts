/**
 * The game's program: the page, players' moves and the stream of what happens at port 8080, and the rooms of this pod's share.
 *
 *     GET  /ROOM            the page
 *     GET  /ROOM/events     server-sent events: the room, whenever it changes
 *     POST /ROOM/join       {"player": "ada"}
 *     POST /ROOM/move       {"player": "ada", "dx": 1}
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { Client, OrreryError, serve } from "@orrery/sdk";
import { Room, type View } from "./room.js";

const PAGE = readFileSync(new URL("page.html", import.meta.url));
const TRY_MS = 10_000, WATCH_MS = 25_000, BODY_MAX = 10_000;
const STATUS: Record<string, number> = { invalid_argument: 400, not_found: 404, conflict: 409, overloaded: 429 };
const client = new Client({ timeoutMs: Infinity });
const leaving = new AbortController(); // at SIGTERM nobody is kept waiting for what may happen in a room: browsers go to another pod
process.once("SIGTERM", () => leaving.abort());

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Calls until there is an answer. What may have been executed is asked again too: a room knows the requests that it has answered. */
async function ask(room: string, method: string, argument: Record<string, unknown>): Promise<View> {
  const deadline = Date.now() + TRY_MS;
  for (;;) {
    try {
      return await client.call<View>(`room/${room}`, method, argument as never, { timeoutMs: Math.max(100, deadline - Date.now()) });
    } catch (problem) {
      if (!(problem instanceof OrreryError) || problem.code in STATUS || Date.now() > deadline) throw problem;
    }
    await pause(50);
  }
}

/** Follows a room for all browsers of this pod that look at it, as long as there are any. */
class Follower {
  static readonly all = new Map<string, Follower>();
  readonly browsers = new Set<ServerResponse>();
  private latest = "";

  private constructor(private readonly room: string) {}

  static add(room: string, browser: ServerResponse) {
    let follower = Follower.all.get(room);
    if (!follower) {
      Follower.all.set(room, (follower = new Follower(room)));
      void follower.follow();
    }
    follower.browsers.add(browser);
    if (follower.latest) browser.write(follower.latest);
    browser.on("close", () => follower.browsers.delete(browser));
  }

  private async follow() {
    let since = -1;
    while (!leaving.signal.aborted && (this.browsers.size > 0 || since === -1)) {
      try {
        const view = await client.call<View>(`room/${this.room}`, "watch", { since }, { timeoutMs: WATCH_MS, signal: leaving.signal });
        since = view.version;
        this.latest = `data: ${JSON.stringify(view)}\n\n`;
        for (const browser of this.browsers) browser.write(this.latest);
      } catch {
        // Nothing happened for a while, or the room was moving or its app was restarted: look at it again.
        for (const browser of this.browsers) browser.write(":\n\n");
        await pause(50);
      }
    }
    Follower.all.delete(this.room);
    for (const browser of this.browsers) browser.end();
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_MAX) throw new SyntaxError("the body is too long");
  }
  const body: unknown = JSON.parse(text || "null");
  if (typeof body !== "object" || body === null) throw new SyntaxError('the body is {"player": NAME, ...}');
  return body as Record<string, unknown>;
}

async function answer(request: IncomingMessage, response: ServerResponse) {
  const json = (status: number, value: unknown) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value) + "\n");
  const [room = "", what = ""] = (request.url ?? "").split("?")[0]!.slice(1).split("/").map(decodeURIComponent);
  try {
    if (request.method === "GET" && room === "healthz") json(200, { ok: true });
    else if (request.method === "GET" && room === "") response.writeHead(302, { location: "/lobby" }).end();
    else if (request.method === "GET" && what === "") response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
    else if (request.method === "GET" && what === "events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" }).flushHeaders();
      Follower.add(room, response);
    } else if (request.method === "POST" && (what === "join" || what === "move")) {
      const key = request.headers["idempotency-key"];
      json(200, await ask(room, what, { ...(await bodyOf(request)), request: typeof key === "string" ? key : randomUUID() }));
    } else json(404, { error: `no ${request.method} ${request.url} here; there are /ROOM, /ROOM/events, /ROOM/join and /ROOM/move` });
  } catch (problem) {
    if (problem instanceof OrreryError) json(STATUS[problem.code] ?? 503, { error: problem.text, code: problem.code, effect: problem.effect });
    else json(400, { error: String(problem) });
  }
}

await client.open();
const server = createServer((request, response) => void answer(request, response));
server.listen(8080, process.env["POD_IP"] ?? "0.0.0.0"); // the pod's own address: on the embedded cluster all pods share a machine
await serve([Room], { client, app: "game-room 1" }); // until SIGTERM
server.close();
server.closeAllConnections();
await client.close();
process.exit(0); // a follower may still wait for a room
