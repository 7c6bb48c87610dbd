import { query } from "../src/store/database.ts";
import type { Workshop } from "./data.ts";
import { idAt, takePositions } from "./seed.ts";

/**
 * Lets users into a room who never had anything to do with it, as `append_batch` stores joins, in a few statements:
 * thousands of joins one by one would take minutes.
 */
export async function addMembers(workshop: Workshop, roomId: string, userIds: readonly string[]): Promise<void> {
  const { connection, domain } = workshop;
  const first = await takePositions(connection, userIds.length);
  const joins = "unnest($3::text[]) WITH ORDINALITY AS joining(user_id, n)";
  const position = "$2::bigint + joining.n - 1";
  await query(
    connection,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content,
       action_device, auth_version)
     SELECT ${position}, ${idAt(position)}, room_id, ${position}, '', 'm.room.member', user_id, user_id, $4::bigint,
       '{"membership":"join"}', 'bench', auth_version + joining.n
     FROM room CROSS JOIN ${joins} WHERE room_id = $1`,
    ...[roomId, first, userIds, Date.now()],
  );
  for (const [table, columns, values] of [
    [
      "current_state",
      "type, state_key, position, event_id, deleted",
      `'m.room.member', user_id, ${position}, ${idAt(position)}, false`,
    ],
    ["member", "user_id, membership, position, event_id", `user_id, 'join', ${position}, ${idAt(position)}`],
    ["membership_period", "user_id, from_position, membership", `user_id, ${position}, 'join'`],
  ] as const) {
    await query(
      connection,
      `INSERT INTO ${table} (room_id, ${columns}) SELECT $1::text, ${values} FROM ${joins}`,
      ...[roomId, first, userIds],
    );
  }
  await query(
    connection,
    "UPDATE room SET auth_version = auth_version + $2::bigint WHERE room_id = $1",
    roomId,
    userIds.length,
  );
  // What the domain remembers of the room is older than what was just written behind its back.
  domain.tools.authorities.forget(roomId);
}
