/** The class that every SDK hosts for the conformance cases, under any name. What it does is part of the list: keep the SDKs' alike. */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Code, type Down, type Effect, type InfoSource, Process, type ProcessClass, type Reason, Refused, type Reply, call, cast, info, traceparent } from "../index.js";

/** Of any shape: `replace` may make it anything. */
type State = any;

export class Desk extends Process<State> {
  override init(key: string): void {
    if (key.endsWith("closed")) throw new Refused("forbidden", "the desk is closed");
    this.state = { notes: [], waiting: [], ids: [], count: 0 };
  }

  // ---- plain ----

  @call async echo(value: unknown) {
    return value;
  }

  @call async add(note: unknown) {
    return this.state.notes.push(note);
  }

  @call async get() {
    return this.state.notes;
  }

  @call async whole() {
    return this.state;
  }

  @call async replace(state: State) {
    this.state = state;
  }

  @call async about() {
    return { name: `${this.name.className}/${this.name.key}`, message: this.message, trace: traceparent.get() ?? null };
  }

  @cast async note(value: unknown) {
    this.state.notes.push(value);
  }

  @cast tick() {
    this.state.count++;
  }

  // ---- failing ----

  @call async crash(text: string) {
    this.state.notes.push("lost");
    throw new Error(text);
  }

  @call("refuse") async sayNo({ code, text, effect }: { code: Code; text: string; effect?: Effect }) {
    this.state.notes.push("never kept");
    this.cast(`counter/${this.key}`, "add", 100);
    throw new Refused(code, text, effect);
  }

  @call async odd(what: string): Promise<unknown> {
    switch (what) {
      case "state":
        this.state = new Map();
        return;
      case "deep":
        for (let depth = 0; depth < 100; depth++) this.state = [this.state];
        return;
      case "big":
        return "x".repeat(10_000_000);
      case "huge state":
        this.state.notes = ["x".repeat(900_000), "x".repeat(900_000)];
        return;
      case "twice":
        this.replyLater();
        return "and now";
      case "effects":
        for (let count = 0; count <= 1000; count++) this.cancelTimer("x");
        return;
      case "reply":
        return new Date();
      default:
        return;
    }
  }

  // ---- slow ----

  @call async sleep(ms: number) {
    await sleep(ms, undefined, { signal: this.signal });
    return "slept";
  }

  /** Where a language has threads for it, this one blocks; here it only ignores its signal. */
  @call async block(ms: number) {
    await sleep(ms);
    return "blocked";
  }

  // ---- later, continued, ended ----

  @call async later() {
    this.state.waiting.push(this.replyLater());
  }

  @cast async answer(value: unknown) {
    const waiting: number[] = this.state.waiting;
    this.state.waiting = [];
    for (const caller of waiting) {
      if (value === "no") this.refuse(caller, new Refused("not_found", "none"));
      else this.reply(caller, value as string);
    }
  }

  @call("two_steps") async twoSteps() {
    this.continue("second");
    return "first";
  }

  override handleContinue(value: unknown) {
    this.state.notes.push(value);
  }

  @call async finish(kind: "normal" | "shutdown" | "error") {
    this.stop(kind, "said so");
    return "bye";
  }

  override terminate({ kind, text }: Reason) {
    this.cast(`kv/${this.key}`, "put", { key: "farewell", value: { kind, text } });
  }

  // ---- others, and time ----

  @call async ask({ to, method, argument }: { to: string; method: string; argument?: any }) {
    return await this.call(to, method, argument);
  }

  @call("send") async castAll({ to, method, arguments: all }: { to: string; method: string; arguments: any[] }) {
    for (const value of all) this.cast(to, method, value);
  }

  @call async remind({ ms, name, argument }: { ms: number; name: string; argument?: any }) {
    this.after(ms, name, argument);
  }

  @call async forget(name: string) {
    this.cancelTimer(name);
  }

  @info async ring(argument: unknown) {
    this.state.notes.push({ ring: this.message, argument });
  }

  @call async joins(group: string) {
    this.joinGroup(group);
  }

  @call async leaves(group: string) {
    this.leaveGroup(group);
  }

  @call async publishes({ group, word, argument }: { group: string; word: string; argument?: any }) {
    this.publish(group, word, argument);
  }

  @call async sends({ to, word, argument }: { to: string; word: string; argument?: any }) {
    this.send(to, word, argument);
  }

  @call async requests({ name, to, method, argument, timeoutMs }: { name: string; to: string; method: string; argument?: any; timeoutMs?: number }) {
    this.request(name, to, method, argument, { timeoutMs });
  }

  @call async watches({ name, to }: { name: string; to: string }) {
    this.monitor(name, to);
  }

  @call async unwatches(name: string) {
    this.demonitor(name);
  }

  @info async heard(argument: unknown) {
    const { message, source } = this;
    this.state.notes.push({ info: message, source: source ?? null, ...heardOf(source, argument) });
  }

  override handoff() {
    this.state.notes.push({ handoff: true });
  }

  // ---- truth under fire ----

  /** Writes the call's number down, and keeps a state that is torn if ever half of it is taken. Whether it was whole. */
  @call async record({ id, file }: { id: number; file: string }) {
    const whole = this.state.ids.length === this.state.count;
    appendFileSync(file, `${id}\n`);
    await Promise.resolve();
    this.state.ids = [...this.state.ids, id].slice(-50);
    this.state.count = this.state.ids.length;
    return whole;
  }
}

function heardOf(source: InfoSource | undefined, argument: any): object {
  if (source === "down") return { reason: { kind: (argument as Down).reason.kind } };
  if (source !== "reply") return { argument };
  const { ok, error } = argument as Reply;
  return error ? { error: { code: error.code, effect: error.effect } } : { argument: ok };
}

/** The class under a name. From version 2 on it brings older states along. */
export function desk(className: string, stateVersion: number): ProcessClass {
  class Named extends Desk {
    static override className = className;
    static override stateVersion = stateVersion;
  }
  if (stateVersion < 2) return Named;
  return class Newer extends Named {
    override codeChange(fromVersion: number) {
      this.state.notes.push({ from: fromVersion, to: stateVersion });
    }
  };
}
