import type { StoredEvent } from "../../model/event.ts";
import type { Log } from "../../model/ports.ts";
import { streamHead } from "../../store/append.ts";
import type { Database } from "../../store/database.ts";
import { eventsBetween } from "../../store/events.ts";
import { unknownPosition, type CommittedBatch } from "../append/writer.ts";
import { Ring } from "./ring.ts";

/** The one place that everything live passes, in position order, own batches and other processes' alike. */
export interface Head {
  /** The position that has been passed. */
  readonly position: number;
  /** What is known to be committed beyond it, in positions, and since when nothing of it passed; zeros when nothing is. */
  lag(): { positions: number; ms: number };
  /** Passes a batch of this process: at once when it is the next one, else after what is missing was read. */
  publish(batch: CommittedBatch): Promise<void>;
  /** Something was committed up to this position, by anyone. */
  notice(to: number): void;
  /** Asks the store for the newest position; for after a reconnect, and now and then. */
  refresh(): Promise<void>;
  /** Resolves when a position has been passed; gives false after `timeoutMs`. */
  reached(position: number, timeoutMs: number): Promise<boolean>;
  /** The events after a position as far as they are still in memory, else null. */
  after(position: number): StoredEvent[] | null;
  /** Calls with the events passed, in order, and the position reached; synchronously with the passing. */
  onPassed(listener: (events: StoredEvent[], to: number) => void): void;
  close(): void;
}

const ringCapacity = 4096;
const readAtOnce = 1000;
const pollMs = 5000;
const retryMs = 200;

/** Starts at the newest position of the store. */
export async function createHead(database: Database, log: Log): Promise<Head> {
  let position = await streamHead(database.reader);
  let target = position;
  let reading = false;
  /** When something passed last, or came to be passed where nothing was left, by `performance.now()`. */
  let movedAt = 0;
  let closed = false;
  const ring = new Ring(ringCapacity, position);
  const listeners: ((events: StoredEvent[], to: number) => void)[] = [];
  let waiting: { position: number; done: (reached: boolean) => void }[] = [];
  /** Batches of this process that others' come before, in order: these are read, and then what is here needn't be. */
  let ahead: CommittedBatch[] = [];

  function pass(events: StoredEvent[], to: number): void {
    for (const event of events) ring.push(event);
    position = to;
    movedAt = performance.now();
    for (const listener of listeners) {
      try {
        listener(events, to);
      } catch (error) {
        log.error({ error }, "a listener of the stream failed");
      }
    }
    if (waiting.length === 0) return;
    const reached = waiting.filter((each) => each.position <= position);
    waiting = waiting.filter((each) => each.position > position);
    for (const { done } of reached) done(true);
  }

  /** Something was committed up to here. */
  function aim(to: number): void {
    if (to <= target) return;
    if (target <= position) movedAt = performance.now();
    target = to;
  }

  /** Reads up to the target. Only one reading runs at a time; meanwhile the target may move on. */
  async function catchUp(): Promise<void> {
    if (reading) return;
    reading = true;
    try {
      while (position < target && !closed) {
        ahead = ahead.filter(({ previous }) => previous >= position);
        const next = ahead[0];
        if (next?.previous === position) {
          pass(next.events, next.to);
          continue;
        }
        const to = next?.previous ?? target;
        const events = await eventsBetween(database.reader, position, to, readAtOnce);
        const last = events.at(-1);
        pass(events, events.length === readAtOnce && last ? last.position : to);
      }
    } catch (error) {
      log.warn({ error }, "reading the stream failed");
      setTimeout(() => void catchUp(), retryMs).unref();
    } finally {
      reading = false;
    }
  }

  function reached(wanted: number, timeoutMs: number): Promise<boolean> {
    if (wanted <= position) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        waiting = waiting.filter((each) => each !== entry);
        resolve(false);
      }, timeoutMs);
      const entry = {
        position: wanted,
        done(result: boolean): void {
          clearTimeout(timer);
          resolve(result);
        },
      };
      waiting.push(entry);
    });
  }

  async function refresh(): Promise<void> {
    aim(await streamHead(database.reader));
    await catchUp();
  }

  let asking = false;
  const poll = setInterval(() => {
    // While somebody holds the append lock the answer waits; asking on would take up one connection after the other.
    if (asking) return;
    asking = true;
    refresh()
      .catch((error: unknown) => log.warn({ error }, "asking for the newest position failed"))
      .finally(() => (asking = false));
  }, pollMs);
  poll.unref();

  return {
    get position() {
      return position;
    },
    lag() {
      const positions = Math.max(0, target - position);
      return { positions, ms: positions === 0 ? 0 : performance.now() - movedAt };
    },
    async publish(batch) {
      aim(batch.to);
      if (!reading && batch.previous === position) return pass(batch.events, batch.to);
      if (batch.to <= position) return;
      if (batch.previous !== unknownPosition) ahead.push(batch);
      void catchUp();
      await reached(batch.to, 10_000);
    },
    notice(to) {
      if (to <= target) return;
      aim(to);
      void catchUp();
    },
    refresh,
    reached,
    after: (from) => ring.after(from),
    onPassed: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      clearInterval(poll);
      for (const { done } of waiting) done(false);
      waiting = [];
    },
  };
}
