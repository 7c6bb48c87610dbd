/**
 * Does something soon after it was asked for, and at most once in so many milliseconds, however often it is asked for. The
 * first time is at once: in a turn of its own.
 */
export class Coalesced {
  readonly #everyMs: number;
  readonly #work: () => void | Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  #last = -Infinity;
  #asked = false;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  /** `work` must not throw. */
  constructor(everyMs: number, work: () => void | Promise<void>) {
    this.#everyMs = everyMs;
    this.#work = work;
  }

  ask(): void {
    this.#asked = true;
    if (this.#timer !== null || this.#closed) return;
    const wait = Math.max(0, this.#last + this.#everyMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, wait).unref();
  }

  /** Does what was asked for already, and nothing after it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
    if (this.#asked) await this.#work();
  }

  async #run(): Promise<void> {
    this.#asked = false;
    this.#last = performance.now();
    await this.#work();
    // Only now, so that it never runs twice at once.
    this.#timer = null;
    if (this.#asked) this.ask();
  }
}
