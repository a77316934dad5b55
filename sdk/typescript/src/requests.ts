/** The requests of one connection that wait for their results. */
import { type Effect, OrreryError, unavailable } from "./errors.js";
import type { Frame } from "./frames.js";

interface Request {
  resolve(value: unknown): void;
  reject(problem: unknown): void;
  effectIfLost: Effect;
  timer?: NodeJS.Timeout;
}

/** By id. Each promise ends exactly once: with the result, an {@link OrreryError}, or the loss of the connection. */
export class Requests {
  private open = new Map<number, Request>();

  /** `effectIfLost` is what an error says that is not the sidecar's own: whether the request may have been carried out. */
  add(id: number, effectIfLost: Effect): Promise<unknown> {
    return new Promise((resolve, reject) => this.open.set(id, { resolve, reject, effectIfLost }));
  }

  /** Ends the request with `deadline_exceeded` where the sidecar, which keeps deadlines itself, has not answered by then. */
  limit(id: number, ms: number): void {
    const request = this.open.get(id);
    if (!request) return;
    request.timer = setTimeout(() => {
      request.reject(new OrreryError("deadline_exceeded", "the sidecar did not answer in time", request.effectIfLost));
    }, ms);
  }

  takeResult(frame: Frame): void {
    const request = this.take(frame["id"]);
    if (!request) return; // given up, or answered already
    const error = frame["error"] as Record<string, unknown> | null | undefined;
    if (error) request.reject(OrreryError.of(error));
    else request.resolve(frame["ok"] ?? null);
  }

  /** Nobody waits for it any more. Whether it was open. */
  drop(id: number): boolean {
    return this.take(id) !== undefined;
  }

  loseAll(reason: string): void {
    for (const id of [...this.open.keys()]) {
      const request = this.take(id);
      request?.reject(unavailable(`the connection to the sidecar ended before the answer came: ${reason}`, request.effectIfLost));
    }
  }

  private take(id: number): Request | undefined {
    const request = this.open.get(id);
    this.open.delete(id);
    clearTimeout(request?.timer);
    return request;
  }
}
