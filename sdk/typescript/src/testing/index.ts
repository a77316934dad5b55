/** Runs process classes in unit tests: no sidecar, no sockets, and a clock that only moves when told to. */
import { decode } from "../cbor.js";
import { definitionsOf } from "../definition.js";
import { OrreryError } from "../errors.js";
import { type Logger, consoleLogger } from "../hooks.js";
import { type Name, type NameLike, checkGroup, checkWord, isPid, nameText, parseName } from "../names.js";
import type { ProcessClass } from "../process.js";
import type { Reason } from "../reason.js";
import type { Value } from "../values.js";
import { type Answer, type Cast, Engine, type Exit, copied } from "./engine.js";
import type { Life } from "./life.js";
import type { Published, Sent } from "./relations.js";

export type { Answer, Cast, Exit, Published, Sent };

/**
 * ```ts
 * const host = new TestHost(Cart);
 * assert.equal(await host.call("ada", "add", "pen"), 1);
 * await host.advance(3_600_000);                            // fires timers, in order
 * assert.deepEqual(host.casts, [{ to: "mail/ada", method: "send", argument: "you forgot a pen" }]);
 * ```
 *
 * Messages go the way that they go in a mesh: one at a time per process, the state as bytes in between, crashes as exits with a fresh start.
 * What a handler could not send it cannot send here. Where one class is under test, its processes may be named by their keys alone.
 */
export class TestHost {
  private readonly engine: Engine;

  constructor(...classes: ProcessClass[]) {
    const quiet: Logger = { ...consoleLogger, error: () => {} }; // crashes are told to callers
    this.engine = new Engine(classes, quiet);
  }

  // ---- what a test does ----

  /**
   * The reply, once all that followed from the message has happened. Errors are those of a live mesh. `timeoutMs` is of {@link now}: it passes
   * only while {@link advance} is called.
   */
  async call<T = any>(to: NameLike, method: string, argument?: Value, options: { timeoutMs?: number } = {}): Promise<T> {
    try {
      return (await this.engine.ask(this.name(to), method, argument, options.timeoutMs)) as T;
    } finally {
      await this.engine.settle();
    }
  }

  /** Resolves once all that followed from the message has happened. Rejects as a live mesh does where the class has no such cast. */
  async cast(to: NameLike, method: string, argument?: Value): Promise<void> {
    this.engine.castAt(this.name(to), method, argument);
    await this.engine.settle();
  }

  /** A plain message, as other processes send them. */
  async info(to: NameLike, word: string, argument?: Value): Promise<void> {
    this.engine.deliver(this.name(to), { callback: "info", method: checkWord(word), argument: copied(argument, "argument"), source: "message" });
    await this.engine.settle();
  }

  /** A plain message to the members of a group. How many there are. */
  async publish(group: string, word: string, argument?: Value): Promise<number> {
    const members = this.engine.relations.deliver({ group: checkGroup(group), word: checkWord(word), argument: copied(argument, "argument") });
    await this.engine.settle();
    return members;
  }

  /** A process that is not under test has ended: who watches it hears so. `to` is what they watch, by its text; rejects where nobody does. */
  async down(to: string, kind: Reason["kind"] = "error", text = ""): Promise<void> {
    await this.engine.settle();
    if (this.engine.relations.tellDown(to, isPid(to) ? to : null, { kind, text }) === 0) {
      const here = this.engine.lifeAt(to) !== undefined;
      throw new Error(here ? `${to} is under test; end it with kill or stop` : `nobody watches '${to}'; see monitors(name)`);
    }
    await this.engine.settle();
  }

  /**
   * Moves a process, as if to another node: it has another pid, its monitors are gone, its requests without an answer are answered `unavailable`,
   * `unknown`, and before all that waits its `handoff` is called. Who watches it hears that it has `moved`.
   */
  async handoff(name: NameLike): Promise<void> {
    await this.engine.settle();
    this.engine.handoff(this.life(name));
    await this.engine.settle();
  }

  /** Lets time pass, never back. Timers fire in their order, and what follows from each happens before the next. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`time passes by some milliseconds, not by ${ms}`);
    await this.engine.settle();
    const until = this.now + ms;
    while (this.engine.clock.fireNext(until)) await this.engine.settle();
  }

  /** Resolves when no handler runs, but those that wait for an answer of a process here. */
  settle(): Promise<void> {
    return this.engine.settle();
  }

  /** Ends a process in order: `terminate` is called. */
  async stop(name: NameLike, kind = "shutdown", text = ""): Promise<void> {
    await this.engine.stop(this.life(name), kind, text);
    await this.engine.settle();
  }

  /** Ends a process at once; it starts afresh. */
  async kill(name: NameLike, reason = "killed"): Promise<void> {
    this.engine.exit(this.life(name), "killed", reason);
    await this.engine.settle();
  }

  /** Another version of a class takes over: states go through its `codeChange` before their next message. */
  upgrade(owner: ProcessClass): void {
    for (const [className, definition] of definitionsOf([owner])) this.engine.definitions.set(className, definition);
  }

  /** What classes that are not under test answer to calls: a value, an error, or a function of key and argument. */
  answer(className: string, method: string, answer: Answer): void {
    this.engine.stubs.set(`${className} ${method}`, answer);
  }

  // ---- what a test looks at ----

  /** Milliseconds since the test began. */
  get now(): number {
    return this.engine.clock.now;
  }

  /** Every cast that handlers sent, oldest first. */
  get casts(): readonly Cast[] {
    return this.engine.casts;
  }

  /** Every plain message that handlers sent to one process, oldest first. */
  get sent(): readonly Sent[] {
    return this.engine.relations.sent;
  }

  /** Everything that handlers published, oldest first. */
  get published(): readonly Published[] {
    return this.engine.relations.published;
  }

  /** Every exit, oldest first. */
  get exits(): readonly Exit[] {
    return this.engine.exits;
  }

  /** What the process remembers. */
  state<State = any>(name: NameLike): State {
    return decode(this.life(name).state) as State;
  }

  /** The timers that are set, and in how many milliseconds they fire. */
  timers(name: NameLike): Record<string, number> {
    return Object.fromEntries([...this.life(name).timers].map(([timer, alarm]) => [timer, alarm.at - this.now]));
  }

  /** Names this life of the process. */
  pid(name: NameLike): string {
    return this.life(name).pid;
  }

  /** The members of a group that are under test, by their names. */
  members(group: string): string[] {
    return this.engine.relations.members(group).map((life) => nameText(life.name));
  }

  /** The groups that the process is in. */
  groups(name: NameLike): string[] {
    return this.engine.relations.groupsOf(this.life(name));
  }

  /** What the process watches, by the names of its monitors. */
  monitors(name: NameLike): Record<string, string> {
    return this.engine.relations.monitorsOf(this.life(name));
  }

  isRunning(name: NameLike): boolean {
    return this.engine.lives.has(nameText(this.name(name)));
  }

  private life(name: NameLike): Life {
    const text = nameText(this.name(name));
    const life = this.engine.lives.get(text);
    if (!life) throw new OrreryError("not_found", `${text} does not run`, "not_executed");
    return life;
  }

  private name(name: NameLike): Name {
    const [only, ...others] = this.engine.definitions.keys();
    if (typeof name === "string" && !name.includes("/") && only !== undefined && others.length === 0) {
      return parseName({ className: only, key: name });
    }
    return parseName(name);
  }
}
