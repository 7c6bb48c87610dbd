import { createRoom } from "../src/domain/actions/createRoom.ts";
import { joinRoom } from "../src/domain/actions/joinRoom.ts";
import { query } from "../src/store/database.ts";
import type { BenchUser, Workshop } from "./data.ts";
import { progress } from "./report.ts";
import { idAt, takePositions } from "./seed.ts";

/** Messages of one room that stand together in the stream, as those of a conversation do. */
const burst = 50;

/** The rooms' ids by number; the first is made by the server, the others are its copies. */
const copies = "(SELECT n, '!bench' || n || ':' || $1::text AS room_id FROM generate_series(1, $2::integer - 1) AS n)";

/**
 * Makes rooms that all of these users are in, with the state of a room that people made and messages by all of them, in
 * bursts that alternate between the rooms.
 */
export async function addManyRooms(
  workshop: Workshop,
  users: readonly BenchUser[],
  size: { rooms: number; messages: number },
): Promise<void> {
  progress(`${size.rooms} rooms of ${size.messages} messages are filled`);
  const { connection } = workshop;
  const template = await addTemplate(workshop, users);
  await copyState(workshop, template, size.rooms);
  const count = size.rooms * size.messages;
  const first = await takePositions(connection, count);
  await query(
    connection,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, action_device)
     SELECT $1::bigint + n, ${idAt("$1::bigint + n")}, ($4::text[])[1 + n / ${burst} % cardinality($4::text[])],
       $1::bigint + n, '', 'm.room.message', ($5::text[])[1 + n % cardinality($5::text[])], $3::bigint + n * 1000,
       '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}', 'bench'
     FROM generate_series(0, $2::integer - 1) AS n`,
    first,
    count,
    Date.now() - count * 1000,
    (await query<{ room_id: string }>(connection, "SELECT room_id FROM room")).map((room) => room.room_id),
    users.map(({ requester }) => requester.userId),
  );
}

async function addTemplate({ domain }: Workshop, [creator, ...others]: readonly BenchUser[]): Promise<string> {
  const { roomId } = await createRoom(domain.tools, creator!.requester, {
    joinRule: "PUBLIC",
    name: "Room 0",
    topic: "What the people in this room talk about",
  });
  for (const { requester } of others) await joinRoom(domain.tools, requester, { target: { roomId } });
  return roomId;
}

/** Copies a room that has state only, each copy after the last in the stream. */
async function copyState({ connection, domain }: Workshop, template: string, rooms: number): Promise<void> {
  const [state] = await query<{ size: number }>(
    connection,
    "SELECT count(*)::integer AS size FROM event WHERE room_id = $1",
    template,
  );
  const { size } = state!;
  await takePositions(connection, size * (rooms - 1));
  const shifted = (column: string): string => `${column} + copy.n * $4::bigint`;
  const newId = idAt(shifted("source.position"));
  for (const [table, columns, values] of [
    ["room", "creator, created_at, auth_version, published", null],
    [
      "event",
      "position, event_id, major, minor, type, state_key, sender, sent_at, content, action_device, auth_version",
      `${shifted("source.position")}, ${newId}, ${shifted("source.major")}, minor, type, state_key, sender, sent_at,
       replace(content, 'Room 0', 'Room ' || copy.n), action_device, auth_version`,
    ],
    [
      "current_state",
      "type, state_key, position, event_id, deleted",
      `type, state_key, ${shifted("source.position")}, ${newId}, deleted`,
    ],
    [
      "member",
      "user_id, membership, position, event_id",
      `user_id, membership, ${shifted("source.position")}, ${newId}`,
    ],
    [
      "membership_period",
      "user_id, from_position, membership, previous",
      `user_id, ${shifted("from_position")}, membership, previous`,
    ],
    ["visibility_period", "from_position, visibility", `${shifted("from_position")}, visibility`],
  ] as const) {
    await query(
      connection,
      `INSERT INTO ${table} (room_id, ${columns}) SELECT copy.room_id, ${values ?? columns}
       FROM ${copies} AS copy CROSS JOIN ${table} AS source WHERE source.room_id = $3 AND $4::bigint > 0
       ORDER BY copy.n`,
      domain.server.name,
      rooms,
      template,
      size,
    );
  }
}
