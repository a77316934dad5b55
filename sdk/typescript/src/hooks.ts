/** What the SDK tells its surroundings: log lines and numbers. */

/** As much of `console`, pino or winston as is used. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Warnings and errors on the console; pass a logger of yours for the rest. */
export const consoleLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message) => console.warn(`orrery: ${message}`),
  error: (message) => console.error(`orrery: ${message}`),
};

/** Of a program that hosts: that it is connected and what it hosts are worth a line too. */
export const programLogger: Logger = { ...consoleLogger, info: (message) => console.info(`orrery: ${message}`) };

/**
 * Implement what you count. Methods must be quick; what they throw is logged and goes no further. Labels are bounded by construction:
 * operations, classes, methods and codes, never keys.
 */
export interface Metrics {
  connected?(node: string): void;
  disconnected?(reason: string): void;
  /** A request of ours ended; `code` is `ok` or the error's. */
  requested?(operation: string, className: string, method: string, code: string, ms: number): void;
  /** A hosted process handled something; `outcome` is `ok`, `refused`, `crash` or `cancelled`. */
  handled?(className: string, callback: string, method: string, outcome: string, ms: number): void;
}

/** Passes on to the user's metrics, and keeps what they throw from the requests that they count. */
export function guarded(metrics: Metrics | undefined, logger: Logger): Required<Metrics> {
  const report =
    <K extends keyof Metrics>(name: K) =>
    (...values: Parameters<Required<Metrics>[K]>): void => {
      try {
        (metrics?.[name] as ((...all: unknown[]) => void) | undefined)?.apply(metrics, values);
      } catch (problem) {
        logger.error(`a metrics hook failed: ${String(problem)}`);
      }
    };
  return { connected: report("connected"), disconnected: report("disconnected"), requested: report("requested"), handled: report("handled") };
}
