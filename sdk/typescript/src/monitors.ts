/** Watching processes from code that is none itself. One client process for each connection watches for all. */
import type { ClientProcess, ClientProcesses } from "./clientprocess.js";
import { OrreryError } from "./errors.js";
import { type NameLike, isPid, targetText } from "./names.js";
import { type Down, reasonText } from "./reason.js";

/** A process is watched; made by {@link Client.monitor}. */
export class Monitor implements AsyncDisposable {
  /**
   * Resolves once: when the process has ended; at once, `noproc`, where there was none; with `noconnection` when its node, or the connection to the
   * sidecar, is lost. Rejects with `cancelled` after {@link cancel}.
   */
  readonly down: Promise<Down>;
  private settle!: { resolve(down: Down): void; reject(problem: OrreryError): void };
  private state = "watched";

  constructor(
    /** What is watched, as text. */
    readonly to: string,
    private readonly demonitor: () => Promise<void>,
  ) {
    this.down = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    this.down.catch(() => {}); // whoever waits for it hears it
  }

  /** Watches no more. Does nothing where the process has ended. */
  async cancel(): Promise<void> {
    if (this.state !== "watched") return;
    this.state = "cancelled";
    this.settle.reject(new OrreryError("cancelled", `${this.to} is not watched any more`, "not_executed"));
    await this.demonitor();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Monitor <${this.to}, ${this.state}>`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel();
  }

  /** Of its {@link Watcher}. */
  tell(down: Down): void {
    this.state = `down, ${reasonText(down.reason)}`;
    this.settle.resolve(down);
  }
}

export class Monitors {
  private watcher: Promise<Watcher> | undefined;

  constructor(private readonly processes: ClientProcesses) {}

  /** See {@link Client.monitor}. */
  async add(to: NameLike): Promise<Monitor> {
    const text = targetText(to);
    return (await this.there()).add(text);
  }

  /** That of the connection that there is now. */
  private async there(): Promise<Watcher> {
    for (;;) {
      this.watcher ??= this.processes.open().then((process) => new Watcher(process));
      const asked = this.watcher;
      try {
        const watcher = await asked;
        if (watcher.isThere) return watcher;
      } catch (problem) {
        if (this.watcher === asked) this.watcher = undefined;
        throw problem;
      }
      if (this.watcher === asked) this.watcher = undefined;
    }
  }
}

/** The process that watches, and what it watches. */
class Watcher {
  private readonly monitors = new Map<number, Monitor>();
  private readonly early = new Map<number, Down>(); // before the answer to the request was looked at
  private asking = 0;

  constructor(private readonly process: ClientProcess) {
    void this.listen();
  }

  get isThere(): boolean {
    return !this.process.ended;
  }

  async add(to: string): Promise<Monitor> {
    this.asking++;
    try {
      const number = await this.process.monitor(to);
      const monitor = new Monitor(to, () => this.remove(number));
      const down = this.early.get(number) ?? this.lost(to);
      if (down) monitor.tell(down);
      else this.monitors.set(number, monitor);
      return monitor;
    } finally {
      if (--this.asking === 0) this.early.clear();
    }
  }

  private async remove(number: number): Promise<void> {
    if (!this.monitors.delete(number) || this.process.ended) return;
    try {
      await this.process.demonitor(number);
    } catch (problem) {
      if (this.isThere && (problem as OrreryError).code !== "unavailable") throw problem;
    }
  }

  private async listen(): Promise<void> {
    for await (const message of this.process) {
      if (message.kind !== "down") continue;
      const down = { pid: message.from ?? null, reason: message.reason };
      const monitor = this.monitors.get(message.monitor);
      this.monitors.delete(message.monitor);
      if (monitor) monitor.tell(down);
      else if (this.asking > 0) this.early.set(message.monitor, down);
    }
    for (const monitor of this.monitors.values()) monitor.tell(this.lost(monitor.to) as Down);
    this.monitors.clear();
  }

  /** What is told where nothing is seen any more; undefined: it is. */
  private lost(to: string): Down | undefined {
    const { ended } = this.process;
    if (!ended) return undefined;
    const text = ended.kind === "noconnection" ? ended.text : `the process that watched has ended, ${reasonText(ended)}`;
    return { pid: isPid(to) ? to : null, reason: { kind: "noconnection", text } };
  }
}
