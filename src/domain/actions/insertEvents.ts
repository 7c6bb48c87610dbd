import { z } from "zod";
import { check } from "../../model/check.ts";
import { badInput, eventNotFound, roomNotFound } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import { eventId, roomId } from "../../model/ids.ts";
import { placeBetween } from "../../model/order.ts";
import type { Requester } from "../../model/requester.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById, nextPlace } from "../../store/events.ts";
import { accessToRooms, maySee } from "../reading/views.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";
import { checkParents } from "./parents.ts";
import { messageDraft, messageInput } from "./sendMessages.ts";
import { stateDraft, stateInput } from "./setStates.ts";

/** The last moment that a date can hold, in milliseconds since the epoch. */
const maxTime = 8.64e15;

const inserted = z.strictObject({
  message: messageInput.nullish(),
  state: stateInput.nullish(),
  /** When it happened elsewhere, in milliseconds since the epoch. */
  sentAt: z.int().min(0).max(maxTime),
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
    async plan(known, connection) {
      const room = present(known);
      const after = await visibleEvent(connection, requester.userId, input);
      await checkParents(connection, requester.userId, input.roomId, drafts, (index) => `events.${index}.message`);
      const placed = await withPlaces(connection, drafts, after, tools);
      return { append: authoriseAll(placed, room, tools.serverName), room };
    },
  });
}

function draftOf(sender: string, event: z.output<typeof inserted>, field: string): EventDraft {
  const { message, state, sentAt } = event;
  if (message && !state) return { ...messageDraft(sender, message, `${field}.message`), sentAt };
  if (state && !message) return { ...stateDraft(sender, state, `${field}.state.`), sentAt };
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
