import type { Membership } from "../model/content/typed.ts";
import { query, type Connection } from "./database.ts";

/** A deletion that a process has taken up. */
export interface ClaimedDeletion {
  userId: string;
  /** Whether what the user sent is redacted, too. */
  erase: boolean;
  /** Proves that nobody else has taken it up since. */
  claim: number;
}

/** Deletes an account, see `delete_account` in the migrations; gives the tokens that hold no longer, null: no such account. */
export async function deleteAccount(connection: Connection, userId: string, erase: boolean): Promise<string[] | null> {
  const [row] = await query<{ tokens: string[] | null }>(
    connection,
    "SELECT delete_account($1, $2) AS tokens",
    userId,
    erase,
  );
  return row!.tokens;
}

/** Holds an account, deleted or not, until the transaction ends; gives its password's hash, or null: no such account. */
export async function holdForDeletion(
  connection: Connection,
  userId: string,
): Promise<{ passwordHash: string | null } | null> {
  const [row] = await query<{ password_hash: string | null }>(
    connection,
    "SELECT password_hash FROM account WHERE user_id = $1 FOR NO KEY UPDATE",
    userId,
  );
  return row ? { passwordHash: row.password_hash } : null;
}

/** Takes up a deletion that is due, for `leaseMs`; null when there is none. By the database's clock, as all that follows. */
export async function claimDeletion(connection: Connection, leaseMs: number): Promise<ClaimedDeletion | null> {
  const [row] = await query<{ user_id: string; erase: boolean; claim: number }>(
    connection,
    `UPDATE account_deletion SET claim = claim + 1, due_at = now() + $1::float8 * interval '1 millisecond'
     WHERE user_id = (SELECT user_id FROM account_deletion WHERE due_at <= now() ORDER BY due_at, user_id LIMIT 1
       FOR UPDATE SKIP LOCKED)
     RETURNING user_id, erase, claim::float8 AS claim`,
    leaseMs,
  );
  return row ? { userId: row.user_id, erase: row.erase, claim: row.claim } : null;
}

/** Puts off when others may take it up; false when somebody has, or it was asked for anew. */
export async function putOffDeletion(
  connection: Connection,
  { userId, claim }: ClaimedDeletion,
  byMs: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    `UPDATE account_deletion SET due_at = now() + $3::float8 * interval '1 millisecond'
     WHERE user_id = $1 AND claim = $2::bigint RETURNING user_id`,
    userId,
    claim,
    byMs,
  );
  return rows.length === 1;
}

/** Notes that all was done: it is over once `settleMs` have passed since it was asked for, until then it is due again. */
export async function settleDeletion(
  connection: Connection,
  { userId, claim }: ClaimedDeletion,
  settleMs: number,
): Promise<void> {
  await query(
    connection,
    `WITH settled AS (
       DELETE FROM account_deletion WHERE user_id = $1 AND claim = $2::bigint
         AND requested_at + $3::float8 * interval '1 millisecond' <= now() RETURNING user_id)
     UPDATE account_deletion SET due_at = requested_at + $3::float8 * interval '1 millisecond'
     WHERE user_id = $1 AND claim = $2::bigint AND NOT EXISTS (SELECT FROM settled) RETURNING user_id`,
    userId,
    claim,
    settleMs,
  );
}

/** Deletes what requests that were under way have left of a deleted account; see `forget_user` in the migrations. */
export async function forgetUser(connection: Connection, userId: string): Promise<void> {
  await query(connection, "SELECT forget_user($1)::text", userId);
}

/** Forgets up to `limit` outcomes of a user's actions; gives how many there were. */
export async function forgetActions(connection: Connection, userId: string, limit: number): Promise<number> {
  return connection.$executeRawUnsafe(
    `DELETE FROM action WHERE user_id = $1 AND ctid IN (SELECT ctid FROM action WHERE user_id = $1 LIMIT $2::integer)`,
    userId,
    limit,
  );
}

/** Forgets the calls of a user, which have ended. */
export async function forgetCalls(connection: Connection, userId: string): Promise<void> {
  await connection.call.deleteMany({ where: { OR: [{ caller: userId }, { callee: userId }], state: "ENDED" } });
}

/** Up to `limit` rooms after one, in order, that a user is in, invited to, or knocking at; deleted ones aside. */
export async function roomsToLeave(
  connection: Connection,
  userId: string,
  after: string,
  limit: number,
): Promise<{ roomId: string; membership: Membership }[]> {
  return query(
    connection,
    `SELECT member.room_id AS "roomId", member.membership FROM member JOIN room USING (room_id)
     WHERE member.user_id = $1 AND member.membership IN ('join', 'invite', 'knock') AND member.room_id > $2
       AND room.deleted_at IS NULL
     ORDER BY member.room_id LIMIT $3::integer`,
    userId,
    after,
    limit,
  );
}

/** Up to `limit` rooms after one, in order, in which a user ever had a membership; deleted ones aside. */
export async function roomsOnceEntered(
  connection: Connection,
  userId: string,
  after: string,
  limit: number,
): Promise<string[]> {
  const rows = await query<{ room_id: string }>(
    connection,
    `SELECT DISTINCT period.room_id FROM membership_period AS period JOIN room USING (room_id)
     WHERE period.user_id = $1 AND period.room_id > $2 AND room.deleted_at IS NULL
     ORDER BY period.room_id LIMIT $3::integer`,
    userId,
    after,
    limit,
  );
  return rows.map((row) => row.room_id);
}

/** A place in a walk through what a user sent to a room, in the order of `event_sender_order`. */
export interface WalkPlace {
  message: boolean;
  type: string;
  major: number;
  /** Hexadecimal. */
  minor: string;
}

/** Before everything. */
export const walkStart: WalkPlace = { message: false, type: "", major: 0, minor: "" };

/** SQL of that order, of the condition to come after the place that `$3` to `$6` hold, and what these are. */
export const walkOrder = "(event.state_key IS NULL), event.type, event.major, event.minor";
export const beyondPlace = `(${walkOrder}) > ($3::boolean, $4::text, $5::bigint, decode($6, 'hex'))`;

export function placeValues({ message, type, major, minor }: WalkPlace): unknown[] {
  return [message, type, major, minor];
}

/** An event that a user sent and that tells more than that it was there. */
export interface TellingEvent {
  eventId: string;
  position: number;
  place: WalkPlace;
  /** False for what can't be redacted, or needn't be. */
  redact: boolean;
}

/** State that says who may do what can't be redacted: the room would be without it. */
const governs = `state_key IS NOT NULL AND type IN ('m.room.create', 'm.room.member', 'm.room.power_levels',
  'm.room.join_rules', 'm.room.history_visibility')`;
const redactable = `redacted_by_id IS NULL AND content IS NOT NULL AND NOT (${governs})
  AND NOT (type = 'm.room.redaction' AND content = '{}')`;
/** A membership with a reason or anything else that somebody wrote. */
const wordy = `state_key IS NOT NULL AND type = 'm.room.member' AND content IS NOT NULL
  AND content NOT IN ('{}', '{"membership":"join"}', '{"membership":"leave"}', '{"membership":"invite"}',
    '{"membership":"ban"}', '{"membership":"knock"}')`;

/** Up to `limit` events that a user sent to a room, after a place, and that still tell something. */
export async function tellingEvents(
  connection: Connection,
  { roomId, sender, after, limit }: { roomId: string; sender: string; after: WalkPlace; limit: number },
): Promise<TellingEvent[]> {
  const rows = await query<WalkPlace & { eventId: string; position: number; redact: boolean }>(
    connection,
    `SELECT event_id AS "eventId", position::float8 AS position, state_key IS NULL AS message, type,
       major::float8 AS major, encode(minor, 'hex') AS minor, ${redactable} AS redact
     FROM event WHERE room_id = $1 AND sender = $2
       AND ${beyondPlace} AND (${redactable} OR action_device IS NOT NULL OR ${wordy})
     ORDER BY ${walkOrder} LIMIT $7::integer`,
    ...[roomId, sender, ...placeValues(after), limit],
  );
  return rows.map(({ eventId, position, redact, ...place }) => ({ eventId, position, place, redact }));
}

/** Takes from events which device sent them under which action id, and from memberships the reasons. */
export async function stripEvents(connection: Connection, positions: readonly number[]): Promise<void> {
  await connection.$executeRawUnsafe(
    `UPDATE event SET action_user = NULL, action_device = NULL, action_id = NULL,
       content = CASE WHEN ${wordy} THEN format('{"membership":%s}', content::jsonb -> 'membership') ELSE content END
     WHERE position = ANY ($1::bigint[])`,
    positions,
  );
}

/** Up to `limit` events that are a user's profile in a room and that still tell something, the newest first. [PRO-3] */
export async function tellingProfiles(
  connection: Connection,
  roomId: string,
  userId: string,
  limit: number,
): Promise<string[]> {
  const rows = await query<{ event_id: string }>(
    connection,
    `SELECT event_id FROM event WHERE room_id = $1 AND type = 'm.room.member.profile' AND state_key = $2
       AND in_force AND redacted_by_id IS NULL AND content IS NOT NULL
     ORDER BY major DESC, minor DESC LIMIT $3::integer`,
    roomId,
    userId,
    limit,
  );
  return rows.map((row) => row.event_id);
}

/** Those of these events that aren't redacted yet, with all their edits by the same senders. */
export async function withEdits(connection: Connection, eventIds: readonly string[]): Promise<string[]> {
  const rows = await query<{ event_id: string }>(
    connection,
    `WITH RECURSIVE family AS (
       SELECT event.event_id, event.sender FROM unnest($1::text[]) AS named(event_id)
       CROSS JOIN LATERAL (SELECT * FROM event WHERE event.event_id = named.event_id LIMIT 1) AS event
       WHERE event.redacted_by_id IS NULL
       UNION
       SELECT edit.event_id, edit.sender FROM family
       JOIN event AS edit ON edit.updates_id = family.event_id AND edit.sender = family.sender
       WHERE edit.redacted_by_id IS NULL
     ) SELECT event_id FROM family`,
    eventIds,
  );
  return rows.map((row) => row.event_id);
}
