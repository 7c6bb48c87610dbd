import { query, type Connection } from "./database.ts";

/** A room with more types than this is read in its own order, since probing all of them would cost more. */
export const maxProbedTypes = 200;
/** Senders of a room that are looked at. */
export const maxSenders = 500;

export interface TypeName {
  /** A type may be that of messages and of state. */
  message: boolean;
  type: string;
}

export interface TypeOfSender extends TypeName {
  sender: string;
}

// What occurs in a room is found by one index probe each: the smallest, then the smallest beyond it, and so on.

/** The types that occur in rooms, at most one more than `maxProbedTypes` of each. */
export async function typesInRooms(
  connection: Connection,
  roomIds: readonly string[],
): Promise<(TypeName & { roomId: string })[]> {
  const next = "SELECT (event.state_key IS NULL) AS message, event.type FROM event WHERE event.room_id = room.room_id";
  const inOrder = "ORDER BY (event.state_key IS NULL), event.type LIMIT 1";
  return query(
    connection,
    `SELECT room.room_id AS "roomId", found.message, found.type FROM unnest($1::text[]) AS room(room_id)
     CROSS JOIN LATERAL (
       WITH RECURSIVE walk AS (
         (${next} ${inOrder})
         UNION ALL
         SELECT following.* FROM walk CROSS JOIN LATERAL (
           ${next} AND ((event.state_key IS NULL), event.type) > (walk.message, walk.type) ${inOrder}
         ) AS following
       )
       SELECT * FROM walk LIMIT ${maxProbedTypes + 1}
     ) AS found`,
    roomIds,
  );
}

/** The senders of rooms, at most one more than `maxSenders` of each. */
export async function sendersInRooms(
  connection: Connection,
  roomIds: readonly string[],
): Promise<{ roomId: string; sender: string }[]> {
  const next = "SELECT event.sender FROM event WHERE event.room_id = room.room_id";
  return query(
    connection,
    `SELECT room.room_id AS "roomId", found.sender FROM unnest($1::text[]) AS room(room_id)
     CROSS JOIN LATERAL (
       WITH RECURSIVE walk AS (
         (${next} ORDER BY event.sender LIMIT 1)
         UNION ALL
         SELECT following.* FROM walk CROSS JOIN LATERAL (
           ${next} AND event.sender > walk.sender ORDER BY event.sender LIMIT 1
         ) AS following
       )
       SELECT * FROM walk LIMIT ${maxSenders + 1}
     ) AS found`,
    roomIds,
  );
}

/** The types that these senders used in these rooms. */
export async function typesOfSenders(
  connection: Connection,
  rooms: readonly { roomId: string; senders: readonly string[] }[],
): Promise<(TypeOfSender & { roomId: string })[]> {
  const pairs = rooms.flatMap(({ roomId, senders }) => senders.map((sender) => ({ roomId, sender })));
  if (pairs.length === 0) return [];
  const next = (beyond: string): string =>
    `SELECT event.sender, (event.state_key IS NULL) AS message, event.type FROM event
     WHERE event.room_id = pair.room_id AND (event.sender, (event.state_key IS NULL), event.type) > (${beyond})
     ORDER BY event.sender, (event.state_key IS NULL), event.type LIMIT 1`;
  return query(
    connection,
    `SELECT pair.room_id AS "roomId", found.sender, found.message, found.type
     FROM unnest($1::text[], $2::text[]) AS pair(room_id, sender)
     CROSS JOIN LATERAL (
       WITH RECURSIVE walk AS (
         SELECT first.* FROM (${next("pair.sender, false, ''")}) AS first WHERE first.sender = pair.sender
         UNION ALL
         SELECT following.* FROM walk
         CROSS JOIN LATERAL (${next("walk.sender, walk.message, walk.type")}) AS following
         WHERE following.sender = pair.sender
       )
       SELECT * FROM walk LIMIT ${maxProbedTypes + 1}
     ) AS found`,
    pairs.map(({ roomId }) => roomId),
    pairs.map(({ sender }) => sender),
  );
}
