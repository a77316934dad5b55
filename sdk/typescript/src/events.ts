/** Following what happens in the mesh, as this node sees it. */
import type { Connection } from "./connection.js";
import { OrreryError, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";
import { Inbox } from "./inbox.js";
import type { Link, Listener } from "./link.js";

/** As many events may be under way or wait here; a slow reader gets `dropped` instead of the rest. */
const CREDIT = 256;

/**
 * `type` is one of the sidecar's event types (`process_restarted`, `node_up`, ...), or
 * - `dropped`, with `data.count`: so many were not sent, because this reader was too slow;
 * - `resubscribed`: the connection was lost and is there again; what happened in between is not known.
 */
export interface Event {
  readonly type: string;
  readonly data: Readonly<Record<string, any>>;
}

/**
 * `for await (const event of client.events("process_restarted"))`. Where nothing may be missed, `await events.open()` first: the subscription
 * stands from there on. Leaving the loop ends it; so does {@link close}. The loop ends, as that of a client process does, when the client is closed;
 * {@link next} rejects then.
 */
export class Events implements Listener, AsyncIterable<Event> {
  private connection: Connection | undefined;
  private id = 0;
  private readonly inbox: Inbox<Event>;
  private problem: OrreryError | undefined;
  private isClosed = false; // by its own program, and nothing went wrong
  private opening: Promise<void> | undefined;

  constructor(
    private readonly link: Link,
    private readonly types: readonly string[],
    private readonly patienceMs: number | undefined,
  ) {
    const give = (add: number) => this.connection?.tell({ type: "credit", id: this.id, add });
    this.inbox = new Inbox(CREDIT, give, ({ type }) => type !== "dropped" && type !== "resubscribed");
  }

  /** Subscribes. Rejects with an {@link OrreryError} where the sidecar refuses. */
  open(): Promise<void> {
    this.opening ??= this.begin();
    return this.opening;
  }

  /** The next event. Rejects with an {@link OrreryError} where the subscription has ended for good. */
  async next(): Promise<Event> {
    const event = await this.read();
    if (!event) throw this.problem;
    return event;
  }

  close(): void {
    this.link.remove(this);
    this.connection?.tell({ type: "cancel", id: this.id });
    this.connection = undefined;
    this.isClosed ||= !this.problem;
    this.end(unavailable("the subscription has ended"));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event> {
    try {
      for (;;) {
        const event = await this.read();
        if (!event && this.isClosed) return;
        if (!event) throw this.problem;
        yield event;
      }
    } finally {
      this.close();
    }
  }

  // ---- Listener ----

  opened(connection: Connection): void {
    this.subscribe(connection).then(
      () => {
        if (this.inbox.newest?.type !== "resubscribed") this.inbox.put({ type: "resubscribed", data: { node: connection.welcome.node } });
      },
      (problem: OrreryError) => {
        if (connection.isOpen) this.end(problem);
      },
    );
  }

  received(connection: Connection, frame: Frame): boolean {
    if (connection !== this.connection || frame["id"] !== this.id) return false;
    if (frame.type === "event") this.inbox.put({ type: String(frame["event"]), data: frame["data"] ?? {} });
    else if (frame.type === "closed") this.end(unavailable("the sidecar closed the subscription"));
    else return false;
    return true;
  }

  lost(): void {
    this.connection = undefined;
  }

  ended(problem: OrreryError): void {
    this.isClosed ||= !this.problem;
    this.end(problem);
  }

  // ---- its own ----

  private async read(): Promise<Event | undefined> {
    await this.open();
    return this.inbox.next();
  }

  private async begin(): Promise<void> {
    const connection = await this.link.connection(this.patienceMs);
    if (this.problem) throw this.problem; // closed meanwhile
    this.link.listeners.push(this);
    try {
      await this.subscribe(connection);
    } catch (problem) {
      this.link.remove(this);
      throw problem;
    }
  }

  private async subscribe(connection: Connection): Promise<void> {
    this.connection = connection;
    this.id = connection.nextId();
    await connection.request(this.id, { type: "subscribe", credit: this.inbox.begin(), events: this.types }, "not_executed");
  }

  private end(problem: OrreryError): void {
    this.problem ??= problem;
    this.inbox.end();
  }
}
