import { createHash } from "node:crypto";
import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { olderForms } from "../../../domain/reading/olderForm.ts";
import { accessToRooms } from "../../../domain/reading/views.ts";
import { roomNotFound } from "../../../model/errors.ts";
import type { StoredEvent } from "../../../model/event.ts";
import { isRoomId } from "../../../model/ids.ts";
import type { Requester } from "../../../model/requester.ts";
import type { RoomView } from "../../../model/room.ts";
import { renaming } from "../sending.ts";

/** The groups that calls about rooms are documented in. */
export const roomGroup = {
  membership: "Rooms and memberships",
  sending: "Sending",
  reading: "Reading rooms",
  live: "Typing and read markers",
} as const;

/** An event in the older form. */
export const olderEvent = z.looseObject({
  ...{ type: z.string(), room_id: z.string(), event_id: z.string(), sender: z.string(), user_id: z.string() },
  content: z.looseObject({}),
  origin_server_ts: z.number().describe("Milliseconds since the epoch."),
  state_key: z.string().optional().describe("On state events alone."),
});
export const eventIdAnswer = z.object({ event_id: z.string() });

/** Parameters of everything that appends. */
export const appendingQuery = {
  ts: z.coerce
    .number()
    .int()
    .optional()
    .describe("The time that the event shows, in milliseconds since the epoch; for application services."),
};

/** The time that events show, as far as who asks has a say in it. [AS-7] */
export function sentAtOf({ service }: Requester, { ts }: { ts?: number | undefined }): { sentAt?: number } {
  return service === undefined || ts === undefined ? {} : { sentAt: ts };
}

/** The action id of a transaction: the same id stands for others in other rooms, and of other types. [ACT-2] */
export function actionIdOf(transaction: string | undefined, ...scope: string[]): { actionId?: string } {
  if (transaction === undefined) return {};
  const text = JSON.stringify([...scope, transaction]);
  return { actionId: `transaction ${createHash("sha256").update(text).digest("base64url")}` };
}

/**
 * What a bridge does when it is forbidden: it registers its user, joins the room, and tries again. Any other answer stops
 * it, so that rooms which a user doesn't know of are forbidden, too. [AS-13]
 */
export function forbidding<T>(work: Promise<T>): Promise<T> {
  return renaming({ NOT_FOUND: [403, "M_FORBIDDEN"] }, work);
}

/** The room as who asks sees it; `M_FORBIDDEN` where it doesn't exist to them. [EV-9] */
export function viewOf(domain: Domain, requester: Requester, roomId: string): Promise<RoomView> {
  return forbidding(visibleRoom(domain, requester, roomId));
}

async function visibleRoom({ reading }: Domain, { userId }: Requester, roomId: string): Promise<RoomView> {
  const access = isRoomId(roomId) ? await accessToRooms(reading.connection, userId, [roomId]) : null;
  const view = access?.get(roomId)?.view ?? null;
  if (view === null) throw roomNotFound();
  return view;
}

/** Events in the older form, in their order. */
export function told({ reading, server, tools }: Domain, events: readonly StoredEvent[]) {
  const now = tools.clock.now();
  return olderForms(reading.connection, events, { serverName: server.name, now }) as Promise<
    z.output<typeof olderEvent>[]
  >;
}
