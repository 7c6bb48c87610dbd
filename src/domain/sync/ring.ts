import type { StoredEvent } from "../../model/event.ts";

/** The newest events of the stream, in order: what a subscription needs between its look at the store and going live. */
export class Ring {
  readonly #capacity: number;
  #events: StoredEvent[] = [];
  readonly #byId = new Map<string, StoredEvent>();
  /** Everything after this position is held. */
  #start: number;

  constructor(capacity: number, start: number) {
    this.#capacity = capacity;
    this.#start = start;
  }

  push(event: StoredEvent): void {
    this.#events.push(event);
    this.#byId.set(event.eventId, event);
    if (event.redactsId !== null) this.#purge(event.redactsId, event.eventId);
    // Dropping half at once keeps the cost per event constant.
    if (this.#events.length > 2 * this.#capacity) {
      const dropped = this.#events.splice(0, this.#events.length - this.#capacity);
      for (const old of dropped) this.#byId.delete(old.eventId);
      this.#start = dropped.at(-1)!.position;
    }
  }

  /** Events after a position, or null when some of them are no longer held. */
  after(position: number): StoredEvent[] | null {
    if (position < this.#start) return null;
    let index = this.#events.length;
    while (index > 0 && this.#events[index - 1]!.position > position) index--;
    return this.#events.slice(index);
  }

  /** A redacted text must not be delivered any more, wherever the event is still waiting. [ACT-14] */
  #purge(eventId: string, redactedById: string): void {
    const event = this.#byId.get(eventId);
    if (event === undefined || event.redactedById !== null) return;
    if (event.content !== null) event.content = "{}";
    event.relatesTo = event.relatesTo.map(({ type, eventId }) => ({ type, eventId, key: null }));
    event.redactedById = redactedById;
  }
}
