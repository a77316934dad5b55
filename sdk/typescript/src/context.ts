/** One message at a process: what it asks for beside its reply, and who carries its questions to others. */
import { Asked } from "./asked.js";
import type { Encoded } from "./cbor.js";
import type { Definition } from "./definition.js";
import { EFFECTS_MAX, type EffectFrame, checkInfoName } from "./effects.js";
import type { Logger } from "./hooks.js";
import { type Name, type NameLike, nameText } from "./names.js";
import { encodeValue, wellFormed } from "./values.js";
import type { Work } from "./work.js";

const STOP_KINDS = ["normal", "shutdown", "error"] as const;
export type StopKind = (typeof STOP_KINDS)[number];

/** What a message needs of its surroundings: the host of a live app, or the test kit's. */
export interface Runtime {
  readonly valueBytes: number;
  readonly logger: Logger;
  callFrom(work: Work, to: NameLike, method: string, argument: unknown, options: { timeoutMs?: number | undefined }): Promise<any>;
}

/** Collects effects while the message is handled; closed afterwards. */
export class Context {
  readonly name: Name;
  readonly effects: EffectFrame[] = [];
  later = false;
  next: Encoded | undefined;
  stop: { kind: StopKind; text: string } | undefined;
  private readonly answered = new Set<number>();
  private closed = false;

  constructor(
    readonly work: Work,
    readonly runtime: Runtime,
    private readonly definition: Definition,
  ) {
    this.name = { className: work.className, key: work.key };
  }

  close(): void {
    this.closed = true;
  }

  encode(value: unknown, what: string): Encoded {
    return encodeValue(value, what, this.runtime.valueBytes);
  }

  add(effect: EffectFrame): void {
    this.checkOpen();
    if (this.work.callback === "terminate" && !("cast" in effect)) throw new Error("a process that terminates can only cast");
    if (this.effects.length >= EFFECTS_MAX) throw new Error(`a message has at most ${EFFECTS_MAX} effects`);
    this.effects.push(effect);
  }

  /** Throws for a name that nobody would hear of. */
  infoName(what: string, name: string): string {
    checkInfoName(what, name);
    if (this.definition.handler("info", name)) return name;
    const known = this.definition.names("info").join(", ") || "none";
    throw new RangeError(`${this.definition.owner.name} has no @info '${name}' for this ${what} to come to; it has: ${known}`);
  }

  answer(to: number, effect: EffectFrame): void {
    if (typeof to !== "number") throw new TypeError(`a caller's token is what replyLater() returned, not a ${typeof to}`);
    if (this.answered.has(to)) throw new Error(`caller ${to} was answered already`);
    this.add(effect);
    this.answered.add(to);
  }

  leaveWaiting(): number {
    this.checkOpen();
    const { callback, caller } = this.work;
    if (callback !== "call" || caller === undefined) throw new Error(`nobody waits for an answer to this ${callback}`);
    this.later = true;
    return caller;
  }

  setNext(value: unknown): void {
    this.checkOpen();
    this.next = this.encode(value, "continue value");
  }

  setStop(kind: StopKind, text: string): void {
    this.checkOpen();
    if (!STOP_KINDS.includes(kind)) throw new RangeError(`a process stops with ${STOP_KINDS.join(", ")}, not '${kind}'`);
    this.stop = { kind, text: wellFormed(text) };
  }

  call(to: NameLike, method: string, argument: unknown, options: { timeoutMs?: number | undefined }): Promise<any> {
    const answer = this.ask(to, method, argument, options);
    return Asked.of(answer, (problem) => {
      const where = `${nameText(this.name)} did not await its call of ${method} at ${typeof to === "string" ? to : nameText(to)}`;
      this.runtime.logger.warn(`${where}, which failed: ${(problem as Error).message}`);
    });
  }

  private async ask(to: NameLike, method: string, argument: unknown, options: { timeoutMs?: number | undefined }): Promise<any> {
    this.checkOpen();
    return this.runtime.callFrom(this.work, to, method, argument, options);
  }

  private checkOpen(): void {
    if (!this.closed) return;
    const what = `${this.work.method || this.work.callback}' to ${nameText(this.name)}`;
    throw new Error(`the message '${what} has ended; nothing can be asked of its process any more (is an await missing?)`);
  }
}
