import { z } from "zod";
import { check } from "../../model/check.ts";
import { badInput, eventNotFound, roomNotFound, HearthError } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import { eventId, roomId } from "../../model/ids.ts";
import { placeBetween } from "../../model/order.ts";
import type { Requester } from "../../model/requester.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById, nextPlace } from "../../store/events.ts";
import { accessToRooms, maySee } from "../reading/views.ts";
import { act, commonInput, maxTime, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";
import { demandOlderKeys } from "./olderKeys.ts";
import { withParents } from "./parents.ts";
import { messageDraft, messageInput } from "./sendMessages.ts";
import { stateDraft, stateInput } from "./setStates.ts";

const inserted = z.strictObject({
  message: messageInput.nullish(),
  state: stateInput.nullish(),
  /** When it happened elsewhere, in milliseconds since the epoch; else as the input's `sentAt` says. */
  sentAt: z.int().min(0).max(maxTime).nullish(),
});
const insertEventsInput = z.strictObject({
  ...commonInput,
  roomId,
  insertAfter: eventId,
  events: z.array(inserted).min(1, "is empty").max(100, "holds more than 100 events"),
});

/**
 * Puts up to 100 events into the past of a room, all or nothing: the first straight after a given event, each of the
 * others after the one before it. [EVS-6] Nobody's place or token changes. State that is put into the past has no effect
 * on the room. Streams carry the events only where they are asked for, with the event that each comes after.
 * The sender must be allowed to send them now. Throws `BAD_INPUT`, `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`, and `UNSUPPORTED`
 * when too many events were inserted at the very place.
 */
export async function insertEvents(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent[]> {
  const input = check(insertEventsInput, given);
  const drafts = input.events.map((event, index) => draftOf(requester.userId, event, `events.${index}`));
  return act(tools, {
    requester,
    name: "insertEvents",
    input,
    roomId: input.roomId,
    count: drafts.length,
    async plan(known, connection) {
      const room = present(known);
      const after = await visibleEvent(connection, requester.userId, input);
      const field = (index: number): string => `events.${index}.message`;
      const related = await withParents(connection, requester.userId, input.roomId, drafts, field);
      await demandOlderKeys(connection, input.roomId, drafts, tools.serverName);
      const placed = await withPlaces(connection, related, after, tools);
      return { append: authoriseAll(placed, room, tools.serverName), room };
    },
  });
}

/** The same for an application service, which alone knows what happened before its room was here. [AS-10] */
export async function insertHistory(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent[]> {
  if (requester.service === undefined) {
    throw new HearthError("FORBIDDEN", "Only application services put events into the past.", { field: "insertAfter" });
  }
  return insertEvents(tools, requester, given);
}

function draftOf(sender: string, event: z.output<typeof inserted>, field: string): EventDraft {
  const { message, state } = event;
  const at = typeof event.sentAt === "number" ? { sentAt: event.sentAt } : {};
  if (message && !state) return { ...messageDraft(sender, message, `${field}.message`), ...at };
  if (state && !message) return { ...stateDraft(sender, state, `${field}.state.`), ...at };
  throw badInput(field, "is neither a message nor state, or both");
}

async function visibleEvent(
  connection: Connection,
  userId: string,
  { roomId, insertAfter }: { roomId: string; insertAfter: string },
): Promise<StoredEvent> {
  const [event] = await eventsById(connection, [insertAfter]);
  const access = (await accessToRooms(connection, userId, [roomId])).get(roomId);
  if (!access?.view) throw roomNotFound();
  if (event === undefined || event.roomId !== roomId || !maySee(event, access)) throw eventNotFound();
  return event;
}

/** Between the given event and what follows it now; when somebody else takes a place meanwhile, it is planned anew. */
async function withPlaces(
  connection: Connection,
  drafts: readonly EventDraft[],
  { roomId, eventId, place }: StoredEvent,
  { ids, clock }: ActionTools,
): Promise<EventDraft[]> {
  const next = await nextPlace(connection, roomId, place);
  let before = { eventId, place };
  return drafts.map((draft) => {
    const inserted = { afterId: before.eventId, place: placeBetween(before.place, next) };
    before = { eventId: ids.eventId(clock.now()), place: inserted.place };
    return { ...draft, eventId: before.eventId, inserted };
  });
}
