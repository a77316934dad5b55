/** What goes along with the calls that are made while a message is handled: its W3C trace context, and on whose behalf they are. */
import { AsyncLocalStorage } from "node:async_hooks";

interface WorkAtHand {
  readonly id: number;
  readonly connection: unknown;
  readonly trace: string | undefined;
}
interface Scope {
  readonly work: WorkAtHand | undefined;
  readonly trace: string | undefined;
}

/** One for both: each of these costs every promise of the program something. */
const storage = new AsyncLocalStorage<Scope>();

export const traceparent = {
  /** The `traceparent` of the work at hand, if it has one. */
  get(): string | undefined {
    return storage.getStore()?.trace;
  },
  /** Runs `action` so that the calls made in it belong to this trace. */
  run<T>(value: string | undefined, action: () => T): T {
    return storage.run({ work: workAtHand(), trace: value }, action);
  },
};

/** The work within which code runs; calls made there go on its behalf. */
export function workAtHand(): WorkAtHand | undefined {
  return storage.getStore()?.work;
}

export function within<T>(work: WorkAtHand, action: () => T): T {
  return storage.run({ work, trace: work.trace }, action);
}

export function isTraceparent(text: string): boolean {
  return /^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.test(text);
}
