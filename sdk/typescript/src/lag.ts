/** Notices handlers that block the event loop, which stops every other handler of the app. */
import type { Logger } from "./hooks.js";

export const TICK_MS = 250;

export class LagWatch {
  private timer: NodeJS.Timeout | undefined;

  /** `describe` names what is being handled. */
  constructor(
    private readonly describe: () => string,
    private readonly logger: Logger,
    private readonly blockedMs = 1000,
  ) {}

  start(): void {
    let due = performance.now() + TICK_MS;
    this.timer = setInterval(() => {
      const late = performance.now() - due;
      due = performance.now() + TICK_MS;
      if (late < this.blockedMs) return;
      const text = `the event loop was blocked for ${(late / 1000).toFixed(1)} s; handlers must await, or use a worker thread`;
      this.logger.warn(`${text}. At work, or just now: ${this.describe() || "nothing of a host's"}`);
    }, TICK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
