/** What has arrived and is not read yet, of a sender that sends as much as it has credit for. */
import { OrreryError } from "./errors.js";
import { Waiters } from "./waiters.js";

export interface NextOptions {
  /** Rejects with `deadline_exceeded`, `not_executed` where nothing came in time. */
  readonly timeoutMs?: number | undefined;
  /** Rejects with its reason. Nothing is lost: what comes then waits for the next reader. */
  readonly signal?: AbortSignal | undefined;
}

/** Credit is given anew as items are read, half a window at a time; at most a window waits here. */
export class Inbox<T> {
  private arrived: T[] = [];
  private readonly readers = new Waiters();
  private spent = 0;
  private over = false;

  constructor(
    private readonly window: number,
    private readonly give: (credit: number) => void,
    private readonly costs: (item: T) => boolean = () => true,
  ) {}

  /** What came last of what is not read yet. */
  get newest(): T | undefined {
    return this.arrived.at(-1);
  }

  /** The credit with which a new sender begins: what still waits here gives its own when it is read. */
  begin(): number {
    this.spent = 0;
    return Math.max(0, this.window - this.arrived.length);
  }

  put(item: T): void {
    this.arrived.push(item);
    this.readers.wake();
  }

  /** These are for nobody any more. */
  drop(unwanted: (item: T) => boolean): void {
    const dropped = this.arrived.filter(unwanted);
    this.arrived = this.arrived.filter((item) => !dropped.includes(item));
    for (const item of dropped) if (this.costs(item)) this.passOver();
  }

  /** Nothing more comes; what has come can be read. */
  end(): void {
    this.over = true;
    this.readers.wake();
  }

  /** The next item; undefined after the last. */
  async next({ timeoutMs, signal }: NextOptions = {}): Promise<T | undefined> {
    const end = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    for (;;) {
      signal?.throwIfAborted();
      if (this.arrived.length > 0) return this.read();
      if (this.over) return undefined;
      const left = end === undefined ? undefined : end - performance.now();
      if (left !== undefined && left <= 0) throw new OrreryError("deadline_exceeded", `nothing came within ${timeoutMs} ms`, "not_executed");
      await this.readers.change(left, signal);
    }
  }

  /** As if it had been read, where nobody is to read it. */
  passOver(): void {
    if (++this.spent < this.window / 2) return;
    this.give(this.spent);
    this.spent = 0;
  }

  private read(): T {
    const item = this.arrived.shift() as T;
    if (this.costs(item)) this.passOver();
    return item;
  }
}
