/** Pauses between tries, which double and are never the same for two clients; each is a random part, at least half, of its bound. */
export class Backoff {
  private bound: number;

  constructor(
    private readonly firstMs = 50,
    private readonly mostMs = 2000,
    private readonly draw: () => number = Math.random,
  ) {
    this.bound = firstMs;
  }

  next(): number {
    const pause = this.bound * (0.5 + this.draw() / 2);
    this.bound = Math.min(this.bound * 2, this.mostMs);
    return pause;
  }

  reset(): void {
    this.bound = this.firstMs;
  }
}

/** Resolves after a time, or at once when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
