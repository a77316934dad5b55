/** Hosting as a program: until a signal, then an orderly leave. */
import { Client, type ConnectOptions } from "./client.js";
import { programLogger } from "./hooks.js";
import type { HostOptions } from "./host.js";
import type { ProcessClass } from "./process.js";

export interface ServeOptions extends HostOptions, Omit<ConnectOptions, "timeoutMs"> {
  /** Serve over this client's connection, which stays open. */
  readonly client?: Client;
  /** Ends serving, as SIGTERM and SIGINT do. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hosts process classes until SIGTERM, SIGINT, or the signal; then drains and resolves. Waits for a sidecar that is not there yet, for ever,
 * and for classes that are not declared yet. Rejects with an {@link OrreryError} where the sidecar refuses a class,
 * and where its Unix socket may not be opened.
 */
export async function serve(classes: readonly ProcessClass[], options: ServeOptions = {}): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  const stopped = new Promise<"stop">((resolve) => stopping.signal.addEventListener("abort", () => resolve("stop")));
  process.once("SIGTERM", stop).once("SIGINT", stop);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  const client = options.client ?? new Client({ ...options, logger: options.logger ?? programLogger, timeoutMs: Infinity });
  try {
    if (!options.client) await client.open(stopping.signal);
    const host = await client.host(classes, { ...options, signal: stopping.signal });
    try {
      await Promise.race([stopped, host.failed()]);
      await host.drain();
    } finally {
      host.close();
    }
  } catch (problem) {
    if (!stopping.signal.aborted) throw problem;
  } finally {
    process.off("SIGTERM", stop).off("SIGINT", stop);
    options.signal?.removeEventListener("abort", stop);
    if (!options.client) await client.close();
  }
}
