import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { HearthError } from "../../model/errors.ts";
import { clientJson, type StoredEvent } from "../../model/event.ts";
import type { Database } from "../../store/database.ts";
import { eventsBetween } from "../../store/events.ts";
import { beginReview, keepReview, leaveReview, takeReview, type ReviewTurn } from "../../store/policyReview.ts";
import { call, OutgoingError } from "../outgoing.ts";
import type { Head } from "../sync/head.ts";
import { reason, type PolicyTools } from "./policy.ts";

export interface ReviewOptions extends PolicyTools {
  database: Database;
  head: Head;
  processId: string;
  /** Takes an event back after it was stored. [EVS-7] Doing it twice must do no more than once. */
  reject(eventId: string, reason: string | null): Promise<void>;
  /** The pause after the first failure; each further one doubles it. 1000 unless given. */
  firstPauseMs?: number;
}

export interface Review {
  /** Stops, and lets another process take over at once. */
  close(): Promise<void>;
}

/** Events that the hook is sent at once. */
const pageEvents = 100;
/** What the hook may leave unanswered so often is passed over when it is to be accepted. */
const pageTries = 5;
const maxPauseMs = 30_000;
/** How long a turn lasts beyond a call of the hook; after so long, another process takes over from one that died. */
const leaseMs = 10_000;
/** How often a process whose turn it isn't looks whether it is. */
const waitMs = 1000;
/** How often a process looks around though nothing happens. */
const idleMs = 60_000;

const rejections = z.object({ reject: z.array(z.object({ event_id: z.string(), reason })).max(pageEvents) });

/** Where somebody stopped reading is for nobody to judge, and may be private. [ACT-11] */
const isMarker = ({ marker }: StoredEvent): boolean => marker !== null;

/**
 * Follows the stream and shows every event that isn't the server's own to the policy hook, which may have it rejected.
 * One process does it at a time. The position is stored after each page, so that nothing is left out over crashes and
 * restarts, and no more than one page is shown twice.
 */
export async function createReview(options: ReviewOptions): Promise<Review> {
  const { database, head, processId, log, fetch, serverName, firstPauseMs = 1000 } = options;
  const { failure, ...reached } = options.settings;
  const turnMs = leaseMs + reached.timeoutMs;
  const closing = new AbortController();
  const { signal } = closing;
  const closed = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  await beginReview(database.reader);

  async function run(): Promise<void> {
    /** How often the hook failed on the page after this position. */
    let unanswered = { position: -1, times: 0 };
    /** Failures of any kind in a row. */
    let failures = 0;
    while (!signal.aborted) {
      try {
        const turn = await takeReview(database.reader, processId, turnMs);
        if (turn === null) {
          await pause(waitMs);
        } else if (turn.position >= head.position) {
          await Promise.race([head.reached(turn.position + 1, idleMs), closed]);
        } else {
          if (unanswered.position !== turn.position) unanswered = { position: turn.position, times: 0 };
          await reviewPage(turn, failure === "accept" && unanswered.times >= pageTries);
        }
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        // Other failures, such as those of the store, are no reason to pass over a page.
        if (error instanceof OutgoingError) unanswered.times += 1;
        const problem = error instanceof OutgoingError ? error.message : error;
        log.warn({ problem, failures }, "reviewing by the policy hook failed; it is tried again");
        await pause(Math.min(firstPauseMs * 2 ** failures, maxPauseMs));
        failures += 1;
      }
    }
  }

  /** Reviews the page after the turn's position and stores that it was; `unseen` passes it over. */
  async function reviewPage(turn: ReviewTurn, unseen: boolean): Promise<void> {
    const to = head.position;
    const events = await eventsBetween(database.reader, turn.position, to, pageEvents);
    const end = events.length >= pageEvents ? events.at(-1)!.position : to;
    const shown = events.filter((event) => event.sender !== serverName && !isMarker(event));
    if (unseen) {
      log.error({ from: turn.position, to: end, events: shown.length }, "events were not reviewed by the policy hook");
    } else if (shown.length > 0) {
      await rejectAll(shown, turn);
    }
    await keepReview(database.reader, processId, { ...turn, position: end }, turnMs);
  }

  async function rejectAll(shown: StoredEvent[], turn: ReviewTurn): Promise<void> {
    const body = JSON.stringify({ phase: "after", events: shown.map((event) => clientJson(event, false, null)) });
    const { reject } = await call(fetch, { ...reached, method: "POST", body, signal }, rejections);
    const ids = new Set(shown.map(({ eventId }) => eventId));
    for (const { event_id: eventId, reason = null } of reject) {
      if (!ids.has(eventId)) {
        log.warn({ eventId }, "the policy hook rejects an event that it wasn't shown");
        continue;
      }
      // Many take long; and who lost the turn meanwhile, to a process that shows the page again, leaves the rest to it.
      if (!(await keepReview(database.reader, processId, turn, turnMs))) return;
      await rejectOne(eventId, reason);
    }
  }

  async function rejectOne(eventId: string, reason: string | null): Promise<void> {
    try {
      await options.reject(eventId, reason);
    } catch (error) {
      // What can't be rejected now never can be, unless the store is away.
      if (!(error instanceof HearthError) || error.code === "OVERLOADED") throw error;
      log.warn({ eventId, problem: error.message }, "an event can't be rejected");
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
  }

  const running = run();
  return {
    async close() {
      closing.abort();
      await running;
      await leaveReview(database.reader, processId).catch(() => undefined);
    },
  };
}
