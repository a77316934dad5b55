/** What the test kit keeps of a process, as a sidecar would. */
import type { LazyAbort } from "../abort.js";
import { encode } from "../cbor.js";
import type { Callback } from "../definition.js";
import type { Name } from "../names.js";
import type { InfoSource } from "../work.js";
import type { Alarm } from "./clock.js";

/** A message, and who waits for its answer. */
export interface Message {
  readonly callback: Callback;
  readonly method: string;
  readonly argument: unknown;
  readonly source?: InfoSource;
  readonly trace?: string | undefined;
  readonly answer?: { resolve(value: unknown): void; reject(problem: Error): void };
}

/** One life of a process, from its start to its exit. */
export class Life {
  begun = false;
  restarted = false;
  /** It has come from another node, and has not been told yet. */
  moved = false;
  state: Uint8Array = encode(null);
  stateVersion = 0;
  mailbox: Message[] = [];
  next: Message | undefined;
  handling: { message: Message; abort: LazyAbort } | undefined;
  /** Calls to others that its handler waits for. */
  waitsInside = 0;
  readonly timers = new Map<string, Alarm>();
  readonly kept = new Map<number, Message>();
  callers = 0;

  constructor(
    readonly name: Name,
    readonly number: number,
    public pid: string,
  ) {}
}
