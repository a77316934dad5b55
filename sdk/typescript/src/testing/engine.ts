/** The mailboxes, states and timers of processes under test: what a sidecar does, on a fake clock. */
import { LazyAbort } from "../abort.js";
import { decode, encode } from "../cbor.js";
import type { Runtime } from "../context.js";
import { type Definition, definitionsOf } from "../definition.js";
import { OrreryError, invalid } from "../errors.js";
import { FRAME_DEPTH_MAX } from "../frames.js";
import type { Logger } from "../hooks.js";
import { type Name, type NameLike, checkMethod, nameText, parseName } from "../names.js";
import { apply } from "../patch.js";
import type { ProcessClass } from "../process.js";
import { traceparent } from "../trace.js";
import { VALUE_BYTES_MAX, encodeValue } from "../values.js";
import { type Done, type Work, handle, workOf } from "../work.js";
import { Clock } from "./clock.js";
import { Life, type Message } from "./life.js";
import { Relations } from "./relations.js";

const { setImmediate } = globalThis; // also where a test stands in for it later

/** A cast that a handler sent: to a process under test, which got it, or to another. */
export interface Cast {
  readonly to: string;
  readonly method: string;
  readonly argument: any;
}

/** A process ended. `kind` is `normal`, `shutdown`, `error`, `killed` or `limit`. */
export interface Exit {
  readonly name: string;
  readonly kind: string;
  readonly text: string;
}

export type Answer = unknown | Error | ((key: string, argument: any) => unknown);

/** See {@link TestHost}, which is its face. */
export class Engine implements Runtime {
  readonly valueBytes = VALUE_BYTES_MAX;
  readonly clock = new Clock();
  readonly casts: Cast[] = [];
  readonly exits: Exit[] = [];
  readonly definitions: Map<string, Definition>;
  readonly lives = new Map<string, Life>();
  readonly stubs = new Map<string, Answer>();
  readonly relations = new Relations(this);
  private numbers = 0;
  private pids = 0;
  private farewells = 0;
  private changed: () => void = () => {};

  constructor(
    classes: readonly ProcessClass[],
    readonly logger: Logger,
  ) {
    this.definitions = definitionsOf(classes);
  }

  /** Resolves when no handler runs, but those that wait for an answer of a process here. */
  async settle(): Promise<void> {
    const busy = () => this.farewells > 0 || [...this.lives.values()].some((life) => life.handling && life.waitsInside === 0);
    do {
      await new Promise(setImmediate); // what was answered is on its way to who asked
      while (busy()) await new Promise<void>((resolve) => (this.changed = resolve));
    } while (busy());
  }

  // ---- messages ----

  async ask(to: Name, method: string, argument: unknown, timeoutMs?: number, trace?: string): Promise<unknown> {
    const message = { callback: "call", method: checkMethod(method), argument: copied(argument, "argument"), trace } as const;
    const definition = this.definitions.get(to.className);
    if (!definition) return this.askStub(to, message);
    this.checkKnown(definition, "call", method);
    return new Promise((resolve, reject) => {
      const waiting: Message = { ...message, answer: { resolve, reject } };
      this.deliver(to, waiting);
      if (timeoutMs !== undefined) this.clock.after(timeoutMs, () => this.late(to, waiting));
    });
  }

  /** A cast of a client's. Throws what the mesh answers where it does not take it. */
  castAt(to: Name, method: string, argument: unknown): void {
    const message = { callback: "cast", method: checkMethod(method), argument: copied(argument, "argument") } as const;
    const definition = this.definitions.get(to.className);
    if (definition) this.checkKnown(definition, "cast", method);
    this.deliver(to, message);
  }

  private checkKnown(definition: Definition, kind: "call" | "cast", method: string): void {
    if (definition.handler(kind, method)) return;
    const known = definition.names(kind).join(", ") || "none";
    throw new OrreryError("not_found", `class '${definition.className}' has no method '${method}' for a ${kind}; it has: ${known}`, "not_executed");
  }

  private async askStub(to: Name, { method, argument }: Message): Promise<unknown> {
    const stub = `${to.className} ${method}`;
    if (!this.stubs.has(stub)) {
      const text = `${nameText(to)} is not under test; say host.answer("${to.className}", "${method}", ...)`;
      throw new OrreryError("not_found", text, "not_executed");
    }
    const given = this.stubs.get(stub);
    const answer: unknown = typeof given === "function" ? await given(to.key, argument) : given;
    if (answer instanceof Error) throw answer;
    return copied(answer, "answer");
  }

  private late(to: Name, message: Message): void {
    const life = this.lives.get(nameText(to));
    const index = life ? life.mailbox.indexOf(message) : -1;
    if (index >= 0) life?.mailbox.splice(index, 1);
    const effect = index >= 0 ? "not_executed" : "unknown";
    message.answer?.reject(new OrreryError("deadline_exceeded", `${nameText(to)} did not answer in time`, effect));
  }

  deliver(to: Name, message: Message): void {
    this.push(this.lives.get(nameText(to)) ?? this.start(to), message);
  }

  push(life: Life, message: Message): void {
    life.mailbox.push(message);
    this.pump(life);
  }

  /** The process that runs, by its name or its pid. */
  lifeAt(to: string): Life | undefined {
    return this.lives.get(to) ?? [...this.lives.values()].find(({ pid }) => pid === to);
  }

  private start(name: Name): Life {
    if (!this.definitions.has(name.className)) {
      throw new OrreryError("not_found", `class '${name.className}' is not under test`, "not_executed");
    }
    const life = new Life(name, ++this.numbers, this.newPid());
    this.lives.set(nameText(name), life);
    return life;
  }

  private newPid(): string {
    return `test@1.${++this.pids}.1`;
  }

  private isAlive(life: Life): boolean {
    return this.lives.get(nameText(life.name)) === life;
  }

  private definitionOf(life: Life): Definition {
    return this.definitions.get(life.name.className) as Definition;
  }

  /** Lets the process handle its next message, if it is free. */
  private pump(life: Life): void {
    while (!life.handling && this.isAlive(life)) {
      const definition = this.definitionOf(life);
      const message = this.next(life, definition);
      if (!message) return;
      if (definition.handler(message.callback, message.method)) void this.work(life, definition, message);
    }
  }

  private next(life: Life, definition: Definition): Message | undefined {
    if (!life.begun) {
      if (life.mailbox.length === 0 && !life.restarted) return undefined;
      if (definition.has("init")) return { callback: "init", method: "", argument: undefined };
      life.begun = true;
      life.stateVersion = definition.stateVersion;
    }
    if (!life.next && !life.moved && life.mailbox.length === 0) return undefined;
    if (life.stateVersion !== definition.stateVersion) {
      if (definition.has("code_change")) return { callback: "code_change", method: "", argument: undefined };
      life.stateVersion = definition.stateVersion;
    }
    if (life.moved) {
      life.moved = false;
      return { callback: "handoff", method: "", argument: undefined };
    }
    const message = life.next ?? life.mailbox.shift();
    life.next = undefined;
    return message;
  }

  private async work(life: Life, definition: Definition, message: Message): Promise<void> {
    const abort = new LazyAbort();
    life.handling = { message, abort };
    const caller = message.answer ? ++life.callers : undefined;
    const done = await handle(definition, this.workFor(life, message, abort, caller), this);
    life.handling = undefined;
    if (this.isAlive(life)) {
      await this.take(life, definition, message, fieldsOf(done));
      this.pump(life);
    }
    this.changed();
  }

  private workFor(life: Life, message: Message, abort: LazyAbort, caller?: number, reason?: object): Work {
    const { callback, method, argument, source, trace } = message;
    const state = callback === "init" ? {} : { state: decode(life.state) };
    const frame = {
      type: "work", work: life.number, class: life.name.className, key: life.name.key, pid: life.pid,
      callback, method, argument, source, caller, trace, fromVersion: life.stateVersion, reason, ...state,
    };
    return workOf(frame, callback === "init" ? undefined : life.state, abort, life);
  }

  // ---- what follows from a message ----

  private async take(life: Life, definition: Definition, message: Message, fields: Record<string, any>): Promise<void> {
    const name = nameText(life.name);
    if (fields["crash"]) {
      const text: string = fields["crash"].text;
      message.answer?.reject(new OrreryError("process_exited", `${name} exited, error: ${text}`, "unknown"));
      this.exit(life, "error", text);
      return;
    }
    life.begun = true;
    life.stateVersion = definition.stateVersion;
    if ("state" in fields) life.state = encode(fields["state"]);
    if ("patch" in fields) life.state = encode(apply(decode(life.state), fields["patch"]));
    this.answer(life, message, fields);
    for (const effect of fields["effects"] ?? []) this.carryOut(life, effect);
    if ("next" in fields) life.next = { callback: "continue", method: "", argument: fields["next"] };
    if (fields["stop"]) await this.stop(life, fields["stop"].kind, fields["stop"].text);
  }

  private answer(life: Life, { answer }: Message, fields: Record<string, any>): void {
    if (fields["error"]) answer?.reject(OrreryError.of(fields["error"]));
    else if (fields["later"]) life.kept.set(life.callers, { callback: "call", method: "", argument: null, ...(answer && { answer }) });
    else answer?.resolve(fields["reply"]);
  }

  private carryOut(life: Life, effect: Record<string, any>): void {
    if (effect["cast"]) {
      this.sendCast(effect["cast"]);
    } else if (effect["timer"]) {
      this.setTimer(life, effect["timer"]);
    } else if ("cancelTimer" in effect) {
      this.cancelTimer(life, effect["cancelTimer"]);
    } else if (effect["reply"]) {
      const { to, reply, error } = effect["reply"];
      const waiting = life.kept.get(to);
      life.kept.delete(to);
      if (error) waiting?.answer?.reject(OrreryError.of({ effect: "executed", ...error }));
      else waiting?.answer?.resolve(reply);
    } else {
      this.relations.carryOut(life, effect);
    }
  }

  private sendCast({ class: className, key, method, argument }: { class: string; key: string; method: string; argument: unknown }): void {
    this.casts.push({ to: `${className}/${key}`, method, argument });
    if (this.definitions.get(className)?.handler("cast", method)) this.deliver({ className, key }, { callback: "cast", method, argument });
  }

  private setTimer(life: Life, { name, afterMs, argument }: { name: string; afterMs: number; argument: unknown }): void {
    this.cancelTimer(life, name);
    const fire = () => {
      life.timers.delete(name);
      this.push(life, { callback: "info", method: name, argument, source: "timer" });
    };
    life.timers.set(name, this.clock.after(afterMs, fire));
  }

  private cancelTimer(life: Life, name: string): void {
    life.timers.get(name)?.cancel();
    life.timers.delete(name);
  }

  /** In order: it hears of it, and may cast. */
  async stop(life: Life, kind: string, text: string): Promise<void> {
    this.exit(life, kind, text, false);
    const definition = this.definitionOf(life);
    if (!definition.has("terminate") || !life.begun) return;
    this.farewells++;
    const message: Message = { callback: "terminate", method: "", argument: undefined };
    const done = await handle(definition, this.workFor(life, message, new LazyAbort(), undefined, { kind, text }), this);
    this.farewells--;
    for (const effect of fieldsOf(done)["effects"] ?? []) this.carryOut(life, effect);
    this.changed();
  }

  /** The life ends, with its timers and what waits. A process that had begun starts afresh. */
  exit(life: Life, kind: string, text: string, restart = true): void {
    const name = nameText(life.name);
    this.lives.delete(name);
    this.exits.push({ name, kind, text });
    for (const alarm of life.timers.values()) alarm.cancel();
    life.handling?.abort.abort(new Error(`${name} exited`));
    const problem = `${name} exited, ${kind}: ${text}`;
    for (const { answer } of life.mailbox) answer?.reject(new OrreryError("process_exited", problem, "not_executed"));
    for (const { answer } of [...life.kept.values(), ...(life.handling ? [life.handling.message] : [])]) {
      answer?.reject(new OrreryError("process_exited", problem, "unknown"));
    }
    this.relations.ended(life, { kind, text });
    if (restart && life.begun) {
      const fresh = this.start(life.name);
      fresh.restarted = true;
      this.pump(fresh);
    }
    this.changed();
  }

  /** It has come from another node: under another pid, with all that it has but its monitors and requests. */
  handoff(life: Life): void {
    const before = life.pid;
    life.pid = this.newPid();
    life.moved = true;
    this.relations.moved(life, before);
    this.pump(life);
  }

  // ---- Runtime ----

  async callFrom(work: Work, to: NameLike, method: string, argument: unknown, options: { timeoutMs?: number | undefined }): Promise<any> {
    const life = work.connection as Life;
    const name = parseName(to);
    if (nameText(name) === nameText(life.name)) throw invalid(`${nameText(name)} would wait for itself`);
    life.waitsInside++;
    this.changed();
    try {
      return await this.ask(name, method, argument, options.timeoutMs, traceparent.get());
    } finally {
      life.waitsInside--;
    }
  }
}

/** As another process would get it. */
export function copied(value: unknown, what: string): unknown {
  return decode(encodeValue(value, what).bytes);
}

function fieldsOf(done: Done): Record<string, any> {
  return decode(encode(done.fields, FRAME_DEPTH_MAX), FRAME_DEPTH_MAX) as Record<string, any>;
}
