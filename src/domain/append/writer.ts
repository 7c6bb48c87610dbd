import type { StoredEvent } from "../../model/event.ts";
import { aliasInUse, HearthError } from "../../model/errors.ts";
import type { Log, Meter, Tracer } from "../../model/ports.ts";
import { served, serveNobody } from "../../model/serving.ts";
import { appendBatch, lockAppending, type BatchResult, type BatchUnit } from "../../store/append.ts";
import type { Connection, Database } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { failureOf } from "../../store/failures.ts";
import { storeUnreachable } from "../storeAway.ts";
import { storedEvents } from "./stored.ts";

/** What became of a unit. */
export type AppendOutcome =
  | { outcome: "appended"; events: StoredEvent[] }
  | { outcome: "repeated"; eventIds: string[]; requestHash: string }
  | { outcome: "stale" };

/** A committed batch, in stream order, handed to the head cursor before anybody is answered. */
export interface CommittedBatch {
  /** The position straight before; `unknownPosition` when others may have appended between these events. */
  previous: number;
  to: number;
  events: StoredEvent[];
}

/** No position ever: whoever is told reads what lies between. */
export const unknownPosition = -1;

export interface Writer {
  /**
   * Appends a unit with the next batch, for a request that the log names where it fails. Rejects with `HearthError` when its
   * data is refused or the store is away.
   */
  append(unit: BatchUnit, requestId?: string): Promise<AppendOutcome>;
  /**
   * For a unit that keeps going stale: `prepare` authorises it while nobody else can append. It must be quick, since it
   * stops every writer; the database cuts it off after 2 s without a statement.
   */
  appendLocked(
    prepare: (connection: Connection) => Promise<BatchUnit | null>,
    requestId?: string,
  ): Promise<AppendOutcome | null>;
  /** Waits until nothing is in flight. */
  drain(): Promise<void>;
  /** How many units wait for the next batch. */
  waiting(): number;
}

export interface WriterOptions {
  database: Database;
  processId: string;
  log: Log;
  meter: Meter;
  tracer: Tracer;
  /** Called after each commit; callers are answered when it is done. */
  onCommitted(batch: CommittedBatch): Promise<void>;
}

interface Waiting {
  unit: BatchUnit;
  requestId: string | undefined;
  /** In its trace. */
  place: unknown;
  /** By `performance.now()`. */
  since: number;
  resolve(outcome: AppendOutcome): void;
  reject(error: unknown): void;
}

/** Events in a batch, unless a single unit has more. */
const batchEvents = 256;
/** How often a batch is tried again after a passing failure, and how long the tries are apart at first. */
const tries = 5;
const firstPauseMs = 50;

/**
 * The only writer of events: units that arrive while a batch is in flight form the next one. One batch at a time is in
 * flight per process, since the append lock lets only one commit at a time anyway. See docs/decisions/0002-the-writer.md.
 */
export function createWriter({ database, processId, log, meter, tracer, onCommitted }: WriterOptions): Writer {
  let queue: Waiting[] = [];
  let running: Promise<void> | null = null;
  const locked: (() => Promise<void>)[] = [];
  /** Units of prepared events that are queued or in flight, by the event's id: all other ids are new. */
  const underway = new Map<string, Promise<AppendOutcome>>();

  function wake(): void {
    // Whoever wakes it, it works for all.
    running ??= serveNobody(run);
  }

  async function run(): Promise<void> {
    // One turn of the event loop lets the callers that were just answered join the next batch.
    await nextTurn();
    while (queue.length > 0 || locked.length > 0) {
      await locked.shift()?.();
      const batch = takeBatch();
      if (batch.length > 0) await commit(batch);
      await nextTurn();
    }
    // In the same turn as the last look at the queue, so that no unit is left without somebody to take it.
    running = null;
  }

  /**
   * The next batch, in order of arrival. Behind a unit that moves a room's auth version, a call in it, or state that it was
   * planned on, no other of that room follows in the same batch, so that `append_batch` can compare everything before it
   * appends anything. Nor does the repetition of an action, which would have the whole batch refused, nor what comes upon a
   * redaction of the same event, which `append_batch` couldn't know of yet; that event may be the state that a unit was
   * planned on.
   */
  function takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const closed = new Set<string>();
    const actions = new Set<string>();
    const redacted = new Set<string>();
    const redactedIn = new Set<string>();
    const updated = new Set<string>();
    let events = 0;
    for (const waiting of queue) {
      const { unit } = waiting;
      const action = unit.action && JSON.stringify([unit.action.userId, unit.action.deviceId, unit.action.actionId]);
      const repeats = action !== null && actions.has(action);
      const touched = unit.events.some(
        ({ redactsId = "", updatesId = "" }) =>
          redacted.has(redactsId) || updated.has(redactsId) || redacted.has(updatesId),
      );
      const size = unit.events.length + (unit.markers?.length ?? 0);
      const overtaken = unit.slots !== undefined && redactedIn.has(unit.roomId);
      const full = batch.length > 0 && events + size > batchEvents;
      if (full || repeats || touched || overtaken || closed.has(unit.roomId)) {
        closed.add(unit.roomId);
        left.push(waiting);
        continue;
      }
      batch.push(waiting);
      events += size;
      if (action !== null) actions.add(action);
      for (const { redactsId, updatesId } of unit.events) {
        if (redactsId !== undefined) {
          redacted.add(redactsId);
          redactedIn.add(unit.roomId);
        }
        if (updatesId !== undefined) updated.add(updatesId);
      }
      const alone = unit.nextVersion !== null || unit.calls !== undefined || unit.slots !== undefined;
      if (alone) closed.add(unit.roomId);
    }
    queue = left;
    return batch;
  }

  async function commit(batch: Waiting[]): Promise<void> {
    let pause = firstPauseMs;
    /** An earlier try may have been committed: to append again before that is known would be refused, or double. */
    let doubtful = false;
    for (let attempt = 1; ; attempt++) {
      try {
        if (doubtful) batch = await settleCommitted(batch);
        doubtful = false;
        if (batch.length === 0) return;
        const units = batch.map((waiting) => waiting.unit);
        const begun = performance.now();
        const places = batch.map(({ place }) => place);
        const append = (): Promise<BatchResult> => appendBatch(database.writer, processId, units);
        const result = await tracer.joint("append batch", { units: units.length }, places, append);
        told(result, performance.now() - begun);
        return settle(batch, result);
      } catch (error) {
        const failure = failureOf(error);
        meter.batchFailed(failure.kind);
        if (failure.kind === "refused") return refuse(batch, error, failure.message);
        log.warn({ error, attempt, ...namesOf(batch) }, "a batch failed");
        doubtful ||= failure.kind === "unknown";
        if (attempt === tries) {
          const left = doubtful ? await settleCommitted(batch).catch(() => batch) : batch;
          return giveUp(left, error);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause *= 2;
      }
    }
  }

  function told({ units, positions }: BatchResult, ms: number): void {
    meter.batch({ units: units.length, events: positions.filter((position) => position !== null).length, ms });
  }

  /** Halves the batch until the guilty unit is alone. */
  async function refuse(batch: Waiting[], error: unknown, message: string): Promise<void> {
    if (batch.length > 1) {
      const middle = batch.length >> 1;
      await commit(batch.slice(0, middle));
      await commit(batch.slice(middle));
      return;
    }
    const told = refusalOf(message);
    if (/event_(room_id_major_minor|event_id)_key/.test(message)) {
      // Another process took the place, or has appended the same prepared event: planned anew, the action knows. [ACT-13]
      batch[0]!.resolve({ outcome: "stale" });
    } else if (told !== null) {
      batch[0]!.reject(told);
    } else {
      log.error({ error, requestId: batch[0]!.requestId }, "the store refused a unit");
      batch[0]!.reject(error);
    }
  }

  /** After a lost connection: answers the units whose events are there after all, and gives back the others. */
  async function settleCommitted(batch: Waiting[]): Promise<Waiting[]> {
    const ids = batch.flatMap(({ unit }) => unit.events.map((event) => event.eventId));
    const found = await database.writer.$transaction(async (connection) => {
      // The lost transaction may still be running; under the lock it has ended one way or the other.
      await lockAppending(connection);
      return eventsById(connection, ids);
    });
    const byId = new Map(found.map((event) => [event.eventId, event]));
    const answers = new Map<Waiting, StoredEvent[]>();
    for (const waiting of batch) {
      const events = waiting.unit.events.flatMap((event) => byId.get(event.eventId) ?? []);
      if (events.length > 0 && events.length === waiting.unit.events.length) answers.set(waiting, events);
    }
    const to = Math.max(...found.map((event) => event.position));
    publish({ previous: unknownPosition, to, events: [...answers.values()].flat() }, () => {
      for (const [waiting, events] of answers) resolve(waiting, { outcome: "appended", events });
    });
    return batch.filter((waiting) => !answers.has(waiting));
  }

  function settle(batch: Waiting[], result: BatchResult): void {
    const units = batch.map((waiting) => waiting.unit);
    const events = storedEvents(units, result);
    // The moves of markers come behind the batch's events, whatever their unit.
    const inOrder = events.flat().sort((a, b) => a.position - b.position);
    publish({ previous: result.previous, to: result.to, events: inOrder }, () => {
      for (const [index, waiting] of batch.entries()) resolve(waiting, outcomeOf(result, index, events[index]!));
    });
  }

  function resolve(waiting: Waiting, outcome: AppendOutcome): void {
    meter.appended(performance.now() - waiting.since);
    waiting.resolve(outcome);
  }

  /** The next batch needn't wait for readers to be woken, but the callers of this one do. */
  function publish(committed: CommittedBatch, answer: () => void): void {
    const published = committed.events.length === 0 ? Promise.resolve() : onCommitted(committed);
    void published.catch((error: unknown) => log.error({ error }, "publishing a batch failed")).then(answer);
  }

  function giveUp(batch: Waiting[], error: unknown): void {
    if (batch.length === 0) return;
    log.error({ error, ...namesOf(batch) }, "a batch was given up");
    for (const waiting of batch) waiting.reject(storeUnreachable());
  }

  return {
    append(unit, requestId) {
      const queued = (): Promise<AppendOutcome> =>
        new Promise((resolve, reject) => {
          queue.push({ unit, requestId, place: served()?.place, since: performance.now(), resolve, reject });
          wake();
        });
      const [prepared] = unit.events;
      if (prepared?.signatures === undefined) return queued();
      // A prepared event that is sent again meanwhile: planned anew, the action finds it. To append it would be refused,
      // and the search for what was guilty holds up the others of its batch. [ACT-13]
      const before = underway.get(prepared.eventId);
      const stale = (): AppendOutcome => ({ outcome: "stale" });
      if (before !== undefined) return before.then(stale, stale);
      const appended = queued().finally(() => underway.delete(prepared.eventId));
      underway.set(prepared.eventId, appended);
      return appended;
    },
    appendLocked(prepare, requestId) {
      return new Promise((resolve, reject) => {
        const since = performance.now();
        locked.push(async () => {
          try {
            let unit: BatchUnit | null = null;
            const begun = performance.now();
            const result = await database.writer.$transaction(async (connection) => {
              await lockAppending(connection);
              unit = await prepare(connection);
              return unit && appendBatch(connection, processId, [unit]);
            });
            if (unit === null || result === null) return resolve(null);
            told(result, performance.now() - begun);
            settle([{ unit, requestId, place: undefined, since, resolve, reject }], result);
          } catch (error) {
            if (error instanceof HearthError) return reject(error);
            const failure = failureOf(error);
            meter.batchFailed(failure.kind);
            if (failure.kind === "refused") return reject(refusalOf(failure.message) ?? error);
            log.warn({ error, requestId }, "appending under the lock failed");
            reject(storeUnreachable());
          }
        });
        wake();
      });
    },
    waiting: () => queue.length + locked.length,
    async drain() {
      while (running) await running;
    },
  };
}

/** Requests that a line of the log names at most. */
const maxNamed = 20;

/** What the log tells of a batch: the work of many requests, and so in the name of each. */
function namesOf(batch: readonly Waiting[]): object {
  const requestIds = batch.flatMap(({ requestId }) => requestId ?? []).slice(0, maxNamed);
  return { units: batch.length, requestIds };
}

function outcomeOf(result: BatchResult, index: number, events: StoredEvent[]): AppendOutcome {
  const verdict = result.units[index]!;
  switch (verdict.outcome) {
    case "appended":
      return { outcome: "appended", events };
    case "repeated":
      return { outcome: "repeated", eventIds: verdict.eventIds ?? [], requestHash: verdict.requestHash ?? "" };
    case "stale":
      return { outcome: "stale" };
  }
}

/** What the requester is told when the store refuses a unit; null for what is nobody's fault but ours. */
function refusalOf(message: string): HearthError | null {
  // The id of the unit itself was looked for: it is one of a part of it.
  if (message.includes("action_pkey")) return actionIdUsed();
  if (message.includes("room_alias_pkey")) {
    return aliasInUse();
  }
  return null;
}

/** An action id comes back with something else than before. [ACT-2] */
export function actionIdUsed(): HearthError {
  return new HearthError("CONFLICT", "actionId: was used for another request.", { field: "actionId" });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
