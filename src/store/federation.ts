import type { StoredEvent } from "../model/event.ts";
import { authorisingSlots, type FederationContext } from "../model/federation.ts";
import { query, type Connection } from "./database.ts";

/**
 * The live event straight before a live one in its room. A live event never comes to stand between two others, so that
 * the answer stays the same for ever. Two probes of the index on the room's order: the greatest major below is that of a
 * live event and of all that was inserted after it, through which a single probe would walk (before PostgreSQL 18).
 */
const previousLive = `SELECT before.event_id FROM event AS before
  WHERE before.room_id = live.room_id AND before.minor = ''::bytea AND before.major = (
    SELECT event.major FROM event WHERE event.room_id = live.room_id AND event.major < live.major
    ORDER BY event.major DESC, event.minor DESC LIMIT 1
  )
  LIMIT 1`;

/** The event that held a slot straight before a place: the index on slots gives it by one probe. */
const holderBefore = `SELECT event.event_id, event.content IS NULL AS deleted FROM event
  WHERE event.room_id = slot.room_id AND event.type = slot.type AND event.state_key = slot.state_key AND event.in_force
    AND (event.major, event.minor) < (slot.major, decode(slot.minor, 'hex'))
  ORDER BY event.major DESC, event.minor DESC LIMIT 1`;

/**
 * What each of these events names as its previous and its authorising events, by its id; one statement for all. [EV-6]
 * The authorising events come in the order of `authorisingSlots`, without slots that were empty or deleted. [ACT-9]
 */
export async function federationContexts(
  connection: Connection,
  events: readonly StoredEvent[],
): Promise<Map<string, FederationContext>> {
  const asked = [...new Map(events.map((event) => [event.eventId, event])).values()];
  const live = asked.filter((event) => event.insertedAfterId === null);
  const slots = asked.flatMap((event) => authorisingSlots(event).map((slot, rank) => ({ ...slot, rank, event })));
  const rows = await query<{ event_id: string; rank: number | null; named_id: string }>(
    connection,
    `SELECT live.event_id, NULL AS rank, previous.event_id AS named_id
     FROM unnest($1::text[], $2::text[], $3::bigint[]) AS live(event_id, room_id, major)
     CROSS JOIN LATERAL (${previousLive}) AS previous
     UNION ALL
     SELECT slot.event_id, slot.rank, held.event_id
     FROM unnest($4::text[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[])
       AS slot(event_id, rank, room_id, type, state_key, major, minor)
     CROSS JOIN LATERAL (${holderBefore}) AS held WHERE NOT held.deleted
     ORDER BY rank`,
    live.map((event) => event.eventId),
    live.map((event) => event.roomId),
    live.map((event) => event.place.major),
    slots.map((slot) => slot.event.eventId),
    slots.map((slot) => slot.rank),
    slots.map((slot) => slot.event.roomId),
    slots.map((slot) => slot.type),
    slots.map((slot) => slot.stateKey),
    slots.map((slot) => slot.event.place.major),
    slots.map((slot) => slot.event.place.minor),
  );
  const contexts = new Map<string, FederationContext>(
    asked.map(({ eventId, insertedAfterId }) => [
      eventId,
      { prevEvents: insertedAfterId === null ? [] : [insertedAfterId], authEvents: [] },
    ]),
  );
  for (const row of rows) {
    const { prevEvents, authEvents } = contexts.get(row.event_id)!;
    (row.rank === null ? prevEvents : authEvents).push(row.named_id);
  }
  return contexts;
}
