/** The driver's commands for client processes, and for tasks that are linked with processes. */
import { type Client, type ClientProcess, OrreryError, ProcessExit, type Value } from "../index.js";

interface Task {
  readonly ended: Promise<unknown>;
  readonly end: (command: { ends: string; text?: string }) => void;
}

type Act = (process: ClientProcess, fields: any, rich: (value: unknown) => Value, signal: AbortSignal) => Promise<unknown>;

/** By the document's names; each gives the document's `ok`. */
const ACTS: Record<string, Act> = {
  call: (process, { to, method, argument, timeoutMs }, rich, signal) => process.call(to, method, rich(argument), { timeoutMs, signal }),
  cast: (process, { to, method, argument }, rich) => done(process.cast(to, method, rich(argument))),
  send: (process, { to, word, argument }, rich) => done(process.send(to, word, rich(argument))),
  publish: async (process, { group, word, argument }, rich) => ({ members: await process.publish(group, word, rich(argument)) }),
  spawn: (process, { class: className, argument, link, monitor }, rich) => process.spawn(className, rich(argument), { link, monitor }),
  monitor: async (process, { to }) => ({ monitor: await process.monitor(to) }),
  demonitor: (process, { monitor }) => done(process.demonitor(monitor)),
  link: (process, { to }) => done(process.link(to)),
  unlink: (process, { to }) => done(process.unlink(to)),
  exit: (process, { to, reason }) => done(process.exit(to, reason)),
  join: (process, { group }) => done(process.join(group)),
  leave: async (process, { group }) => ({ member: await process.leave(group) }),
  watch: async (process, { group }) => ({ pids: await process.watch(group) }),
  unwatch: (process, { group }) => done(process.unwatch(group)),
  claim: (process, { key, value, in: space, timeoutMs }, rich) => done(process.claim(key, { value: rich(value), in: space, timeoutMs })),
  update: (process, { key, value, in: space }, rich) => done(process.update(key, rich(value), space)),
  release: async (process, { key, in: space }) => ({ held: await process.release(key, space) }),
};

async function done(act: Promise<void>): Promise<object> {
  await act;
  return {};
}

export class Members {
  private readonly processes = new Map<string, ClientProcess>();
  private readonly tasks = new Map<string, Task>();

  async open(client: Client, name: string): Promise<unknown> {
    const process = await client.process();
    this.processes.set(name, process);
    return { pid: process.pid };
  }

  close(name: string, reason: any): Promise<void> {
    return this.there(name).close(reason ?? undefined);
  }

  act(name: string, act: string, fields: any, rich: (value: unknown) => Value, signal: AbortSignal): Promise<unknown> {
    const run = ACTS[act];
    if (!run) throw new Error(`no act ${act}`);
    return run(this.there(name), fields, rich, signal);
  }

  async next(name: string, withinMs: number): Promise<unknown> {
    const process = this.there(name);
    return (await process.next({ timeoutMs: withinMs })) ?? { kind: "ended", reason: process.ended };
  }

  async down(client: Client, to: string, withinMs: number): Promise<unknown> {
    await using monitor = await client.monitor(to);
    const { reason } = await within(withinMs, monitor.down);
    return { reason };
  }

  /** A task that waits until it is told. Resolves when it runs, or has ended before. */
  async link(client: Client, name: string, to: string): Promise<void> {
    const abort = new AbortController();
    let end!: Task["end"];
    const told = new Promise<void>((resolve, reject) => {
      end = ({ ends, text }) => {
        if (ends === "normal") resolve();
        else if (ends === "error") reject(new Error(text));
        else abort.abort(new Error("cancelled"));
      };
    });
    told.catch(() => {});
    let begun!: () => void;
    const running = new Promise<void>((resolve) => (begun = resolve));
    const task = (signal: AbortSignal) => {
      begun();
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        told.then(resolve, reject);
      });
    };
    const linked = client.link(to, ({ signal }) => task(signal), { signal: abort.signal });
    this.tasks.set(name, { ended: linked.then(() => ({ outcome: "returned", reason: null }), (problem) => outcomeOf(problem, abort.signal)), end });
    const over = linked.catch((problem: unknown) => {
      if (!(problem instanceof ProcessExit)) throw problem;
    });
    await Promise.race([running, over]);
  }

  tell(name: string, command: { ends: string; text?: string }): void {
    this.task(name).end(command);
  }

  await(name: string, withinMs: number): Promise<unknown> {
    return within(withinMs, this.task(name).ended);
  }

  clear(): void {
    this.processes.clear();
    this.tasks.clear();
  }

  private task(name: string): Task {
    const task = this.tasks.get(name);
    if (!task) throw new Error(`no task ${name}`);
    return task;
  }

  private there(name: string): ClientProcess {
    const process = this.processes.get(name);
    if (!process) throw new Error(`no client process ${name}`);
    return process;
  }
}

function outcomeOf(problem: unknown, outside: AbortSignal): object {
  if (problem instanceof ProcessExit) return { outcome: "cancelled", reason: problem.reason };
  return { outcome: outside.aborted ? "cancelled" : "failed", reason: null };
}

async function within<T>(ms: number, waiting: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new OrreryError("deadline_exceeded", `nothing within ${ms} ms`, "not_executed")), ms);
  });
  try {
    return await Promise.race([waiting, late]);
  } finally {
    clearTimeout(timer);
  }
}
