import type { StoredEvent } from "../model/event.ts";
import { beyondPlace, placeValues, walkOrder, type WalkPlace } from "./accountDeletion.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventOfRow, type EventRow } from "./rows.ts";

/** A document of what the store has of a user, ready to be written as JSON. */
export type Document = Record<string, unknown>;

const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
/** Milliseconds since the epoch as a time. */
const isoOf = (column: string): string => iso(`to_timestamp(${column} / 1000.0)`);

/** Rows of one statement as documents; `$1` is the user's id. */
async function documents(connection: Connection, select: string, ...values: unknown[]): Promise<Document[]> {
  const rows = await query<{ document: string }>(
    connection,
    `SELECT row_to_json(found)::text AS document FROM (${select}) AS found`,
    ...values,
  );
  return rows.map(({ document }) => JSON.parse(document) as Document);
}

/** The account, with what the user set about their presence; null when there is none. */
export async function accountDocument(connection: Connection, userId: string): Promise<Document | null> {
  const [found] = await documents(
    connection,
    `SELECT user_id, ${iso("created_at")} AS created_at, admin, password_hash IS NOT NULL AS has_password, app_service_id,
       ${iso("deactivated_at")} AS deactivated_at, deactivation_reason, status_text, appear_offline
     FROM account WHERE user_id = $1 AND deleted_at IS NULL`,
    userId,
  );
  return found ?? null;
}

/** Devices with their tokens, without secrets, their signing keys and their sessions. */
export function deviceDocuments(connection: Connection, userId: string): Promise<Document[]> {
  return documents(
    connection,
    `SELECT device_id, name, ${iso("created_at")} AS created_at, ${iso("last_seen_at")} AS last_seen_at, last_seen_ip,
       user_agent,
       (SELECT coalesce(json_agg(json_build_object('id', id, 'created_at', ${iso("token.created_at")},
          'last_used_at', ${iso("token.last_used_at")})), '[]')
        FROM access_token AS token WHERE token.user_id = device.user_id AND token.device_id = device.device_id)
         AS access_tokens,
       (SELECT coalesce(json_agg(json_build_object('key_id', key_id, 'public_key', public_key,
          'created_at', ${iso("key.created_at")})), '[]')
        FROM device_key AS key WHERE key.user_id = device.user_id AND key.device_id = device.device_id) AS signing_keys,
       (SELECT json_build_object('id', session_id, 'started_at', ${iso("started_at")}, 'active_at', ${iso("active_at")},
          'expires_at', ${iso("expires_at")}, 'presence', presence, 'capabilities', capabilities)
        FROM session WHERE session.user_id = device.user_id AND session.device_id = device.device_id) AS session
     FROM device WHERE user_id = $1 ORDER BY device.created_at, device_id`,
    userId,
  );
}

/** The keys and values of the global profile. */
export function profileDocuments(connection: Connection, userId: string): Promise<Document[]> {
  return documents(connection, "SELECT key, value::json AS value FROM profile WHERE user_id = $1 ORDER BY key", userId);
}

/** The sets of capabilities that the user's devices uploaded. */
export function capabilityDocuments(connection: Connection, userId: string): Promise<Document[]> {
  return documents(
    connection,
    `SELECT hash, set::json AS set, ${iso("uploaded_at")} AS uploaded_at FROM capability_set WHERE uploaded_by = $1
     ORDER BY capability_set.uploaded_at, hash`,
    userId,
  );
}

/** Up to `limit` of what clients kept for the user, after one. */
export function accountDataDocuments(
  connection: Connection,
  userId: string,
  after: { roomId: string; type: string },
  limit: number,
): Promise<Document[]> {
  return documents(
    connection,
    `SELECT room_id, type, content::json AS content FROM account_data
     WHERE user_id = $1 AND (room_id, type) > ($2, $3) ORDER BY room_id, type LIMIT $4::integer`,
    userId,
    after.roomId,
    after.type,
    limit,
  );
}

/** Up to `limit` aliases that the user made, after one. */
export function aliasDocuments(
  connection: Connection,
  userId: string,
  after: string,
  limit: number,
): Promise<Document[]> {
  return documents(
    connection,
    `SELECT alias, room_id, ${iso("created_at")} AS created_at FROM room_alias
     WHERE creator = $1 AND alias > $2 ORDER BY alias LIMIT $3::integer`,
    userId,
    after,
    limit,
  );
}

/** Up to `limit` calls that the user placed or was called by, after one. */
export function callDocuments(
  connection: Connection,
  userId: string,
  after: string,
  limit: number,
): Promise<Document[]> {
  return documents(
    connection,
    `SELECT call_id, room_id, caller, callee, state, ${iso("created_at")} AS created_at, ended_reason,
       CASE WHEN caller = $1 THEN caller_device END AS own_device,
       CASE WHEN accepted_user = $1 THEN accepted_device END AS own_accepted_device
     FROM call WHERE (caller = $1 OR callee = $1) AND call_id > $2 ORDER BY call_id LIMIT $3::integer`,
    userId,
    after,
    limit,
  );
}

/** Up to `limit` of what devices did under action ids, as far as the server remembers it, after one. */
export function actionDocuments(
  connection: Connection,
  userId: string,
  after: { deviceId: string; actionId: string },
  limit: number,
): Promise<Document[]> {
  return documents(
    connection,
    `SELECT device_id, action_id, event_ids, ${iso("created_at")} AS created_at FROM action
     WHERE user_id = $1 AND (device_id, action_id) > ($2, $3) ORDER BY device_id, action_id LIMIT $4::integer`,
    userId,
    after.deviceId,
    after.actionId,
    limit,
  );
}

/** Up to `limit` rooms that the user ever was in, invited to or banned from, after one; with their markers there. */
export function roomDocuments(
  connection: Connection,
  userId: string,
  after: string,
  limit: number,
): Promise<Document[]> {
  return documents(
    connection,
    `SELECT entered.room_id, room.deleted_at IS NOT NULL AS deleted, room.creator = $1 AS created_by_user,
       (SELECT membership FROM member WHERE member.room_id = entered.room_id AND member.user_id = $1) AS membership,
       (SELECT json_agg(json_build_object('membership', period.membership, 'event_id', began.event_id,
          'from', ${isoOf("began.sent_at")}, 'until', ${isoOf("ended.sent_at")}) ORDER BY period.from_position)
        FROM membership_period AS period
        LEFT JOIN event AS began ON began.position = period.from_position
        LEFT JOIN event AS ended ON ended.position = period.to_position
        WHERE period.user_id = $1 AND period.room_id = entered.room_id) AS memberships,
       (SELECT coalesce(json_agg(json_build_object('kind', kind, 'event_id', event_id, 'private', private,
          'set_at', ${iso("set_at")})), '[]')
        FROM marker WHERE marker.room_id = entered.room_id AND marker.user_id = $1) AS markers
     FROM (SELECT DISTINCT room_id FROM membership_period WHERE user_id = $1 AND room_id > $2
           ORDER BY room_id LIMIT $3::integer) AS entered
     JOIN room ON room.room_id = entered.room_id ORDER BY entered.room_id`,
    userId,
    after,
    limit,
  );
}

/** Up to `limit` events that a user sent to a room, after a place, in the order of `event_sender_order`. */
export async function sentEvents(
  connection: Connection,
  { roomId, sender, after, limit }: { roomId: string; sender: string; after: WalkPlace; limit: number },
): Promise<{ events: StoredEvent[]; last: WalkPlace | null }> {
  const rows = await query<EventRow>(
    connection,
    `SELECT ${eventColumns} FROM event WHERE event.room_id = $1 AND event.sender = $2
       AND ${beyondPlace} ORDER BY ${walkOrder} LIMIT $7::integer`,
    ...[roomId, sender, ...placeValues(after), limit],
  );
  const last = rows.at(-1);
  const place = last && { message: last.state_key === null, type: last.type, major: last.major, minor: last.minor };
  return { events: rows.map(eventOfRow), last: place ?? null };
}
