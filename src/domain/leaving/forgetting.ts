import type { Log } from "../../model/ports.ts";
import * as store from "../../store/accountDeletion.ts";
import { liveCallsOf } from "../../store/calls.ts";
import type { ActionTools } from "../actions/act.ts";
import { endCall } from "../actions/endCalls.ts";
import type { Sessions } from "../live/sessions.ts";
import type { MediaRepository } from "../media/media.ts";
import { leaveAllRooms } from "./leaveAllRooms.ts";
import { redactAll, redactProfiles } from "./redactAll.ts";

/** Does what is left to do for deleted accounts. */
export interface Forgetting {
  /** There is, or may be, something to do. */
  wake(): void;
  /** Stops, and lets another process take over at once. */
  close(): Promise<void>;
}

export interface ForgettingOptions {
  tools: ActionTools;
  sessions: Sessions;
  media: Pick<MediaRepository, "deleteAllOf">;
  log: Log;
}

/** What a process has taken up is taken over by another after this long without a sign of it, in milliseconds. */
const leaseMs = 3000;
/** How often a process looks for what nobody does, in milliseconds. */
const lookMs = 2000;
/** How soon what failed is tried again, in milliseconds. */
const retryMs = 10_000;
/** What requests that were under way left behind is looked for once more after this long, in milliseconds. */
const settleMs = 60_000;
const actionsAtOnce = 5000;

/** Thrown where another process has taken over. */
class Overtaken extends Error {}

/**
 * Does what `deleteAccount` leaves to do: the user leaves all rooms, and what they sent is redacted if that was asked for.
 * The store says what is left, so that it goes on after any crash; one process does it at a time, and twice is harmless,
 * since each step looks for what is still there. [ACC-3]
 */
export function startForgetting({ tools, sessions, media, log }: ForgettingOptions): Forgetting {
  const { reader } = tools.database;
  let closing = false;
  let again = false;
  let working: Promise<void> | null = null;

  /** Called between steps: keeps others from taking over. */
  async function goOn(deletion: store.ClaimedDeletion): Promise<void> {
    if (closing || !(await store.putOffDeletion(reader, deletion, leaseMs))) throw new Overtaken();
  }

  async function forget(deletion: store.ClaimedDeletion): Promise<void> {
    const { userId, erase } = deletion;
    const step = (): Promise<void> => goOn(deletion);
    await sessions.endAllOf(userId);
    sessions.tellSet(userId);
    await store.forgetUser(reader, userId);
    for (const call of await liveCallsOf(reader, userId)) await endCall(tools, call, "SESSION_ENDED", () => true);
    await leaveAllRooms(tools, userId, step);
    while ((await store.forgetActions(reader, userId, actionsAtOnce)) > 0) await step();
    await media.deleteAllOf(userId);
    await step();
    await redactProfiles(tools, userId, step);
    if (erase) {
      await redactAll(tools, userId, step);
      await store.forgetCalls(reader, userId);
    }
  }

  async function takeUp(deletion: store.ClaimedDeletion): Promise<void> {
    const { userId, erase } = deletion;
    try {
      await forget(deletion);
      await store.settleDeletion(reader, deletion, settleMs);
      log.info({ userId, erase }, "all was done for a deleted account");
    } catch (error) {
      if (!(error instanceof Overtaken)) log.error({ userId, error }, "deleting an account went no further");
      await store.putOffDeletion(reader, deletion, closing ? 0 : retryMs);
    }
  }

  function wake(): void {
    again = true;
    working ??= (async () => {
      while (again && !closing) {
        again = false;
        const deletion = await store.claimDeletion(reader, leaseMs);
        if (deletion === null) continue;
        again = true;
        await takeUp(deletion);
      }
    })()
      .catch((error: unknown) => log.warn({ error }, "looking for accounts to delete failed"))
      .finally(() => (working = null));
  }

  const looking = setInterval(wake, lookMs).unref();
  wake();
  return {
    wake,
    async close() {
      closing = true;
      clearInterval(looking);
      await working;
    },
  };
}
