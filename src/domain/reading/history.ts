import type { StoredEvent } from "../../model/event.ts";
import type { RoomView } from "../../model/room.ts";
import { eventsById, newestEvents, previousEventId } from "../../store/events.ts";
import { markersByMove } from "../../store/markers.ts";
import type { Reading } from "./reading.ts";
import { stateInSlots, type Slot } from "./state.ts";
import { accessToRooms, maySee } from "./views.ts";

/**
 * Those of these events that the user may see, by id, moves of markers among them; two to four statements. [EV-9]
 * Besides what stands in the readable places, that is the state which holds in a room as the user sees it: who joins under
 * strict visibility still sees the room's name and members.
 */
export async function visibleEvents(
  reading: Reading,
  userId: string,
  eventIds: readonly string[],
): Promise<Map<string, StoredEvent>> {
  const stored = await eventsById(reading.connection, eventIds);
  const known = new Set(stored.map(({ eventId }) => eventId));
  const unknown = eventIds.filter((eventId) => !known.has(eventId));
  const moves = unknown.length === 0 ? [] : await markersByMove(reading.connection, userId, unknown);
  const events = [...stored, ...moves.map(({ event }) => event)];
  const access = await accessToRooms(reading.connection, userId, [...new Set(events.map((event) => event.roomId))]);
  const visible = events.filter((event) => maySee(event, access.get(event.roomId)));
  const doubtful = events.flatMap((event) => {
    const view = visible.includes(event) ? null : access.get(event.roomId)?.view;
    return view && event.stateKey !== null ? [{ event, slot: slotOf(event, event.stateKey, view) }] : [];
  });
  const held =
    doubtful.length === 0
      ? []
      : await stateInSlots(
          reading,
          doubtful.map(({ slot }) => slot),
        );
  const holding = doubtful.filter(({ event }, index) => held[index]?.eventId === event.eventId);
  return new Map([...visible, ...holding.map(({ event }) => event)].map((event) => [event.eventId, event]));
}

function slotOf({ roomId, type }: StoredEvent, stateKey: string, { until }: RoomView): Slot {
  return { roomId, until, type, stateKey };
}

/** The newest visible event of each room, or its newest message; one statement. */
export function newestVisible(
  { connection, head }: Reading,
  views: readonly RoomView[],
  messagesOnly: boolean,
): Promise<Map<string, StoredEvent>> {
  return newestEvents(connection, views, head.position, messagesOnly);
}

/** The event straight before another in its room. [ACT-12] */
export function eventBefore({ connection }: Reading, event: StoredEvent): Promise<string | null> {
  return previousEventId(connection, event.roomId, event.place);
}
