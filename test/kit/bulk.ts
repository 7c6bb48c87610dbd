import { sql } from "./database.ts";

/** The room that has most of the data, and a user who is joined to every room. */
export const largeRoom = "!large:localhost";
export const reader = "@reader:localhost";
/** The snapshot of all rooms, which are published. It holds until a second after the epoch. */
export const snapshot = "snapshot";
/** The id of the event at a position, and of one that every hundredth event replies to. */
export const idAt = (position: number): string => `$${position}`;
export const popular = 14;
/** Where a part of the data begins: each has a hundred numbers. */
const hundred = 100;

/**
 * Data for `first` ≤ n < `end`, both multiples of a hundred, by plain SQL: each hundred has a room of its own of twenty
 * events, and eighty events in the large room, by many senders. Among those are two new members, ten edits, ten reactions,
 * one reply to the popular event, and one redaction. Positions are the numbers; PostgreSQL isn't told of what has grown.
 */
export async function addBulk(url: string, first: number, end: number): Promise<void> {
  const numbers = "FROM generate_series($1::integer, $2::integer - 1) AS n";
  const small = `'!room' || n / ${hundred} || ':localhost'`;
  const each = async (text: string): Promise<void> => void (await sql(url, text, [first, end]));
  await each(
    `INSERT INTO room (room_id, creator, created_at, auth_version, published)
     SELECT CASE WHEN n = 0 THEN '${largeRoom}' ELSE ${small} END, '@member0:localhost', now(), 1, true ${numbers}
     WHERE n % ${hundred} = 10 OR n = 0`,
  );
  await each(
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content, updates_id,
       relates_to, redacts_id, redacted_by_id)
     SELECT n, '$' || n, CASE WHEN n % 5 = 0 AND n > 0 THEN ${small} ELSE '${largeRoom}' END, n, '',
       CASE WHEN n = 0 THEN 'm.room.create' WHEN n % ${hundred} = 15 THEN 'm.room.name'
         WHEN n = 1 OR n % ${hundred} = 10 OR n % 50 = 1 THEN 'm.room.member'
         WHEN n % 10 = 3 THEN 'm.reaction' WHEN n % ${hundred} = 7 THEN 'm.room.redaction' ELSE 'm.room.message' END,
       CASE WHEN n = 0 OR n % ${hundred} = 15 THEN '_' WHEN n = 1 OR n % ${hundred} = 10 THEN '${reader}'
         WHEN n % 50 = 1 THEN '@member' || n || ':localhost' END,
       '@member' || n % 50 || ':localhost', n,
       CASE WHEN n = 1 OR n % ${hundred} = 10 OR n % 50 = 1 THEN '{"membership":"join"}' ELSE '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}' END,
       CASE WHEN n % 10 = 2 AND n > 10 THEN '$' || n - 8 END,
       CASE WHEN n % 10 = 3 AND n > 10 THEN '[{"event_id":"$' || n - 9 || '","key":"+1","type":"m.annotation"}]'
         WHEN n % ${hundred} = 26 THEN '[{"event_id":"$${popular}","type":"m.thread"}]' END,
       CASE WHEN n % ${hundred} = 7 THEN '$' || n - 3 END,
       CASE WHEN n % ${hundred} = 4 THEN '$' || n + 3 END
     ${numbers}`,
  );
  await each(
    `INSERT INTO relation (parent_id, type, major, minor, child_id, room_id, key)
     SELECT CASE WHEN n % 10 = 3 THEN '$' || n - 9 ELSE '$${popular}' END,
       CASE WHEN n % 10 = 3 THEN 'm.annotation' ELSE 'm.thread' END, n, '', '$' || n, '${largeRoom}',
       CASE WHEN n % 10 = 3 THEN '+1' END
     ${numbers} WHERE (n % 10 = 3 AND n > 10) OR n % ${hundred} = 26`,
  );
  await each(
    `INSERT INTO current_state (room_id, type, state_key, position, event_id, deleted)
     SELECT room_id, type, state_key, position, event_id, false FROM event
     WHERE position >= $1 AND position < $2 AND state_key IS NOT NULL`,
  );
  const joins = "FROM event WHERE position >= $1 AND position < $2 AND type = 'm.room.member'";
  await each(
    `INSERT INTO member (room_id, user_id, membership, position, event_id)
     SELECT room_id, state_key, 'join', position, event_id ${joins}`,
  );
  await each(
    `INSERT INTO membership_period (room_id, user_id, from_position, membership)
     SELECT room_id, state_key, position, 'join' ${joins}`,
  );
  await each(
    `INSERT INTO visibility_period (room_id, from_position, visibility)
     SELECT CASE WHEN n = 0 THEN '${largeRoom}' ELSE ${small} END, n, 'shared' ${numbers} WHERE n % ${hundred} = 10 OR n = 0`,
  );
  await each(
    `INSERT INTO marker (room_id, user_id, kind, event_id, major, minor, position, set_at, move_id)
     SELECT room_id, state_key, 'read', event_id, major, minor, position, now(), '$move' || position ${joins}`,
  );
  await each(`INSERT INTO account (user_id) SELECT '@member' || n || ':localhost' ${numbers} WHERE n % 50 = 1`);
  await each(
    `INSERT INTO profile (user_id, key, value)
     SELECT '@member' || n || ':localhost', 'displayname', '"Member"' ${numbers} WHERE n % 50 = 1`,
  );
  await each(
    `INSERT INTO room_alias (alias, room_id, creator) SELECT '#alias' || n || ':localhost', ${small}, '@a' ${numbers}
     WHERE n % ${hundred} = 10`,
  );
  await sql(
    url,
    `INSERT INTO published_snapshot (id, search, slot, version, taken_by, total, room_ids, expires_at)
     SELECT '${snapshot}', '', 0, 0, '${reader}', count(*), array_agg(id ORDER BY id), to_timestamp(1) FROM published_room
     ON CONFLICT (id) DO UPDATE SET total = excluded.total, room_ids = excluded.room_ids`,
  );
}
