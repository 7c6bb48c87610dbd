import type { EphemeralEvent, StoredEvent } from "../../model/event.ts";
import type { StreamBase } from "../../model/tokens.ts";
import type { Turns } from "./turns.ts";
import type { Wish } from "./wish.ts";

/** One step of a stream: the events that a follower gets, and the position reached with them. [EVS-1] */
export interface Step {
  events: StoredEvent[];
  /** Typing and presence as they are now. [EVS-12] */
  ephemeral: readonly EphemeralEvent[];
  position: number;
  /** Events were left out, and the stream goes on from `position`. [EVS-2, EVS-13] */
  limited: boolean;
}

/** At most this many events in one step. */
const eventsPerStep = 100;

const none: readonly EphemeralEvent[] = [];

/**
 * What waits for one open stream, in bounded memory. Whoever writes to the socket takes steps as fast as the client takes
 * what was written, so a consumer that is slow lets events pile up here, and past the bound they are dropped for one
 * `limited` step. [EVS-13]
 */
export class Follower {
  readonly wish: Wish;
  readonly tokenId: string;
  readonly #bound: number;
  readonly #turns: Turns;
  #pending: StoredEvent[] = [];
  /** What isn't stored, by id: only the latest of each counts, so it is bounded by rooms and users. */
  #ephemeral: Map<string, EphemeralEvent> | null = null;
  /** The position of the newest event that was looked at for this follower. */
  #seen: number;
  #delivered: number;
  #limited = false;
  #idleDue = false;
  #ended = false;
  #failure: Error | null = null;
  /** Who waits for the next step. */
  #taker: (() => void) | null = null;
  #onEnd: (() => void) | null = null;

  constructor(wish: Wish, tokenId: string, position: number, bound: number, turns: Turns) {
    this.wish = wish;
    this.tokenId = tokenId;
    this.#bound = bound;
    this.#turns = turns;
    this.#seen = position;
    this.#delivered = position;
    // The first step tells the client that it is live, and from where on.
    this.#idleDue = true;
  }

  get base(): StreamBase {
    return this.wish.base;
  }

  /** Takes an event that concerns it. */
  offer(event: StoredEvent): void {
    this.#seen = event.position;
    if (this.#limited) return;
    this.#pending.push(event);
    if (this.#pending.length > this.#bound) {
      this.#pending = [];
      this.#limited = true;
    }
    this.#wake();
  }

  /** Takes an ephemeral event that it wants, in place of an older one of the same id; it takes a `wake` to be told of it. */
  offerEphemeral(event: EphemeralEvent): void {
    if (this.#ended) return;
    this.#ephemeral ??= new Map();
    this.#ephemeral.set(event.eventId, event);
  }

  /** Whoever waits for a step is told that there is one, if there is. */
  wake(): void {
    if (this.#ephemeral !== null) this.#wake();
  }

  /** Everything up to this position has been offered. */
  passed(position: number): void {
    this.#seen = position;
  }

  /** There was more to replay than is replayed: one `limited` step, then live. [EVS-2] */
  limit(): void {
    this.#pending = [];
    this.#limited = true;
    this.#wake();
  }

  /** Sends an empty step if nothing else was sent since the position moved, so that the client's token stays young. */
  keepYoung(): void {
    if (this.#pending.length > 0 || this.#seen === this.#delivered) return;
    this.#idleDue = true;
    this.#wake();
  }

  /** Ends the stream, with an error that the client is told or without. */
  end(failure: Error | null): void {
    this.#ended = true;
    this.#failure = failure;
    this.#pending = [];
    this.#ephemeral = null;
    this.#onEnd?.();
    this.#wake();
  }

  /** Calls back when the stream ends, even while nobody waits for a step. */
  whenEnded(callback: () => void): void {
    this.#onEnd = callback;
    if (this.#ended) callback();
  }

  /** The error that ended the stream; null while it goes on, and when none did. */
  get failure(): Error | null {
    return this.#failure;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Calls back once there is something to take, or the stream has ended: in a later turn, and only this once. */
  whenReady(taker: () => void): void {
    this.#taker = taker;
    const waiting = this.#pending.length > 0 || this.#ephemeral !== null;
    if (this.#ended || this.#limited || this.#idleDue || waiting) this.#wake();
  }

  /** The next step if there is one. Throws the error that ended the stream. */
  take(): Step | null {
    if (this.#failure !== null) throw this.#failure;
    return this.#ended ? null : this.#take();
  }

  /** The next step, as soon as there is one; null after the end. Rejects with the error that ended the stream. */
  async next(): Promise<Step | null> {
    for (;;) {
      const step = this.take();
      if (step !== null || this.#ended) return step;
      await new Promise<void>((resolve) => this.whenReady(resolve));
    }
  }

  #wake(): void {
    if (this.#taker === null) return;
    this.#turns.add(this.#taker);
    this.#taker = null;
  }

  #take(): Step | null {
    if (this.#limited) {
      this.#limited = false;
      this.#idleDue = false;
      return this.#step([], this.#seen, true);
    }
    if (this.#pending.length > 0 || this.#ephemeral !== null) {
      const events = this.#pending.splice(0, eventsPerStep);
      this.#idleDue = false;
      return this.#step(events, this.#pending.length > 0 ? events.at(-1)!.position : this.#seen, false);
    }
    if (!this.#idleDue) return null;
    this.#idleDue = false;
    return this.#step([], this.#seen, false);
  }

  #takeEphemeral(): readonly EphemeralEvent[] {
    if (this.#ephemeral === null) return none;
    const waiting = [...this.#ephemeral];
    this.#ephemeral = waiting.length > eventsPerStep ? new Map(waiting.slice(eventsPerStep)) : null;
    return waiting.slice(0, eventsPerStep).map(([, event]) => event);
  }

  #step(events: StoredEvent[], position: number, limited: boolean): Step {
    this.#delivered = position;
    const ephemeral = this.#takeEphemeral();
    return { events, ephemeral, position, limited };
  }
}
