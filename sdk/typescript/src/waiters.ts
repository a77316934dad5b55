/** Who waits for something to change, and looks again. */
export class Waiters {
  private readonly waiting = new Set<() => void>();

  wake(): void {
    for (const end of [...this.waiting]) end();
  }

  /** Resolves at the next {@link wake}, after a time, or when the signal is aborted. */
  change(ms?: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        this.waiting.delete(end);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(end, ms);
      signal?.addEventListener("abort", end);
      this.waiting.add(end);
    });
  }
}
