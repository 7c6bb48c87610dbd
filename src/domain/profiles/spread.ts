import type { Log } from "../../model/ports.ts";
import { HearthError } from "../../model/errors.ts";
import * as store from "../../store/profiles.ts";
import { joinedRooms } from "../../store/rooms.ts";
import { act, type ActionTools } from "../actions/act.ts";
import { authoriseAll, present } from "../actions/plan.ts";
import { showing, showingOf, type Showing } from "../actions/roomProfile.ts";

/** Brings changed profiles to the rooms of their users, in the background. [PRO-3, PRO-5] */
export interface ProfileSpread {
  /** Begins with a user's change now, instead of when it is come upon. */
  wake(userId: string): void;
  /** Stops between two rooms; what is left goes on at the next start, or in another process. */
  close(): Promise<void>;
}

export interface SpreadOptions {
  tools: ActionTools;
  log: Log;
  /** How long a change that was taken is left alone by others, if the one who took it dies. 3 s unless given. */
  leaseMs?: number;
  /** When rooms are looked through once more, for those that were being joined before. 10 s unless given. */
  lastLookMs?: number;
  /** How often a process looks for changes that nobody works on. 2 s unless given. */
  sweepMs?: number;
}

/** Users whose changes are spread at once. */
const atOnce = 4;
/** Rooms that are appended to at once, so that they share batches and yet leave room for others. */
const roomsAtOnce = 50;

/**
 * A change is noted with the profile, in its transaction. Whoever takes the note looks through the user's rooms and appends
 * the profile where a room shows another one, each event held to what the slot held. So it may stop anywhere, and run
 * twice: the next one finds what is left. See docs/decisions/0011-profiles.md.
 */
export function createProfileSpread({ tools, log, ...times }: SpreadOptions): ProfileSpread {
  const { leaseMs = 3000, lastLookMs = 10_000, sweepMs = 2000 } = times;
  const { reader } = tools.database;
  const waiting = new Set<string>();
  const running = new Set<Promise<void>>();
  let closed = false;

  function beginNext(): void {
    for (const userId of waiting) {
      if (closed || running.size >= atOnce) return;
      waiting.delete(userId);
      const work = spread(userId)
        .catch((error: unknown) => log.warn({ error, userId }, "a profile could not be spread; it is tried again"))
        .finally(() => {
          running.delete(work);
          beginNext();
        });
      running.add(work);
    }
  }

  function wake(userId: string): void {
    waiting.add(userId);
    beginNext();
  }

  async function spread(userId: string): Promise<void> {
    const change = await store.takeProfileChange(reader, userId, leaseMs);
    if (change === null) return;
    const rooms = (await joinedRooms(reader, [userId])).get(userId) ?? [];
    const failures: unknown[] = [];
    for (let start = 0; start < rooms.length; start += roomsAtOnce) {
      if (closed || !(await store.keepProfileChange(reader, change, leaseMs))) break;
      failures.push(...(await showIn(rooms.slice(start, start + roomsAtOnce), change)));
      // So many fail for what all rooms need, such as the policy hook.
      if (failures.length >= roomsAtOnce) break;
    }
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} rooms don't show it yet`);
    if (closed) return void (await store.keepProfileChange(reader, change, 0));
    await store.settleProfileChange(reader, change, change.reached ? null : lastLookMs);
    // A newer change may have come meanwhile.
    waiting.add(userId);
  }

  /** Gives what failed: it keeps the profile from no other room. */
  async function showIn(roomIds: readonly string[], change: store.SpreadingChange): Promise<unknown[]> {
    const global = await store.globalProfile(reader, change.userId);
    const rooms = await store.profileInRooms(reader, change.userId, roomIds);
    const shown = await Promise.allSettled(
      rooms.map(async (room) => {
        const showing = showingOf(change.userId, global, room);
        if (showing.shown === null && !showing.nothing) await show(room.roomId, change, showing);
      }),
    );
    return shown.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
  }

  /** Rooms that were left, or let their members show no profile, are passed over. */
  async function show(roomId: string, change: store.SpreadingChange, first: Showing): Promise<void> {
    const { userId, deviceId, actionId, suppressed } = change;
    /** What was read beforehand, for many rooms at once; null once it may be out of date. */
    let beforehand: Showing | null = first;
    try {
      await act(tools, {
        requester: { userId, deviceId, admin: false, tokenId: "" },
        name: "setProfile",
        input: { suppressOnStream: suppressed },
        roomId,
        async plan(known, connection) {
          const room = present(known);
          if (room.membership(userId) !== "join") return { unchanged: [] };
          const { draft, slot, shown } = beforehand ?? (await showing(connection, roomId, userId));
          beforehand = null;
          if (shown !== null) return { unchanged: [] };
          const drafts = [actionId === null ? draft : { ...draft, actionId }];
          return { append: authoriseAll(drafts, room, tools.serverName), slots: [slot], room };
        },
      });
    } catch (error) {
      if (!(error instanceof HearthError) || error.code === "OVERLOADED") throw error;
      log.debug({ userId, roomId, problem: error.message }, "a room doesn't show a profile");
    }
  }

  const sweep = (): void =>
    void store.waitingProfileChanges(reader, 100).then(
      (userIds) => userIds.forEach(wake),
      (error: unknown) => log.warn({ error }, "looking for changed profiles failed"),
    );
  sweep();
  const sweeping = setInterval(sweep, sweepMs);
  sweeping.unref();

  return {
    wake,
    async close() {
      closed = true;
      clearInterval(sweeping);
      await Promise.all(running);
    },
  };
}
