/** What the tests share: the mock sidecar of the conformance suite as a program of its own, and waiting for conditions. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../../conformance/sidecar.py", import.meta.url));

/** Why tests that need a sidecar are skipped; false: they are not. */
export const noSidecar: string | false = spawnSync("python3", ["--version"]).status === 0 ? false : "python3, which the mock sidecar needs, is not installed";

export class Sidecar implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly address: string,
  ) {}

  static async start(...classes: string[]): Promise<Sidecar> {
    const folder = mkdtempSync(join(tmpdir(), "orrery-"));
    const socket = join(folder, "sdk.sock");
    const child = spawn("python3", [PROGRAM, "--socket", socket, ...classes.flatMap((name) => ["--class", `${name}=app`])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith("listening")) break;
    return new Sidecar(child, folder, `unix:${socket}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await new Promise((resolve) => this.child.once("exit", resolve));
    rmSync(this.folder, { recursive: true });
  }
}

/** Waits for a condition, with a deadline. */
export async function until<T>(condition: () => T, ms = 60_000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = condition();
    if (found) return found;
    if (performance.now() > end) throw new Error(`did not come true within ${ms} ms: ${condition}`);
    await sleep(5);
  }
}
