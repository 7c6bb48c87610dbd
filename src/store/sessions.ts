import type { PresenceSetting } from "../model/presence.ts";
import type { LiveSession } from "../model/session.ts";
import { query, type Connection } from "./database.ts";
import type { SessionsNotice } from "./notifications.ts";

const milliseconds = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;
const columns = `session.user_id AS "userId", session.device_id AS "deviceId", session.session_id AS "sessionId",
  session.token_id AS "tokenId", ${milliseconds("session.started_at")} AS "startedAt",
  ${milliseconds("session.expires_at")} AS "expiresAt", ${milliseconds("session.active_at")} AS "activeAt",
  session.presence, session.capabilities`;
const at = (parameter: string): string => `to_timestamp(${parameter}::float8 / 1000)`;

export interface StartedSession {
  session: LiveSession;
  /** There was one that had expired, which nobody has ended yet. */
  replaced: boolean;
}

/**
 * The device's session, which begins if there is none or it has expired; one statement, so that of many who ask at once
 * all get the same. `sessionId` is the id of one that begins. [SES-1]
 */
export async function startSession(
  connection: Connection,
  given: Pick<LiveSession, "userId" | "deviceId" | "tokenId" | "sessionId" | "expiresAt"> & { now: number },
): Promise<StartedSession> {
  const unless = (column: string, otherwise: string): string =>
    `${column} = CASE WHEN session.expires_at <= ${at("$5")} THEN ${otherwise} ELSE session.${column} END`;
  const [row] = await query<LiveSession & { known: boolean }>(
    connection,
    `INSERT INTO session (user_id, device_id, token_id, session_id, started_at, active_at, expires_at)
     VALUES ($1, $2, $3, $4, ${at("$5")}, ${at("$5")}, ${at("$6")})
     ON CONFLICT (user_id, device_id) DO UPDATE SET
       ${unless("session_id", "excluded.session_id")}, ${unless("started_at", "excluded.started_at")},
       ${unless("presence", "NULL")}, ${unless("capabilities", "NULL")},
       token_id = excluded.token_id, active_at = excluded.active_at,
       expires_at = greatest(session.expires_at, excluded.expires_at)
     RETURNING ${columns}, xmax <> 0 AS known`,
    given.userId,
    given.deviceId,
    given.tokenId,
    given.sessionId,
    given.now,
    given.expiresAt,
  );
  const { known, ...session } = row!;
  return { session, replaced: known && session.sessionId === given.sessionId };
}

/** Puts off the end of sessions to `lastsMs` after they were used; gives the ids of those that are still there. */
export async function renewSessions(
  connection: Connection,
  sessions: readonly Pick<LiveSession, "sessionId" | "activeAt">[],
  lastsMs: number,
): Promise<string[]> {
  const rows = await query<{ id: string }>(
    connection,
    // Another process may have seen it used later.
    `UPDATE session SET active_at = greatest(session.active_at, ${at("used.active_at")}),
       expires_at = greatest(session.expires_at, ${at("(used.active_at + $3)")})
     FROM unnest($1::text[], $2::float8[]) AS used(session_id, active_at)
     WHERE session.session_id = used.session_id RETURNING session.session_id AS id`,
    sessions.map(({ sessionId }) => sessionId),
    sessions.map(({ activeAt }) => activeAt),
    lastsMs,
  );
  return rows.map(({ id }) => id);
}

/** Writes what devices say of themselves, for other processes; one statement. */
export async function writePresences(
  connection: Connection,
  sessions: readonly Pick<LiveSession, "sessionId" | "activeAt" | "presence" | "capabilities">[],
): Promise<void> {
  await query(
    connection,
    `UPDATE session SET presence = said.presence, capabilities = said.capabilities, active_at = ${at("said.active_at")}
     FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[]) AS said(session_id, presence, capabilities, active_at)
     WHERE session.session_id = said.session_id`,
    sessions.map(({ sessionId }) => sessionId),
    sessions.map(({ presence }) => presence),
    sessions.map(({ capabilities }) => capabilities),
    sessions.map(({ activeAt }) => activeAt),
  );
}

export type EndingSessions =
  { sessionId: string } | { tokenIds: readonly string[] } | { userId: string } | { expiredAt: number };
export type EndedSession = Pick<LiveSession, "userId" | "deviceId" | "sessionId">;

/** Ends sessions; each is given to one caller only, however many end it at once. */
export function endSessions(connection: Connection, which: EndingSessions): Promise<EndedSession[]> {
  const [condition, value] =
    "sessionId" in which
      ? ["session_id = $1", which.sessionId]
      : "tokenIds" in which
        ? ["token_id = ANY ($1::text[])", which.tokenIds]
        : "userId" in which
          ? ["user_id = $1", which.userId]
          : [`expires_at <= ${at("$1")}`, which.expiredAt];
  return query<EndedSession>(
    connection,
    `DELETE FROM session WHERE ${condition} RETURNING user_id AS "userId", device_id AS "deviceId", session_id AS "sessionId"`,
    value,
  );
}

/** Sessions that have not expired: of these users, or all. */
export function sessionsOf(
  connection: Connection,
  userIds: readonly string[] | null,
  now: number,
): Promise<LiveSession[]> {
  const named = userIds === null ? "" : "AND session.user_id = ANY ($2::text[])";
  return query<LiveSession>(
    connection,
    `SELECT ${columns} FROM session WHERE session.expires_at > ${at("$1")} ${named}`,
    now,
    ...(userIds === null ? [] : [userIds]),
  );
}

/** Tells the other processes whose sessions have changed, and who has set something; many users in several notices. */
export async function notifySessions(
  connection: Connection,
  from: string,
  { users, set }: Pick<SessionsNotice, "users" | "set">,
): Promise<void> {
  const notices = [
    ...inPieces(users).map((piece): SessionsNotice => ({ process: from, users: piece, set: [] })),
    ...inPieces(set).map((piece): SessionsNotice => ({ process: from, users: [], set: piece })),
  ];
  for (const notice of notices) {
    await query(connection, "SELECT pg_notify('hearth_sessions', $1)::text", JSON.stringify(notice));
  }
}

/** A notification holds up to 8,000 bytes, and a user id 255. */
function inPieces(userIds: readonly string[]): string[][] {
  const count = Math.ceil(userIds.length / 25);
  return Array.from({ length: count }, (_, index) => userIds.slice(25 * index, 25 * (index + 1)));
}

/** What users have set about their presence; one statement. [PRE-1] */
export async function presenceSettings(
  connection: Connection,
  userIds: readonly string[],
): Promise<Map<string, PresenceSetting>> {
  const rows = await query<PresenceSetting & { userId: string }>(
    connection,
    `SELECT user_id AS "userId", status_text AS status, appear_offline AS "appearOffline"
     FROM account WHERE user_id = ANY ($1::text[])`,
    userIds,
  );
  return new Map(rows.map(({ userId, status, appearOffline }) => [userId, { status, appearOffline }]));
}

export async function writePresenceSetting(
  connection: Connection,
  userId: string,
  changed: Partial<PresenceSetting>,
): Promise<void> {
  const { status, appearOffline } = changed;
  await connection.account.updateMany({
    // What a deleted account had under way is not written any more.
    where: { userId, deletedAt: null },
    data: {
      ...(status === undefined ? {} : { statusText: status }),
      ...(appearOffline === undefined ? {} : { appearOffline }),
    },
  });
}
