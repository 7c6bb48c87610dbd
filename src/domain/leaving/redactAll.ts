import { HearthError } from "../../model/errors.ts";
import * as store from "../../store/accountDeletion.ts";
import { act, type ActionTools } from "../actions/act.ts";
import { present } from "../actions/plan.ts";

type Step = () => Promise<void>;

const roomsAtOnce = 200;
/** Events that are redacted in one unit, but for their edits: others who write wait no longer than that takes. */
const eventsAtOnce = 100;
/** With their edits they may become more; beyond so many they are taken in smaller pieces. */
const mostAtOnce = 250;

/** Has the server redact a user's profiles in all rooms that they were ever in, whoever set them. [PRO-3] */
export async function redactProfiles(tools: ActionTools, userId: string, step: Step): Promise<void> {
  await inRoomsOf(tools, userId, async (roomId) => {
    for (;;) {
      const eventIds = await store.tellingProfiles(tools.database.reader, roomId, userId, eventsAtOnce);
      if (eventIds.length === 0 || !(await redact(tools, roomId, eventIds))) return;
      await step();
    }
  });
}

/**
 * Has the server redact everything that a user sent, in all rooms that they were ever in, with edits. What says who may do
 * what in a room can't be redacted; of memberships the reasons go. Events forget the device that sent them. [ACC-3]
 * Only what still tells something is looked at, so that it may be done again; `step` is called between pieces, and may throw.
 */
export async function redactAll(tools: ActionTools, userId: string, step: Step): Promise<void> {
  const { reader } = tools.database;
  await inRoomsOf(tools, userId, async (roomId) => {
    let after = store.walkStart;
    for (;;) {
      const page = await store.tellingEvents(reader, { roomId, sender: userId, after, limit: eventsAtOnce });
      const last = page.at(-1);
      if (last === undefined) return;
      const eventIds = page.filter((event) => event.redact).map(({ eventId }) => eventId);
      if (eventIds.length > 0 && !(await redact(tools, roomId, eventIds))) return;
      await store.stripEvents(
        reader,
        page.map(({ position }) => position),
      );
      after = last.place;
      await step();
    }
  });
}

async function inRoomsOf(tools: ActionTools, userId: string, work: (roomId: string) => Promise<void>): Promise<void> {
  let after = "";
  for (;;) {
    const roomIds = await store.roomsOnceEntered(tools.database.reader, userId, after, roomsAtOnce);
    for (const roomId of roomIds) await work(roomId);
    if (roomIds.length === 0) return;
    after = roomIds.at(-1)!;
  }
}

/** Redacts events of a room in the server's name, in one unit or several; false when the room is gone. */
async function redact(tools: ActionTools, roomId: string, eventIds: readonly string[]): Promise<boolean> {
  if (eventIds.length > 1) {
    const all = await store.withEdits(tools.database.reader, eventIds);
    if (all.length > mostAtOnce) {
      const middle = eventIds.length >> 1;
      const first = await redact(tools, roomId, eventIds.slice(0, middle));
      return first && (await redact(tools, roomId, eventIds.slice(middle)));
    }
  }
  const { serverName } = tools;
  try {
    await act(
      { ...tools, policy: null },
      {
        requester: { userId: serverName, deviceId: "accounts", admin: true, tokenId: "accounts" },
        name: "redactAll",
        input: {},
        roomId,
        async plan(known, connection) {
          const room = present(known);
          const targets = await store.withEdits(connection, eventIds);
          if (targets.length === 0) return { unchanged: [] };
          const redaction = { type: "m.room.redaction", sender: serverName, content: "{}" };
          return { append: targets.map((redactsId) => ({ ...redaction, redactsId })), room };
        },
      },
    );
    return true;
  } catch (error) {
    // An admin deletes the room, and all that was said in it.
    if (error instanceof HearthError && error.code === "NOT_FOUND") return false;
    throw error;
  }
}
