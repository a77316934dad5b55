/** At most so many at once; the others wait in line. */
import { OrreryError } from "./errors.js";

const WAITING_MAX = 100_000;

interface Turn {
  admit(): void;
}

export class Gate {
  inside = 0;
  private readonly waiting: Turn[] = [];

  constructor(
    public capacity: number,
    private readonly waitingMax = WAITING_MAX,
  ) {}

  /** Whether there was a place, and nobody before us. */
  tryEnter(): boolean {
    if (this.waiting.length > 0 || this.inside >= this.capacity) return false;
    this.inside++;
    return true;
  }

  /** Waits for a place. Rejects with `overloaded` where the line is too long, `deadline_exceeded` after a time, or the signal's reason. */
  enter(ms?: number, signal?: AbortSignal): Promise<void> {
    if (this.tryEnter()) return Promise.resolve();
    if (this.waiting.length >= this.waitingMax) {
      return Promise.reject(new OrreryError("overloaded", `${this.waitingMax} requests wait for their turn already`, "not_executed"));
    }
    return new Promise((resolve, reject) => {
      const leaveLine = (problem: unknown) => {
        const index = this.waiting.indexOf(turn);
        if (index >= 0) this.waiting.splice(index, 1);
        done();
        reject(problem);
      };
      const aborted = () => leaveLine(signal?.reason);
      const late = () => {
        const text = `${this.capacity} requests were under way, and none of them ended in time`;
        leaveLine(new OrreryError("deadline_exceeded", text, "not_executed"));
      };
      const timer = ms === undefined ? undefined : setTimeout(late, ms);
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
      };
      const turn: Turn = { admit: () => (done(), resolve()) };
      signal?.addEventListener("abort", aborted);
      this.waiting.push(turn);
    });
  }

  leave(): void {
    this.inside--;
    this.admit();
  }

  resize(capacity: number): void {
    this.capacity = capacity;
    this.admit();
  }

  private admit(): void {
    while (this.waiting.length > 0 && this.inside < this.capacity) {
      this.inside++;
      this.waiting.shift()?.admit();
    }
  }
}
