import type { Call, CallEndReason, CallParty, CallState } from "../model/call.ts";
import { isFound, query, type Connection } from "./database.ts";

interface CallRow {
  call_id: string;
  room_id: string;
  caller: string;
  caller_device: string;
  callee: string;
  state: CallState;
  parties: string;
  accepted_user: string | null;
  accepted_device: string | null;
  created_at: number;
  expires_at: number | null;
  ended_reason: CallEndReason | null;
  revision: number;
}

const callColumns = `call.call_id, call.room_id, call.caller, call.caller_device, call.callee, call.state, call.parties,
  call.accepted_user, call.accepted_device, (extract(epoch FROM call.created_at) * 1000)::float8 AS created_at,
  (extract(epoch FROM call.expires_at) * 1000)::float8 AS expires_at, call.ended_reason, call.revision`;

function callOfRow(row: CallRow): Call {
  const { accepted_user: userId, accepted_device: deviceId } = row;
  return {
    callId: row.call_id,
    roomId: row.room_id,
    caller: row.caller,
    callerDevice: row.caller_device,
    callee: row.callee,
    state: row.state,
    parties: JSON.parse(row.parties) as CallParty[],
    acceptedBy: userId === null || deviceId === null ? null : { userId, deviceId },
    createdAt: Math.round(row.created_at),
    expiresAt: row.expires_at === null ? null : Math.round(row.expires_at),
    endedReason: row.ended_reason,
    revision: row.revision,
  };
}

async function calls(connection: Connection, text: string, ...values: unknown[]): Promise<Call[]> {
  return (await query<CallRow>(connection, text, ...values)).map(callOfRow);
}

/** Calls by id, in no particular order. */
export function callsById(connection: Connection, callIds: readonly string[]): Promise<Call[]> {
  return calls(connection, `SELECT ${callColumns} FROM call WHERE call_id = ANY ($1::text[])`, callIds);
}

/** The calls of rooms that haven't ended. */
export function liveCallsIn(connection: Connection, roomIds: readonly string[]): Promise<Call[]> {
  return calls(
    connection,
    `SELECT ${callColumns} FROM call WHERE room_id = ANY ($1::text[]) AND state <> 'ENDED'`,
    roomIds,
  );
}

/**
 * The calls that a user placed or gets and that haven't ended; with `position`, those also that had not ended there. The
 * oldest first.
 */
export async function liveCallsOf(
  connection: Connection,
  userId: string,
  position: number | null = null,
): Promise<Call[]> {
  const found = await calls(
    connection,
    `SELECT ${callColumns} FROM call WHERE caller = $1 AND state <> 'ENDED'
     UNION ALL SELECT ${callColumns} FROM call WHERE callee = $1 AND state <> 'ENDED'
     UNION ALL SELECT ${callColumns} FROM call WHERE ended_position > $2::bigint AND $1 IN (caller, callee)`,
    userId,
    position ?? Number.MAX_SAFE_INTEGER,
  );
  return found.sort((a, b) => a.createdAt - b.createdAt);
}

/** Up to `limit` calls whose invite lapsed up to `now`, in milliseconds since the epoch; the first to lapse first. [VOIP-5] */
export function lapsedCalls(connection: Connection, now: number, limit: number): Promise<Call[]> {
  return calls(
    connection,
    `SELECT ${callColumns} FROM call WHERE expires_at <= to_timestamp($1::float8 / 1000) ORDER BY expires_at LIMIT $2::integer`,
    now,
    limit,
  );
}

/** When the next invite lapses, in milliseconds since the epoch; null when none does. */
export async function nextLapse(connection: Connection): Promise<number | null> {
  const [row] = await query<{ at: number }>(
    connection,
    `SELECT (extract(epoch FROM expires_at) * 1000)::float8 AS at FROM call WHERE expires_at IS NOT NULL
     ORDER BY expires_at LIMIT 1`,
  );
  return row ? Math.round(row.at) : null;
}

/**
 * Calls that go on though the caller isn't in the room any more, or the callee neither in it nor invited: of these rooms,
 * or of all.
 */
export function desertedCalls(connection: Connection, roomIds: readonly string[] | null): Promise<Call[]> {
  const present = (user: string, memberships: string): string =>
    isFound(
      `FROM member WHERE member.room_id = call.room_id AND member.user_id = ${user} AND membership IN (${memberships})`,
    );
  const deserted = `SELECT ${callColumns} FROM call WHERE state <> 'ENDED'
    AND NOT (${present("call.caller", "'join'")} AND ${present("call.callee", "'join', 'invite'")})`;
  if (roomIds === null) return calls(connection, deserted);
  return calls(connection, `${deserted} AND room_id = ANY ($1::text[])`, roomIds);
}

/** Changes who answered or rejected; see `set_call_parties` in the migrations. False when the call was moved meanwhile. */
export async function setParties(connection: Connection, { callId, parties, state, revision }: Call): Promise<boolean> {
  const [row] = await query<{ done: boolean }>(
    connection,
    "SELECT set_call_parties($1, $2::integer, $3, $4) AS done",
    callId,
    revision,
    JSON.stringify(parties),
    state,
  );
  return row!.done;
}

/** The users that are joined to a room or invited, up to `limit`. */
export async function partiesOfRoom(connection: Connection, roomId: string, limit: number): Promise<string[]> {
  const rows = await query<{ user_id: string }>(
    connection,
    `SELECT user_id FROM member WHERE room_id = $1 AND membership IN ('join', 'invite') LIMIT $2::integer`,
    roomId,
    limit,
  );
  return rows.map((row) => row.user_id);
}
