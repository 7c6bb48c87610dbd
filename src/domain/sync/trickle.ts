import type { Follower } from "./follower.ts";

/** What waits is spread over about a second: so many steps, in milliseconds from one to the next. */
const stepMs = 50;
const steps = 20;
/** So few are told in one go. */
const fewest = 250;

/** Wakes followers by and by: thousands at once would hold up those who wait for an answer. */
export class Trickle {
  readonly #waiting = new Set<Follower>();
  #perStep = fewest;
  #timer: NodeJS.Timeout | null = null;

  /** Wakes a follower within about a second. */
  add(follower: Follower): void {
    this.#waiting.add(follower);
    this.#timer ??= setTimeout(() => this.#begin(), 0).unref();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #begin(): void {
    this.#perStep = Math.max(fewest, Math.ceil(this.#waiting.size / steps));
    this.#step();
  }

  #step(): void {
    let left = this.#perStep;
    for (const follower of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(follower);
      follower.wake();
    }
    this.#timer = this.#waiting.size === 0 ? null : setTimeout(() => this.#step(), stepMs).unref();
  }
}
