import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds to wait before each try after the first: twice as long each time, and never all at the same moment. */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  #tries = 0;

  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
  }

  next(): number {
    const wait = Math.min(this.#first * 2 ** this.#tries++, this.#longest);
    return wait * (0.75 + Math.random() / 2);
  }

  reset(): void {
    this.#tries = 0;
  }
}

/**
 * Does something on the homeserver, and again for as long as it can't be reached, is in trouble or asks to wait. Throws
 * whatever else goes wrong.
 */
export async function insist<Result>(task: () => Promise<Result>): Promise<Result> {
  const backoff = new Backoff(250, 30_000);
  for (let tries = 1; ; tries++) {
    try {
      return await task();
    } catch (error) {
      if (isFinal(error)) throw error;
      if (tries === 3) console.error(`-- The homeserver can't do its part, trying on: ${wordsOf(error)}`);
      await sleep(backoff.next());
    }
  }
}

/** What went wrong, for people. The library throws errors and whole answers. */
export function wordsOf(error: unknown): string {
  const { body, statusCode, message } = error as { body?: unknown; statusCode?: number; message?: string };
  return statusCode === undefined ? (message ?? String(error)) : `${statusCode} ${JSON.stringify(body)}`;
}

/** What has no status never got an answer. */
function isFinal(error: unknown): boolean {
  const status = (error as { statusCode?: number }).statusCode;
  const isBug = error instanceof TypeError || error instanceof ReferenceError;
  return isBug || (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429);
}

/** Does what belongs together one after the other, and what doesn't at once. */
export class Turns {
  readonly #failed: (error: unknown) => void;
  readonly #last = new Map<string, Promise<void>>();

  /** What goes wrong is told to `failed`, and the next one has its turn. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Never rejects. */
  take(key: string, task: () => Promise<void>): Promise<void> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(task).catch(this.#failed);
    this.#last.set(key, turn);
    return turn.finally(() => {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    });
  }
}

/** Lets a few through at once, and then one each interval, as IRC servers ask it of those who talk much. */
export class Pace {
  readonly #interval: number;
  readonly #atOnce: number;
  /** When the last one that was let through would have gone if none could go at once. */
  #due = 0;

  constructor(intervalMs: number, atOnce = 5) {
    this.#interval = intervalMs;
    this.#atOnce = atOnce;
  }

  /** How long to wait now, in milliseconds. */
  wait(now = Date.now()): number {
    this.#due = Math.max(this.#due, now) + this.#interval;
    return Math.max(0, this.#due - now - this.#interval * this.#atOnce);
  }
}
