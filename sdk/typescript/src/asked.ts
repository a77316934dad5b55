/** The answer of another process, within a handler: one that nobody waits for is said, and ends nothing. */
export class Asked<T> extends Promise<T> {
  private waitedFor = false;

  /** What comes of `then` is a promise like any other. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** `unheard` is told of an error that nobody waited for. */
  static of<T>(answer: Promise<T>, unheard: (problem: unknown) => void): Asked<T> {
    const asked = new Asked<T>((resolve, reject) => void answer.then(resolve, reject));
    // A rejection that nobody handles would end the program, and every process with it.
    super.prototype.then.call(asked, undefined, (problem: unknown) => void setImmediate(() => asked.waitedFor || unheard(problem)));
    return asked;
  }

  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((problem: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.waitedFor = true;
    return super.then(fulfilled, rejected);
  }
}
