/** Work in one go before others get their turn, in milliseconds. */
const sliceMs = 2;

/**
 * Keeps one large request from holding up all others: whoever has many pieces of work to do asks for a turn before each,
 * and turns are given in slices, between which the event loop serves whatever else waits.
 */
export class Pace {
  readonly #waiting: (() => void)[] = [];
  #next = 0;
  readonly #whenIdle: (() => void)[] = [];
  #running = false;

  /** Resolves when the next piece of work may be done; in the order of asking. */
  turn(): Promise<void> {
    const promise = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#running) {
      this.#running = true;
      setImmediate(() => void this.#run());
    }
    return promise;
  }

  /** Calls back once nobody waits for a turn, so that what the pieces ask for is gathered from all of them. */
  whenIdle(callback: () => void): void {
    if (this.#running) this.#whenIdle.push(callback);
    else callback();
  }

  async #run(): Promise<void> {
    let started = performance.now();
    while (this.#next < this.#waiting.length) {
      this.#waiting[this.#next++]!();
      // The piece runs in the microtasks that follow.
      await Promise.resolve();
      if (performance.now() - started < sliceMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      started = performance.now();
    }
    this.#waiting.length = 0;
    this.#next = 0;
    // The last pieces may be under way still, and ask for another turn.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#next < this.#waiting.length) return this.#run();
    this.#running = false;
    for (const callback of this.#whenIdle.splice(0)) callback();
  }
}
