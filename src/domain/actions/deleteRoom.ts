import { z } from "zod";
import { check } from "../../model/check.ts";
import { roomNotFound } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import * as store from "../../store/roomDeletion.ts";
import { demandAdmin } from "../rules/admin.ts";
import type { ActionTools } from "./act.ts";
import { membershipDraft, reason } from "./membership.ts";

const deleteRoomInput = z.strictObject({ roomId, reason });

/** Members that are made to leave in one batch: appending waits no longer than that. */
const leaveAtOnce = 200;
/** Rows that are deleted in one statement. */
const rowsAtOnce = 5000;

/**
 * Deletes a room with all that was said in it. From the first moment it is gone for everybody: to read it or to act in it is
 * `NOT_FOUND`. Then whoever was joined, invited or knocking is made to leave, so that streams and syncs tell their clients,
 * and the history is erased; what is left are those leaves, and that the id was used. For admins; what a crash cuts off
 * goes on at the next start, and what fails is tried again now and then. Gives the room's id. Throws `FORBIDDEN`, `NOT_FOUND`.
 */
export async function deleteRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<string> {
  demandAdmin(requester);
  const { roomId, reason } = check(deleteRoomInput, given);
  if (!(await store.closeRoom(tools.database.reader, roomId, new Date(tools.clock.now())))) throw roomNotFound();
  await erase(tools, roomId, reason ? { reason } : {});
  return roomId;
}

/** Goes on with the deletions that were cut off, each by itself. Gives those that failed again, with what failed. */
export async function resumeDeletions(tools: ActionTools): Promise<{ roomId: string; error: unknown }[]> {
  const failed = [];
  for (const roomId of await store.closedRooms(tools.database.reader)) {
    try {
      await erase(tools, roomId, {});
    } catch (error) {
      failed.push({ roomId, error });
    }
  }
  return failed;
}

async function erase(tools: ActionTools, roomId: string, content: { reason?: string }): Promise<void> {
  tools.authorities.forget(roomId);
  for (;;) {
    const present = await store.presentUsers(tools.database.reader, roomId, leaveAtOnce);
    if (present.length === 0) break;
    const drafts = present.map((userId) => membershipDraft(tools.serverName, userId, "leave", content));
    await appendToClosed(tools, roomId, drafts);
  }
  while ((await store.eraseEvents(tools.database.reader, roomId, tools.serverName, rowsAtOnce)) > 0);
  await store.eraseRest(tools.database.reader, roomId);
}

/** Nobody else appends to a closed room, but another process may be deleting it as well. */
async function appendToClosed(tools: ActionTools, roomId: string, drafts: EventDraft[]): Promise<void> {
  const version = await store.closedVersion(tools.database.reader, roomId);
  const now = tools.clock.now();
  const events = drafts.map((draft, index) => ({
    ...draft,
    eventId: tools.ids.eventId(now),
    sentAt: now,
    device: null,
    suppressed: false,
    authVersion: version + index + 1,
  }));
  const moved = { version, nextVersion: version + events.length };
  const unit = { roomId, ...moved, newRoom: null, action: null, answerIds: [], events };
  await tools.writer.append(unit);
}
