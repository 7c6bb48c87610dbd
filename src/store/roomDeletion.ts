import { lockAppending } from "./append.ts";
import { isFound, query, type Connection, type Database } from "./database.ts";

/** The SQL condition that the room of a row was closed: nothing of it is shown but that its members had to leave. */
export function isClosed(row: string): string {
  return isFound(`FROM room AS closed WHERE closed.room_id = ${row}.room_id AND closed.deleted_at IS NOT NULL`);
}

/** Closes a room for good; see `close_room` in the migrations. False when there is none. */
export async function closeRoom(reader: Database["reader"], roomId: string, now: Date): Promise<boolean> {
  return reader.$transaction(async (connection) => {
    await lockAppending(connection);
    // Its aliases become free: an interest in one that stayed behind would keep it from counting for the alias's next room.
    await query(
      connection,
      `DELETE FROM app_service_alias USING room_alias
       WHERE room_alias.room_id = $1 AND app_service_alias.alias = room_alias.alias RETURNING room_alias.alias`,
      roomId,
    );
    const [row] = await query<{ closed: boolean }>(connection, "SELECT close_room($1, $2) AS closed", roomId, now);
    return row!.closed;
  });
}

/** Closed rooms that aren't erased yet. */
export async function closedRooms(connection: Connection): Promise<string[]> {
  const rows = await query<{ room_id: string }>(
    connection,
    `SELECT room_id FROM room WHERE deleted_at IS NOT NULL
       AND EXISTS (SELECT FROM current_state WHERE current_state.room_id = room.room_id)`,
  );
  return rows.map((row) => row.room_id);
}

/** The auth version of a closed room. */
export async function closedVersion(connection: Connection, roomId: string): Promise<number> {
  const { authVersion } = await connection.room.findUniqueOrThrow({ where: { roomId }, select: { authVersion: true } });
  return Number(authVersion);
}

/** Up to `limit` users who have to be told that a closed room is gone. */
export async function presentUsers(connection: Connection, roomId: string, limit: number): Promise<string[]> {
  const members = await connection.member.findMany({
    where: { roomId, membership: { in: ["join", "invite", "knock"] } },
    select: { userId: true },
    take: limit,
  });
  return members.map(({ userId }) => userId);
}

/** Erases up to `limit` events of a closed room; those by which the server made users leave stay. Gives how many there were. */
export async function eraseEvents(
  connection: Connection,
  roomId: string,
  serverName: string,
  limit: number,
): Promise<number> {
  return connection.$executeRawUnsafe(
    `DELETE FROM event WHERE position IN (
       SELECT event.position FROM event WHERE event.room_id = $1 AND NOT (event.sender = $2 AND EXISTS (
         SELECT FROM member WHERE member.room_id = $1 AND member.event_id = event.event_id))
       LIMIT $3::integer)`,
    roomId,
    serverName,
    limit,
  );
}

/** Erases what else tells of a closed room but its memberships, which tell their users that they left. */
export async function eraseRest(reader: Database["reader"], roomId: string): Promise<void> {
  const where = { where: { roomId } };
  // At once, since state that is left tells that there is more to erase.
  await reader.$transaction([
    reader.relation.deleteMany(where),
    reader.marker.deleteMany(where),
    reader.call.deleteMany(where),
    reader.visibilityPeriod.deleteMany(where),
    reader.appServiceRoom.deleteMany(where),
    reader.currentState.deleteMany(where),
  ]);
}
