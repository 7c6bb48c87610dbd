/** Work in one go before others get their turn, in milliseconds. */
const sliceMs = 5;

/**
 * Calls back in turns of the event loop of their own, in the order of asking: whoever acted is answered before thousands
 * are told, and telling thousands is done in slices, between which the event loop serves whatever else waits.
 */
export class Turns {
  #waiting: (() => void)[] = [];
  #next = 0;
  #running = false;

  /** Calls back soon, but not in this turn. The callback must not throw. */
  add(callback: () => void): void {
    this.#waiting.push(callback);
    if (this.#running) return;
    this.#running = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const started = performance.now();
    // What is added meanwhile waits for the next turn.
    const until = this.#waiting.length;
    while (this.#next < until && performance.now() - started < sliceMs) this.#waiting[this.#next++]!();
    if (this.#next === this.#waiting.length) {
      this.#waiting = [];
      this.#next = 0;
      this.#running = false;
      return;
    }
    if (this.#next === until) {
      this.#waiting = this.#waiting.slice(until);
      this.#next = 0;
    }
    setImmediate(this.#run);
  };
}
