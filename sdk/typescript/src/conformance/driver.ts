/** The TypeScript SDK's program for the conformance cases: commands as JSON lines on stdin, answers on stdout. See sdk/conformance/README.md. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type Events, type Host, type Logger, OrreryError, type Value } from "../index.js";
import { desk } from "./desk.js";
import { Members } from "./members.js";

const logger: Logger = { debug: log, info: log, warn: log, error: log };
function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

/** As JSON: byte strings as `{"bytes": [...]}`. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function rich(value: any): Value {
  if (Array.isArray(value)) return value.map(rich);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "bytes") return Uint8Array.from(value.bytes);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rich(item)]));
}

interface Heard {
  calls: number;
  ok: number[];
  not_executed: number[];
  executed: number[];
  unknown: number[];
  torn: string[];
}

class Driver {
  private client: Client | undefined;
  private hosts: Host[] = [];
  private subscriptions = new Map<string, Events>();
  private readonly members = new Members();
  private readonly commands = new Map<number, AbortController>();

  private get there(): Client {
    if (!this.client) throw new Error("open first");
    return this.client;
  }

  readonly operations: Record<string, (command: any, signal: AbortSignal) => Promise<unknown>> = {
    // ---- connections ----
    open: async ({ process: name, address, retry, timeoutMs = 30_000, environment = {} }) => {
      if (name !== undefined) return this.members.open(this.there, name);
      Object.assign(process.env, environment);
      const policy = retry && { attempts: retry.attempts, firstPauseMs: 10, mostPauseMs: 50 };
      const client = new Client({ address, timeoutMs, retry: policy, logger });
      await client.open();
      this.client = client;
      return { node: client.sidecar?.node, mesh: client.sidecar?.mesh, features: [...(client.sidecar?.features ?? [])] };
    },
    close: async ({ process: name, reason }) => {
      if (name !== undefined) return this.members.close(name, reason);
      await this.client?.close();
      this.client = undefined;
    },
    reset: async () => {
      for (const abort of this.commands.values()) abort.abort();
      await this.leave();
      this.subscriptions.clear();
      this.members.clear();
      delete process.env["ORRERY_SOCKET"];
      delete process.env["ORRERY_TCP"];
    },

    // ---- requests ----
    call: ({ to, method, argument, timeoutMs, trace }, signal) => this.there.call(to, method, rich(argument), { timeoutMs, trace, signal }),
    cast: ({ to, method, argument, trace }, signal) => this.there.cast(to, method, rich(argument), { trace, signal }),
    cast_nowait: async ({ to, method, argument }) => this.there.castNoWait(to, method, rich(argument)),
    start: async ({ to, timeoutMs }, signal) => ({ pid: await this.there.start(to, { timeoutMs, signal }) }),
    inspect: ({ name }) => this.there.inspect(name),
    stop: ({ name }) => this.there.stop(name),
    kill: ({ name }) => this.there.kill(name, "a case"),
    nodes: () => this.there.nodes(),
    processes: ({ class_name: className, limit = 1000, local = false }) => this.there.processes({ className, limit, local }),
    classes: () => this.there.classes(),
    tree: ({ local = false }) => this.there.tree({ local }),
    publish: async ({ group, word, argument }) => ({ members: await this.there.publish(group, word, rich(argument)) }),
    group: ({ group }) => this.there.group(group),
    groups: ({ prefix }) => this.there.groups({ prefix }),
    registry: ({ prefix }) => this.there.registry({ prefix }),
    lookup: async ({ key, in: space }) => ({ entries: await this.there.lookup(key, space) }),
    cancel: async ({ number }) => this.commands.get(number)?.abort(),

    // ---- events ----
    subscribe: async ({ handle, types = [] }) => {
      const events = this.there.events(...types);
      await events.open();
      this.subscriptions.set(handle, events);
    },
    next: async ({ process: name, withinMs, handle }) => (name === undefined ? this.subscriptions.get(handle)?.next() : this.members.next(name, withinMs)),
    unsubscribe: async ({ handle }) => {
      this.subscriptions.get(handle)?.close();
      this.subscriptions.delete(handle);
    },

    // ---- client processes ----
    act: async ({ process: name, act, ...fields }, signal) => this.members.act(name, act, fields, rich, signal),
    down: ({ to, withinMs }) => this.members.down(this.there, to, withinMs),
    link: ({ task, to }) => this.members.link(this.there, task, to),
    task: async ({ task, ...command }) => this.members.tell(task, command),
    await: ({ task, withinMs }) => this.members.await(task, withinMs),

    // ---- hosting ----
    serve: async ({ classes, stateVersion = 0, concurrency }) => {
      const wanted = (classes as string[]).map((name) => desk(name, stateVersion));
      const host = await this.there.host(wanted, { app: "conformance", concurrency });
      this.hosts.push(host);
      return Object.fromEntries(host.states);
    },
    wait_ready: async () => {
      while (this.hosts.some((host) => [...host.states.values()].some((state) => state !== "ready"))) await sleep(10);
    },
    drain: async ({ timeoutMs = 30_000 }) => (await Promise.all(this.hosts.map((host) => host.drain(timeoutMs)))).every(Boolean),
    leave: () => this.leave(),

    // ---- many at once ----
    flood: async ({ to, count }) => {
      for (let number = 0; number < count; number++) {
        try {
          this.there.castNoWait(to, "tick", number);
        } catch (problem) {
          if (!(problem instanceof OrreryError) || problem.code !== "overloaded") throw problem;
          await this.there.cast(to, "tick", number);
        }
      }
    },
    hammer: ({ to, count, parallel, over }) => this.hammer(to, count, parallel, over),
  };

  /** Many calls to `record` of many processes; `to` is `class/key|file`. What was heard of each. */
  private async hammer(to: string, count: number, parallel: number, over: number): Promise<Heard> {
    const [name, file] = to.split("|") as [string, string];
    const heard: Heard = { calls: count, ok: [], not_executed: [], executed: [], unknown: [], torn: [] };
    let next = 0;
    const caller = async () => {
      for (let id = next++; id < count; id = next++) {
        try {
          const whole = await this.there.call<boolean>(`${name}-${id % over}`, "record", { id, file }, { timeoutMs: 20_000 });
          heard.ok.push(id);
          if (!whole) heard.torn.push(`${name}-${id % over} at call ${id}`);
        } catch (problem) {
          if (!(problem instanceof OrreryError)) throw problem;
          heard[problem.effect].push(id);
        }
      }
    };
    await Promise.all(Array.from({ length: parallel }, caller));
    return heard;
  }

  /** Ends hosting and the connection, without draining. The connection first: a host that ends on one that stays tells its callers so. */
  private async leave(): Promise<void> {
    await this.client?.close();
    this.client = undefined;
    for (const host of this.hosts) host.close();
    this.hosts = [];
  }

  async obey({ n, do: operation, ...command }: { n: number; do: string }): Promise<void> {
    const abort = new AbortController();
    if (operation !== "reset") this.commands.set(n, abort);
    const answer = await this.carryOut(operation, command, abort.signal);
    this.commands.delete(n);
    process.stdout.write(`${JSON.stringify({ n, ...answer })}\n`);
  }

  private async carryOut(operation: string, command: object, signal: AbortSignal): Promise<object> {
    try {
      const run = this.operations[operation];
      if (!run) throw new Error(`no operation ${operation}`);
      return { gives: plain(await run(command, signal)) };
    } catch (problem) {
      if (problem instanceof OrreryError) return { fails: { code: problem.code, text: problem.text, effect: problem.effect } };
      if (signal.aborted) return { fails: { code: "aborted", text: String(problem), effect: "unknown" } };
      log(`${operation} failed: ${(problem as Error).stack}`);
      return { fails: { code: (problem as Error).name, text: String(problem), effect: "unknown" } };
    }
  }
}

const driver = new Driver();
for await (const line of createInterface({ input: process.stdin })) void driver.obey(JSON.parse(line));
process.exit(0);
