/** Following what happens in the mesh, as this node sees it. */
import type { Connection } from "./connection.js";
import { OrreryError, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";
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
 * stands from there on. Leaving the loop ends it; so does {@link close}.
 */
export class Events implements Listener, AsyncIterable<Event> {
  private connection: Connection | undefined;
  private id = 0;
  private spent = 0;
  private arrived: Event[] = [];
  private problem: OrreryError | undefined;
  private waiting: (() => void)[] = [];
  private opening: Promise<void> | undefined;

  constructor(
    private readonly link: Link,
    private readonly types: readonly string[],
    private readonly patienceMs: number | undefined,
  ) {}

  /** Subscribes. Rejects with an {@link OrreryError} where the sidecar refuses. */
  open(): Promise<void> {
    this.opening ??= this.begin();
    return this.opening;
  }

  /** The next event. Rejects with an {@link OrreryError} where the subscription has ended for good. */
  async next(): Promise<Event> {
    await this.open();
    for (;;) {
      const event = this.arrived.shift();
      if (event) {
        if (event.type !== "dropped" && event.type !== "resubscribed") this.giveCredit();
        return event;
      }
      if (this.problem) throw this.problem;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  close(): void {
    this.link.remove(this);
    this.connection?.tell({ type: "cancel", id: this.id });
    this.connection = undefined;
    this.end(unavailable("the subscription has ended"));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event> {
    try {
      for (;;) yield await this.next();
    } finally {
      this.close();
    }
  }

  // ---- Listener ----

  opened(connection: Connection): void {
    this.subscribe(connection).then(
      () => {
        if (this.arrived.at(-1)?.type !== "resubscribed") this.arrive({ type: "resubscribed", data: { node: connection.welcome.node } });
      },
      (problem: OrreryError) => {
        if (connection.isOpen) this.end(problem);
      },
    );
  }

  received(connection: Connection, frame: Frame): boolean {
    if (connection !== this.connection || frame["id"] !== this.id) return false;
    if (frame.type === "event") this.arrive({ type: String(frame["event"]), data: frame["data"] ?? {} });
    else if (frame.type === "closed") this.end(unavailable("the sidecar closed the subscription"));
    else return false;
    return true;
  }

  lost(): void {
    this.connection = undefined;
  }

  ended(problem: OrreryError): void {
    this.end(problem);
  }

  // ---- its own ----

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
    this.spent = 0;
    const credit = Math.max(0, CREDIT - this.arrived.length); // what still waits here gives its credit when it is read
    await connection.request(this.id, { type: "subscribe", credit, events: this.types }, "not_executed");
  }

  private arrive(event: Event): void {
    this.arrived.push(event);
    this.wake();
  }

  private end(problem: OrreryError): void {
    this.problem ??= problem;
    this.wake();
  }

  private wake(): void {
    for (const look of this.waiting.splice(0)) look();
  }

  private giveCredit(): void {
    this.spent++;
    if (this.spent < CREDIT / 2 || !this.connection) return;
    this.connection.tell({ type: "credit", id: this.id, add: this.spent });
    this.spent = 0;
  }
}
