import type { Clock } from "../../model/ports.ts";

export interface AllowanceOptions {
  /** What everybody may do in a second, in the long run. */
  perSecond: number;
  /** What may be done at once after a pause. */
  atOnce: number;
  /** How many keys are remembered at most. */
  keys: number;
  clock: Clock;
}

/** Everything is forgotten after this long at the latest; whoever did nothing for so long has their whole allowance again. */
const generationMs = 120_000;

/**
 * How much each of many may still do: a bucket for each that fills with time, of which only the moment is kept at which it
 * will be full ("generic cell rate algorithm"). Memory is bounded by two generations of keys: those that were used lately,
 * and those from before, which are let go of together. Where more come than are remembered, whoever was forgotten has
 * their whole allowance again: a flood of addresses can't fill the memory, and refuses nobody.
 */
export class Allowance {
  readonly #clock: Clock;
  readonly #stepMs: number;
  readonly #windowMs: number;
  readonly #keys: number;
  #recent = new Map<string, number>();
  #older = new Map<string, number>();
  #began: number;

  constructor({ perSecond, atOnce, keys, clock }: AllowanceOptions) {
    this.#clock = clock;
    this.#stepMs = 1000 / perSecond;
    this.#windowMs = atOnce * this.#stepMs;
    this.#keys = keys;
    this.#began = clock.now();
  }

  /** Milliseconds until so much may be done; 0 for now. More than may be done at once may never. */
  wait(key: string, count = 1): number {
    const now = this.#now();
    const fullAt = this.#fullAt(key, now);
    // Fractions of milliseconds don't add up exactly: what seems to be missing a little isn't.
    return Math.max(0, Math.round(fullAt + count * this.#stepMs - this.#windowMs - now));
  }

  /** Takes so much; more than is left has to be waited for by whatever comes next. */
  take(key: string, count = 1): void {
    const now = this.#now();
    const fullAt = this.#fullAt(key, now);
    if (this.#recent.size >= this.#keys / 2 && !this.#recent.has(key)) this.#turn();
    const latest = now + this.#windowMs + generationMs;
    this.#recent.set(key, Math.min(fullAt + count * this.#stepMs, latest));
  }

  /** Keys that take memory. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  #fullAt(key: string, now: number): number {
    const fullAt = this.#recent.get(key) ?? this.#older.get(key) ?? now;
    // A clock that was put back would leave everybody waiting until it has gone on.
    return fullAt > now && fullAt <= now + this.#windowMs + generationMs ? fullAt : now;
  }

  #now(): number {
    const now = this.#clock.now();
    if (Math.abs(now - this.#began) >= generationMs) {
      this.#turn();
      this.#began = now;
    }
    return now;
  }

  #turn(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
