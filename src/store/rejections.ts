import { query, type Connection } from "./database.ts";

/** How a state event stands in its slot. */
export interface Standing {
  inForce: boolean;
  /** Whether it holds the slot now. */
  holds: boolean;
  /** What held the slot before it; null when it was empty. */
  before: string | null;
  /** The event that restored the slot, where this one was rejected. */
  restoredById: string | null;
}

/** How a state event stands; null for message events. [EVS-7] */
export async function standingOf(connection: Connection, eventId: string): Promise<Standing | null> {
  const [row] = await query<{
    in_force: boolean;
    holds: boolean;
    before: string | null;
    restored_by_id: string | null;
  }>(
    connection,
    `SELECT event.in_force, coalesce(slot.event_id = event.event_id, false) AS holds, before.content AS before,
       restoring.event_id AS restored_by_id
     FROM event
     LEFT JOIN current_state AS slot ON slot.room_id = event.room_id AND slot.type = event.type
       AND slot.state_key = event.state_key
     LEFT JOIN LATERAL (
       SELECT held.content FROM event AS held
       WHERE held.room_id = event.room_id AND held.type = event.type AND held.state_key = event.state_key
         AND held.in_force AND (held.major, held.minor) < (event.major, event.minor)
       ORDER BY held.major DESC, held.minor DESC LIMIT 1
     ) AS before ON true
     LEFT JOIN LATERAL (
       SELECT next.event_id FROM event AS next
       WHERE next.room_id = event.room_id AND next.type = event.type AND next.state_key = event.state_key
         AND next.replaces_id = event.event_id AND NOT event.in_force
       LIMIT 1
     ) AS restoring ON true
     WHERE event.event_id = $1 AND event.state_key IS NOT NULL`,
    eventId,
  );
  if (row === undefined) return null;
  return { inForce: row.in_force, holds: row.holds, before: row.before, restoredById: row.restored_by_id };
}
