import { contentOf, type StoredEvent } from "../../model/event.ts";
import type { Log } from "../../model/ports.ts";
import { desertedCalls, lapsedCalls, nextLapse } from "../../store/calls.ts";
import type { ActionTools } from "../actions/act.ts";
import { endCall } from "../actions/endCalls.ts";
import { hasLapsed } from "../rules/calls.ts";
import { membershipSet } from "../rules/membership.ts";
import type { Head } from "../sync/head.ts";

/** Ends the calls that nobody hangs up. */
export interface CallEndings {
  /** Stops watching; what is being ended is ended first. */
  close(): Promise<void>;
}

/** Calls that are looked at in one go. */
const atOnce = 100;
/** How soon what failed is tried again, in milliseconds. */
const retryMs = 5000;
/** Timers take no longer times, in milliseconds. */
const longestMs = 2 ** 31 - 1;

/**
 * Ends calls whose invite lapses, and those that a party leaves the room of. [VOIP-5] What counts is in the store, so
 * that a start finds whatever fell due before it. Every process watches all calls, with one timer, for the next invite to
 * lapse; that a call ends once, the calls themselves see to.
 */
export function watchCallEndings(tools: ActionTools, head: Head, log: Log): CallEndings {
  const { clock } = tools;
  const { reader } = tools.database;
  let timer: NodeJS.Timeout | null = null;
  let dueAt = Infinity;
  let closed = false;
  /** Rooms that somebody left; null: all are to be looked at. */
  let left: Set<string> | null = null;
  let working: Promise<void> | null = null;
  let again = false;

  head.onPassed((events) => {
    for (const event of events) {
      if (event.type === "m.call.invite") wakeAt(lapseOf(event));
      else if (event.type === "m.room.member" && endsMembership(event)) leave(event.roomId);
    }
  });

  function leave(roomId: string): void {
    left?.add(roomId);
    work();
  }

  function wakeAt(at: number): void {
    if (closed || at >= dueAt) return;
    if (timer !== null) clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(
      () => {
        timer = null;
        dueAt = Infinity;
        work();
      },
      Math.min(Math.max(0, at - clock.now()), longestMs),
    );
    timer.unref();
  }

  /** One piece of work at a time; what comes up meanwhile is done after it. */
  function work(): void {
    again = true;
    working ??= (async () => {
      while (again && !closed) {
        again = false;
        const rooms: Set<string> | null = left;
        left = new Set();
        try {
          await endDeserted(rooms);
          await endLapsed();
        } catch (error) {
          log.warn({ error }, "ending calls failed; it is tried again");
          left = null;
          wakeAt(clock.now() + retryMs);
        }
      }
    })().finally(() => (working = null));
  }

  async function endDeserted(rooms: ReadonlySet<string> | null): Promise<void> {
    if (rooms?.size === 0) return;
    for (const call of await desertedCalls(reader, rooms && [...rooms])) {
      const deserted = async (): Promise<boolean> =>
        (await desertedCalls(reader, [call.roomId])).some(({ callId }) => callId === call.callId);
      await endCall(tools, call, "HANGUP", deserted);
    }
  }

  async function endLapsed(): Promise<void> {
    for (;;) {
      const now = clock.now();
      const lapsed = await lapsedCalls(reader, now, atOnce);
      for (const call of lapsed) await endCall(tools, call, "EXPIRED", (current) => hasLapsed(current, clock.now()));
      if (lapsed.length === atOnce) continue;
      const next = (await nextLapse(reader)) ?? Infinity;
      // What was due and stays belongs to a room that is being deleted.
      return wakeAt(next > now ? next : now + retryMs);
    }
  }

  work();
  return {
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await working;
    },
  };
}

function lapseOf(event: StoredEvent): number {
  const lifetime = contentOf(event)?.["lifetime"];
  return typeof lifetime === "number" ? event.sentAt + lifetime : Infinity;
}

function endsMembership(event: StoredEvent): boolean {
  const membership = membershipSet(event);
  return membership !== "join" && membership !== "invite";
}
