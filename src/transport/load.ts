import { setTimeout as delay } from "node:timers/promises";
import { busy } from "../domain/atMost.ts";

/**
 * The operations that are under way in this process. Past a bound, callers are told at once that the server is busy: it would
 * only make everybody wait longer, in memory that grows. What waits on purpose, as streams and polls do, doesn't count.
 */
export class Load {
  readonly bound: number;
  #underWay = 0;

  constructor(bound: number) {
    this.bound = bound;
  }

  get underWay(): number {
    return this.#underWay;
  }

  get full(): boolean {
    return this.#underWay >= this.bound;
  }

  /** Waits until nothing is under way, or the time is over. */
  async idle(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (this.#underWay > 0 && performance.now() < end) await delay(10);
  }

  /** Does the work of an operation; throws `OVERLOADED` when there is no room for it. */
  async carry<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.full) throw busy();
    this.#underWay++;
    try {
      return await work();
    } finally {
      this.#underWay--;
    }
  }
}
