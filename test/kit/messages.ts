import { sql } from "./database.ts";

/** Has a user send that many messages to a room, straight in the store: no server that runs learns of it. */
export async function addMessages(databaseUrl: string, roomId: string, sender: string, count: number): Promise<void> {
  await sql(
    databaseUrl,
    `WITH base AS (SELECT coalesce(max(position), 0) AS position FROM event),
       drawn AS (SELECT setval('stream_position', (SELECT position FROM base) + $3::bigint))
     INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, action_user, action_device, action_id)
     SELECT base.position + n, '$' || $1 || '-' || n, $1, base.position + n, '', 'm.room.message', $2, n,
       '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}', NULL, 'device', 'action' || n
     FROM base, drawn, generate_series(1, $3::integer) AS n`,
    [roomId, sender, count],
  );
}
