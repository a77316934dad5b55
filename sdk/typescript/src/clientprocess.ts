/** Processes whose code is this program's own: they watch, are linked, are in groups, hold keys and get messages. */
import type { AskOptions, Asking } from "./asking.js";
import type { Connection } from "./connection.js";
import { type Effect, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";
import { Inbox, type NextOptions } from "./inbox.js";
import type { Link, Listener } from "./link.js";
import { type NameLike, checkGroup, checkMethod, checkWord, isPid, targetText } from "./names.js";
import { NORMAL, type Reason, reasonOf, reasonText } from "./reason.js";
import { type Value, encodeValue, wellFormed } from "./values.js";

/** So many messages may be under way or wait here; what is more waits on the node, as far as it has room. */
const WINDOW = 100;
/** For acts that have no deadline of their own. */
const ACT_MS = 10_000;
const TEXT_MAX = 1000;

/** What comes to a client process. `from` is a pid, never a name; it is absent where no process sent the message, or there is none of that name. */
export type ProcessMessage =
  /** Sent, or published to a group. The system's words are `group_joined` and `group_left` with `{ group, pids }`, and `key_lost` with `{ key, pid }`. */
  | { readonly kind: "plain"; readonly word: string; readonly argument: any; readonly from?: string }
  | { readonly kind: "cast"; readonly method: string; readonly argument: any; readonly from?: string }
  /** What {@link ClientProcess.monitor} watches has ended. */
  | { readonly kind: "down"; readonly monitor: number; readonly from?: string; readonly reason: Reason }
  /** A process that it is linked with has ended, or somebody asks it to exit. It goes on until it is closed. */
  | { readonly kind: "exit"; readonly from?: string; readonly reason: Reason }
  /**
   * So many messages, plain ones and casts, would have come after the one before this, found no room at the node, and are lost: they were not read
   * fast enough. What they would have told is to be looked at anew: the state of who sends them, the group, the key. Ends are never among them.
   */
  | { readonly kind: "dropped"; readonly count: number };

/** Where a key is held, and by how many: of the whole mesh (the default is `mesh_unique`), or of this node. */
export type KeySpace = "mesh_unique" | "mesh_duplicate" | "node_unique" | "node_duplicate";

export interface ClaimOptions {
  /** How long the key's owner is waited for, where the key is `mesh_unique`; 1 ms to 1 h. Default: 5 s. */
  readonly timeoutMs?: number | undefined;
  /** What others see at the key. Default: null. */
  readonly value?: Value;
  readonly in?: KeySpace | undefined;
}

/** One client process, as its connection sees it. */
class Seat {
  reason: Reason | undefined;
  readonly inbox: Inbox<ProcessMessage>;

  constructor(
    readonly number: number,
    readonly connection: Connection,
  ) {
    this.inbox = new Inbox(WINDOW, (add) => this.reason ?? connection.tell({ type: "credit", process: number, add }));
  }

  take(frame: Frame): void {
    const message = messageOf(frame);
    if (message) this.inbox.put(message);
    else this.inbox.passOver(); // of a kind that this version does not know
  }

  end(reason: Reason): void {
    this.reason ??= reason;
    this.inbox.end();
  }
}

/** All client processes of a client. */
export class ClientProcesses implements Listener {
  private readonly seats = new Map<number, Seat>();
  private last = 0;

  constructor(
    link: Link,
    private readonly asking: Asking,
  ) {
    link.listeners.push(this);
  }

  /** See {@link Client.process}. */
  async open(signal?: AbortSignal): Promise<ClientProcess> {
    const number = ++this.last;
    const opened: { seat?: Seat } = {};
    const sending = (connection: Connection) => {
      opened.seat = new Seat(number, connection); // before the answer: messages may come right behind it
      this.seats.set(number, opened.seat);
    };
    try {
      const { pid } = await this.asking.ask("open", { process: number, credit: WINDOW }, "not_executed", { timeoutMs: ACT_MS, signal, sending });
      return new ClientProcess(pid, opened.seat as Seat, this.asking, () => this.seats.delete(number));
    } catch (problem) {
      this.seats.delete(number);
      const connection = opened.seat?.connection;
      connection?.tell({ type: "close", id: connection.nextId(), process: number }); // where nobody waited for the answer
      throw problem;
    }
  }

  // ---- Listener ----

  received(connection: Connection, frame: Frame): boolean {
    if (frame.type !== "message" && frame.type !== "ended") return false;
    const seat = this.seats.get(frame["process"]);
    if (seat?.connection !== connection) return true; // it was closed
    if (frame.type === "message") {
      seat.take(frame);
    } else {
      seat.end(reasonOf(frame["reason"]));
      this.seats.delete(seat.number);
    }
    return true;
  }

  lost(connection: Connection, text: string): void {
    for (const seat of [...this.seats.values()]) {
      if (seat.connection !== connection) continue;
      seat.end({ kind: "noconnection", text });
      this.seats.delete(seat.number);
    }
  }
}

/**
 * A process of the sidecar's node whose code is this program's: made by {@link Client.process}, it has a pid that every node can send to, watch
 * and link with. Its messages are iterated, in the order in which each sender sent them:
 *
 * ```ts
 * await using member = await client.process();
 * await member.join("room/1");
 * for await (const message of member) if (message.kind === "plain") console.log(message.word, message.argument);
 * ```
 *
 * It ends when it is closed, when it is killed ({@link ended} says why), and with its connection, reason `noconnection`: its keys are free then
 * and it is in no group. It does not come back; open another. The iteration ends with it, after what had come.
 *
 * What a slow reader has not read waits on the node: 10,000 messages, and no more than its connection's share of 128 MiB. Plain messages and casts
 * beyond that are dropped, and in their place comes `dropped`, with their count: look at what they were about anew. Ends (`down`, `exit`) and what the
 * system says of groups and keys are kept longer; a process that cannot be told them ends, reason `limit`.
 *
 * All that it does rejects with an {@link OrreryError}: `unavailable`, `not_executed` after its end, `invalid_argument` for what cannot be. Where `to`
 * is a name, {@link call} and {@link cast} start its process; all else means the process that runs now.
 */
export class ClientProcess implements AsyncIterable<ProcessMessage>, AsyncDisposable {
  private closing: Promise<void> | undefined;

  constructor(
    readonly pid: string,
    private readonly seat: Seat,
    private readonly asking: Asking,
    private readonly closed: () => void,
  ) {}

  // ---- its life ----

  /** Why it has ended; undefined: it has not. */
  get ended(): Reason | undefined {
    return this.seat.reason;
  }

  /** The next message; undefined where it has ended and everything was read. Several may wait; each message goes to one of them. */
  next(options: NextOptions = {}): Promise<ProcessMessage | undefined> {
    return this.seat.inbox.next(options);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `ClientProcess <${this.pid}, ${this.ended ? `ended, ${reasonText(this.ended)}` : this.closing ? "closing" : "open"}>`;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProcessMessage> {
    for (let message = await this.next(); message; message = await this.next()) yield message;
  }

  /** Ends it: who watches it or is linked with it hears the reason. Does nothing where it has ended already. */
  close(reason: { readonly kind: "normal" | "shutdown" | "error"; readonly text?: string } = NORMAL as { kind: "normal" }): Promise<void> {
    this.closing ??= this.end(reasonFields(reason));
    return this.closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async end(reason: Reason): Promise<void> {
    try {
      if (!this.ended) await this.act("close", { reason }, "unknown");
    } catch (problem) {
      if (!this.ended && this.seat.connection.isOpen) {
        this.closing = undefined;
        throw problem;
      }
      return; // it has ended with its connection
    }
    this.closed();
    this.seat.end(reason);
  }

  // ---- messages to others ----

  /** As {@link Client.call}, also to pids. */
  async call<T = any>(to: NameLike, method: string, argument?: Value, options: AskOptions = {}): Promise<T> {
    const fields = { to: targetText(to), method: checkMethod(method), argument: this.encoded(argument) };
    return this.act("call", fields, "unknown", options);
  }

  /** A message that is not answered. Resolves when the sidecar has accepted it. */
  async cast(to: NameLike, method: string, argument?: Value): Promise<void> {
    await this.act("cast", { to: targetText(to), method: checkMethod(method), argument: this.encoded(argument) });
  }

  /** A plain message, which may find nobody. Resolves when the sidecar has accepted it. */
  async send(to: NameLike, word: string, argument?: Value): Promise<void> {
    await this.act("send", { to: targetText(to), word: checkWord(word), argument: this.encoded(argument) });
  }

  /** A plain message to every member of the group that is known, itself among them where it is one. How many there are. */
  async publish(group: string, word: string, argument?: Value): Promise<number> {
    return (await this.act("publish", { group: checkGroup(group), word: checkWord(word), argument: this.encoded(argument) })).members;
  }

  // ---- other processes ----

  /** Starts a process without a name, on this node, whose `init` gets the argument; linked with it, watched by it, from the very start. */
  async spawn(className: string, argument?: Value, options: { link?: boolean; monitor?: boolean } = {}): Promise<{ pid: string; monitor?: number }> {
    const { link = false, monitor = false } = options;
    return this.act("spawn", { class: className, argument: this.encoded(argument), link, monitor });
  }

  /** Watches a process: `down` with this number comes once, when it ends, or at once where there is none (`noproc`). */
  async monitor(to: NameLike): Promise<number> {
    return (await this.act("monitor", { to: targetText(to) })).monitor;
  }

  /** Its `down` does not come any more, also where it waits to be read. */
  async demonitor(monitor: number): Promise<void> {
    await this.act("demonitor", { monitor });
    this.seat.inbox.drop((message) => message.kind === "down" && message.monitor === monitor);
  }

  /** The end of one is an exit of the other; of this one, a message `exit`. */
  async link(to: NameLike): Promise<void> {
    await this.act("link", { to: targetText(to) });
  }

  async unlink(to: NameLike): Promise<void> {
    await this.act("unlink", { to: targetText(to) });
  }

  /** Sends an exit signal. `kill` cannot be trapped. */
  async exit(to: NameLike, reason: { readonly kind: string; readonly text?: string }): Promise<void> {
    await this.act("exit", { to: targetText(to), reason: reasonFields(reason) });
  }

  // ---- groups ----

  /** It gets what is published there, until it has left as often as it joined. */
  async join(group: string): Promise<void> {
    await this.act("join", { group: checkGroup(group) });
  }

  /** Whether it was a member. */
  async leave(group: string): Promise<boolean> {
    return (await this.act("leave", { group: checkGroup(group) })).member;
  }

  /** The members now, by their pids; who joins and leaves from here on comes as the words `group_joined` and `group_left`. */
  async watch(group: string): Promise<string[]> {
    return (await this.act("watch", { group: checkGroup(group) })).pids;
  }

  async unwatch(group: string): Promise<void> {
    await this.act("unwatch", { group: checkGroup(group) });
  }

  // ---- keys of the registry ----

  /** Holds the key until it ends. Rejects with `already_exists`, whose text names who holds it. */
  async claim(key: string, { value, in: space, timeoutMs }: ClaimOptions = {}): Promise<void> {
    await this.act("claim", { key, value: this.encoded(value, "value"), in: space }, "unknown", { timeoutMs });
  }

  /** Another value for a key that it holds. */
  async update(key: string, value: Value, space?: KeySpace): Promise<void> {
    await this.act("update", { key, value: this.encoded(value, "value"), in: space });
  }

  /** Whether it held the key. */
  async release(key: string, space?: KeySpace): Promise<boolean> {
    return (await this.act("release", { key, in: space })).held;
  }

  private async act(act: string, fields: object, effectIfLost: Effect = "unknown", options: AskOptions = { timeoutMs: ACT_MS }): Promise<any> {
    const { number, connection, reason } = this.seat;
    if (reason) throw unavailable(`the client process ${this.pid} has ended, ${reasonText(reason)}`);
    if (this.closing && act !== "close") throw unavailable(`the client process ${this.pid} is closed`);
    return this.asking.ask(act, { process: number, ...fields }, effectIfLost, { ...options, on: connection });
  }

  private encoded(value: Value, what = "argument"): unknown {
    return encodeValue(value, what, this.seat.connection.welcome.valueBytes);
  }
}

/** As a frame may hold it. */
export function reasonFields({ kind, text = "" }: { kind: string; text?: string }): Reason {
  return { kind, text: wellFormed(text.slice(0, TEXT_MAX)) };
}

function messageOf(frame: Frame): ProcessMessage | undefined {
  const { kind, from, word = "", method = "", argument = null, monitor, count } = frame;
  const sender = from === undefined || !isPid(from) ? {} : { from };
  switch (kind) {
    case "plain":
      return { kind, word, argument, ...sender };
    case "cast":
      return { kind, method, argument, ...sender };
    case "down":
      return { kind, monitor, ...sender, reason: reasonOf(frame["reason"]) };
    case "exit":
      return { kind, ...sender, reason: reasonOf(frame["reason"]) };
    case "dropped":
      return { kind, count };
    default:
      return undefined;
  }
}
