/** W3C trace context, passed through: what comes with a message goes along with the calls made while it is handled. */
import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage<string | undefined>();

export const traceparent = {
  /** The `traceparent` of the work at hand, if it has one. */
  get(): string | undefined {
    return storage.getStore();
  },
  /** Runs `action` so that the calls made in it belong to this trace. */
  run<T>(value: string | undefined, action: () => T): T {
    return storage.run(value, action);
  },
};

export function isTraceparent(text: string): boolean {
  return /^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.test(text);
}
