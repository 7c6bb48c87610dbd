import { query, type Connection } from "./database.ts";

/** How a state event stands in its slot, and what would hold the slot without it. */
export interface Standing {
  inForce: boolean;
  /** What goes when the event is rejected: the event itself, and what restored its content after other rejections. */
  gone: { eventId: string; redactedById: string | null }[];
  /** Whether one of these holds the slot now. */
  holds: boolean;
  /** What would hold the slot without them; null when nothing would. */
  source: { restoresId: string; content: string | null } | null;
  /** The event that restored the slot when this one was rejected. */
  restoredById: string | null;
}

/** How a state event stands; null for message events. [EVS-7] */
export async function standingOf(
  connection: Connection,
  eventId: string,
  serverName: string,
): Promise<Standing | null> {
  const [row] = await query<{
    in_force: boolean;
    gone: { event_id: string; redacted_by_id: string | null }[];
    holds: boolean;
    source_id: string | null;
    source_restores: string | null;
    source_content: string | null;
    restored_by_id: string | null;
  }>(
    connection,
    `WITH target AS MATERIALIZED (
       SELECT event_id, room_id, type, state_key, in_force FROM event WHERE event_id = $1 AND state_key IS NOT NULL
     ), gone AS MATERIALIZED (
       SELECT event.event_id, event.redacted_by_id, event.in_force FROM target
       JOIN event ON event.room_id = target.room_id AND event.type = target.type AND event.state_key = target.state_key
       WHERE event.event_id = target.event_id OR event.restores_id = target.event_id
     )
     SELECT target.in_force, source.event_id AS source_id, source.restores_id AS source_restores,
       source.content AS source_content, restoring.event_id AS restored_by_id,
       (SELECT json_agg(json_build_object('event_id', event_id, 'redacted_by_id', redacted_by_id))
        FROM gone WHERE gone.in_force) AS gone,
       EXISTS (
         SELECT FROM current_state AS slot JOIN gone ON gone.event_id = slot.event_id
         WHERE slot.room_id = target.room_id AND slot.type = target.type AND slot.state_key = target.state_key
       ) AS holds
     FROM target
     LEFT JOIN LATERAL (
       SELECT held.event_id, held.restores_id, held.content FROM event AS held
       WHERE held.room_id = target.room_id AND held.type = target.type AND held.state_key = target.state_key
         AND held.in_force AND held.event_id NOT IN (SELECT gone.event_id FROM gone)
       ORDER BY held.major DESC, held.minor DESC LIMIT 1
     ) AS source ON true
     LEFT JOIN LATERAL (
       SELECT next.event_id FROM event AS next
       WHERE next.room_id = target.room_id AND next.type = target.type AND next.state_key = target.state_key
         AND next.sender = $2 AND NOT target.in_force AND next.replaces_id IN (SELECT gone.event_id FROM gone)
       ORDER BY next.major DESC LIMIT 1
     ) AS restoring ON true`,
    eventId,
    serverName,
  );
  if (row === undefined) return null;
  return {
    inForce: row.in_force,
    gone: (row.gone ?? []).map(({ event_id, redacted_by_id }) => ({ eventId: event_id, redactedById: redacted_by_id })),
    holds: row.holds,
    // What restores a restored content goes with the event that the content came from at first.
    source:
      row.source_id === null ? null : { restoresId: row.source_restores ?? row.source_id, content: row.source_content },
    restoredById: row.restored_by_id,
  };
}
