/** The base class of processes that this app hosts. */
import type { Context, StopKind } from "./context.js";
import { castEffect, checkInfoName, refusalEffect, replyEffect, timerEffect, timerMs } from "./effects.js";
import type { OrreryError, Refused } from "./errors.js";
import { type Name, type NameLike, checkGroup, checkMethod, checkWord, parseName, targetText } from "./names.js";
import type { Reason } from "./reason.js";
import { type Value, checkTimeout } from "./values.js";
import type { InfoSource } from "./work.js";

/** What comes of a {@link Process.request}: the reply, or the error instead of it. */
export type Reply<T = any> = { readonly ok: T; readonly error?: undefined } | { readonly ok?: undefined; readonly error: OrreryError };

/** A subclass of {@link Process}, as it is hosted. */
export interface ProcessClass {
  new (context: Context): Process<any>;
  readonly prototype: Process<any>;
  readonly name: string;
  readonly className: string;
  readonly stateVersion: number;
  readonly concurrency: number;
}

/**
 * One kind of process. Each of its processes has a key, a state and a mailbox, and handles one message at a time.
 *
 * ```ts
 * class Cart extends Process<{ items: string[] }> {
 *   static override className = "cart";
 *
 *   init() {
 *     this.state = { items: [] };
 *   }
 *
 *   @call
 *   async add(item: string) {
 *     this.state.items.push(item);
 *     return this.state.items.length;
 *   }
 * }
 * ```
 *
 * The sidecar keeps the state between messages, so that any app that hosts the class can handle the next one. An instance lives for one
 * message: what must last is in {@link state}, which is plain data. A handler that ends well has its reply, its changes and its effects
 * taken together; one that throws crashes its process, and nothing of it is taken.
 */
export abstract class Process<State = any> {
  /** The name of the `ProcessClass`. */
  static className = "";
  /** The version of the state's shape; raise it with {@link codeChange}. */
  static stateVersion = 0;
  /** How many processes of this class may be handled here at once. */
  static concurrency = 64;

  /** What the process remembers; null before {@link init}. Change it in place or assign it anew. */
  declare state: State;
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  // ---- callbacks, all optional ----

  /**
   * Sets the first state. What it throws keeps the process from starting. `argument` is what another process spawned it with, or what its class
   * declares for it, else null; a process that was spawned has an empty key.
   */
  init?(key: string, argument: any): void | Promise<void>;
  /** Brings a state of another `stateVersion` to this one; `fromVersion` is the higher one after a rollback. */
  codeChange?(fromVersion: number): void | Promise<void>;
  /** Gets what {@link continue} was given, before any other message. */
  handleContinue?(value: any): void | Promise<void>;
  /** The process has come from another node, and handles nothing before this: its monitors have stayed behind, and its requests were given up. */
  handoff?(): void | Promise<void>;
  /** The last words of a process that ends in order. Only casts leave it. */
  terminate?(reason: Reason): void | Promise<void>;

  // ---- about the message at hand ----

  get name(): Name {
    return this.#context.name;
  }

  /** Empty where the process was spawned without a name; {@link pid} names it then. */
  get key(): string {
    return this.#context.name.key;
  }

  /** Names this life of the process: another after every restart. */
  get pid(): string {
    return this.#context.work.pid;
  }

  /** The method; of an info, the whole name of the timer, request or monitor, or the word. */
  get message(): string {
    return this.#context.work.method;
  }

  /** What an info is: a `timer`, a `message` of another process, the `reply` to a {@link request} ({@link Reply}), or a `down` ({@link Down}). */
  get source(): InfoSource | undefined {
    return this.#context.work.source;
  }

  /** Aborted when nobody waits for this message any more: it ran over its time, its process was killed, the connection was lost. */
  get signal(): AbortSignal {
    return this.#context.work.signal;
  }

  // ---- effects ----

  /** Sends a message that nobody answers, once this one is done. */
  cast(to: NameLike, method: string, argument?: Value): void {
    const encoded = this.#context.encode(argument, "argument");
    this.#context.add(castEffect(parseName(to), checkMethod(method), encoded));
  }

  /**
   * Sets the timer `name`, or sets it anew: `@info` with that name gets `argument`. It ends with the process. `ms` is 0 to 400 days; parts of a
   * millisecond count as a whole one, and it takes one at least. Throws a TypeError or a RangeError for any other time, and for a name that no `@info` has.
   */
  after(ms: number, name: string, argument?: Value): void {
    this.#context.infoName("timer", name);
    this.#context.add(timerEffect(name, timerMs(ms), this.#context.encode(argument, "argument")));
  }

  /** Whether it is set or not. */
  cancelTimer(name: string): void {
    checkInfoName("timer", name);
    this.#context.add({ cancelTimer: name });
  }

  /** Sends a plain message to a process, by its pid or its name: its `@info` with that word, if there is one. It may find nobody. */
  send(to: NameLike, word: string, argument?: Value): void {
    this.#context.add({ send: { to: targetText(to), word: checkWord(word), argument: this.#context.encode(argument, "argument") } });
  }

  /** Sends a plain message to every member of a group, itself among them where it is one. */
  publish(group: string, word: string, argument?: Value): void {
    this.#context.add({ publish: { group: checkGroup(group), word: checkWord(word), argument: this.#context.encode(argument, "argument") } });
  }

  /** What is published in the group comes to `@info` of its word, until the process has left as often as it joined. */
  joinGroup(group: string): void {
    this.#context.add({ join: checkGroup(group) });
  }

  leaveGroup(group: string): void {
    this.#context.add({ leave: checkGroup(group) });
  }

  /**
   * Asks a process, by its pid or its name, without waiting: `@info` with `name` gets a {@link Reply}, within `timeoutMs` (default 5 s). One of a
   * name takes the place of another request or monitor of that name.
   */
  request(name: string, to: NameLike, method: string, argument?: Value, options: { timeoutMs?: number | undefined } = {}): void {
    const { timeoutMs } = options;
    checkTimeout(timeoutMs);
    const fields = { name: this.#context.infoName("request", name), to: targetText(to), method: checkMethod(method), argument: this.#context.encode(argument, "argument") };
    this.#context.add({ call: timeoutMs === undefined ? fields : { ...fields, timeoutMs: Math.ceil(timeoutMs) } });
  }

  /**
   * Watches a process, by its pid or its name: `@info` with `name` gets a {@link Down} once, when it ends, or at once where there is none. One of a
   * name takes the place of another request or monitor of that name.
   */
  monitor(name: string, to: NameLike): void {
    this.#context.add({ monitor: { name: this.#context.infoName("monitor", name), to: targetText(to) } });
  }

  /** Whether it is watched or not. */
  demonitor(name: string): void {
    this.#context.add({ demonitor: checkInfoName("monitor", name) });
  }

  /** Leaves the caller waiting and returns its token, plain data to keep in the state until {@link reply} or {@link refuse}. */
  replyLater(): number {
    return this.#context.leaveWaiting();
  }

  /** Answers a caller that {@link replyLater} left waiting. */
  reply(to: number, value?: Value): void {
    this.#context.answer(to, replyEffect(to, this.#context.encode(value, "reply")));
  }

  /** Answers such a caller with an error. */
  refuse(to: number, error: Refused): void {
    this.#context.answer(to, refusalEffect(to, error));
  }

  /** Calls {@link handleContinue} next, before the messages that wait. */
  continue(value?: Value): void {
    this.#context.setNext(value);
  }

  /** Ends the process after this message. */
  stop(kind: StopKind = "normal", text = ""): void {
    this.#context.setStop(kind, text);
  }

  /** Asks another process and waits. A call to itself is refused at once. */
  call<T = any>(to: NameLike, method: string, argument?: Value, options: { timeoutMs?: number } = {}): Promise<T> {
    return this.#context.call(to, method, argument, options);
  }
}
