import { eventNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { findAction } from "../../store/append.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { accessToRooms, maySee } from "../reading/views.ts";
import type { ActionTools } from "./act.ts";

/**
 * The room where an action was done before under its action id; null where it wasn't. An action that names its room by
 * something else, such as an alias, still finds its first outcome so when that leads nowhere any more. [ACT-2]
 */
export async function roomDoneIn(
  tools: ActionTools,
  { userId, deviceId }: Requester,
  actionId: string | null | undefined,
): Promise<string | null> {
  if (!actionId) return null;
  const done = await findAction(tools.database.reader, { userId, deviceId, actionId });
  const [event] = done ? await eventsById(tools.database.reader, done.eventIds) : [];
  return event?.roomId ?? null;
}

/**
 * The room of an event that the action is about, whether or not the requester may see it. Throws `NOT_FOUND`, in the words
 * of `notFound` where the requester knows it as something else than an event.
 */
export async function roomOfEvent(
  tools: ActionTools,
  requester: Requester,
  { eventId, actionId }: { eventId: string; actionId?: string | null | undefined },
  notFound = eventNotFound,
): Promise<string> {
  const [event] = await eventsById(tools.database.reader, [eventId]);
  const roomId = event?.roomId ?? (await roomDoneIn(tools, requester, actionId));
  if (roomId === null) throw notFound();
  return roomId;
}

/**
 * An event that the user may see as the store is now, else `NOT_FOUND`. For plans: an action that was done before gives
 * its first outcome also to who may see the event no more. [ACT-2, EV-9]
 */
export async function visibleEvent(
  connection: Connection,
  userId: string,
  eventId: string,
  notFound = eventNotFound,
): Promise<StoredEvent> {
  const [event] = await eventsById(connection, [eventId]);
  if (event === undefined) throw notFound();
  const access = await accessToRooms(connection, userId, [event.roomId]);
  if (!maySee(event, access.get(event.roomId))) throw notFound();
  return event;
}
