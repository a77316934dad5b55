/** A socket that another user may not open. Root may open all, so the client is a child with another uid. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./sidecar.js";
import { type Frame, Splitter, decodeFrame, encodeFrame } from "../src/frames.js";

const NOBODY = 65534;
const skip = process.getuid?.() === 0 ? false : "only root can start a program as another user";
const options = { timeout: 60_000, skip };
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

const FIRST = `
import { connect, serve, Process } from "./src/index.js";
class Cart extends Process { static className = "cart"; }
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const address = process.argv.at(-1), began = performance.now();
const attempts = [() => connect({ address, logger, timeoutMs: 40000 }), () => serve([Cart], { address, logger })];
for (const attempt of attempts) {
  const problem = await attempt().then(() => "connected", (problem) => problem);
  const { code, effect, text, cause } = problem;
  console.log(JSON.stringify({ code, effect, text, cause: cause?.code }));
}
console.log(JSON.stringify({ ms: performance.now() - began }));`;

const AGAIN = `
import { connect } from "./src/index.js";
const say = (line) => console.log(line);
const logger = { debug() {}, info: say, warn: say, error: say };
await connect({ address: process.argv.at(-1), logger });
console.log("ready");`;

/** The compiled package, and a folder for a socket, where nobody may read; and a program there as nobody. */
class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "orrery-"));
  readonly socket = join(this.folder, "sdk.sock");

  constructor() {
    chmodSync(this.folder, 0o755);
    cpSync(join(PACKAGE, "dist/src"), join(this.folder, "src"), { recursive: true });
    cpSync(join(PACKAGE, "package.json"), join(this.folder, "package.json")); // they are ES modules
  }
  run(program: string) {
    const { folder: cwd, socket } = this;
    const flags = ["--input-type=module", "-e", program, "--", socket];
    return spawn(process.execPath, flags, { cwd, uid: NOBODY, gid: NOBODY, stdio: ["ignore", "pipe", "inherit"] });
  }
  [Symbol.dispose]() {
    rmSync(this.folder, { recursive: true });
  }
}

test("the first connect to a socket that may not be opened fails at once, and says who and what", options, async () => {
  using place = new Place();
  const server = createServer().listen(place.socket);
  try {
    await until(() => server.listening);
    chmodSync(place.socket, 0o640);
    let said = "";
    const child = place.run(FIRST);
    child.stdout.on("data", (data) => (said += String(data)));
    await new Promise((resolve) => child.once("close", resolve));
    const [first, second, { ms }] = said.trim().split("\n").map((line) => JSON.parse(line));
    for (const { code, effect, text, cause } of [first, second]) {
      assert.deepEqual([code, effect, cause], ["forbidden", "not_executed", "EACCES"]);
      assert.ok(text.startsWith(`${place.socket}: permission denied (EACCES) to uid ${NOBODY}, gid ${NOBODY}`), text);
      assert.match(text, /the socket has uid 0, gid 0, mode 0640\. .*the pod's volume/);
    }
    assert.ok(ms < 9000, `${ms} ms are as long as it waits for a sidecar that is not there`);
  } finally {
    server.close();
  }
});

test("after a connection, a socket that may not be opened is dialled again, and the log says so", options, async () => {
  using place = new Place();
  const open: { destroy(): void }[] = [];
  const server = createServer((socket) => {
    const splitter = new Splitter();
    const welcome: Frame = { type: "welcome", node: "fake", mesh: "m", features: [], limits: {} };
    socket.on("error", () => {}).on("data", (data) => {
      const greets = [...splitter.feed(data)].some((body) => decodeFrame(body)[0].type === "hello");
      if (greets) socket.write(encodeFrame(welcome));
    });
    open.push(socket);
  }).listen(place.socket);
  await until(() => server.listening);
  chmodSync(place.socket, 0o666);
  const child = place.run(AGAIN);
  try {
    let said = "";
    child.stdout.on("data", (data) => (said += String(data)));
    await until(() => said.includes("ready"), 20_000);
    chmodSync(place.socket, 0o600);
    for (const socket of open.splice(0)) socket.destroy();
    await until(() => said.includes("permission denied (EACCES) to uid 65534"), 20_000);
    chmodSync(place.socket, 0o666);
    await until(() => said.split("connected to the sidecar of fake").length === 3, 20_000);
  } finally {
    child.kill("SIGKILL");
    for (const socket of open) socket.destroy();
    server.close();
  }
});
