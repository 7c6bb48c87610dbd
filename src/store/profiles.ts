import { contentOf, type StoredEvent } from "../model/event.ts";
import { profileType, type Profile } from "../model/profile.ts";
import { query, type Connection } from "./database.ts";
import { endless, stateInSlots } from "./state.ts";

/** What a room shows of a user, and what it should show: their global profile. */
export interface ProfileInRoom {
  roomId: string;
  /** The event that holds the room's slot; null for none, and for one that was redacted. */
  holder: string | null;
  /** Its content; null where there is none. */
  shown: Profile | null;
}

/** Global profiles as stored: one row per user and key, values as canonical JSON. [PRO-1] */
export async function profilesOf(
  connection: Connection,
  userIds: readonly string[],
): Promise<{ userId: string; key: string; value: string }[]> {
  return query(
    connection,
    `SELECT user_id AS "userId", key, value FROM profile WHERE user_id = ANY ($1::text[])`,
    userIds,
  );
}

/** A user's global profile. [PRO-1] */
export async function globalProfile(connection: Connection, userId: string): Promise<Profile> {
  const rows = await profilesOf(connection, [userId]);
  return Object.fromEntries(rows.map(({ key, value }) => [key, JSON.parse(value) as unknown]));
}

/** What rooms show of a user; one statement. [PRO-3] */
export async function profileInRooms(
  connection: Connection,
  userId: string,
  roomIds: readonly string[],
): Promise<ProfileInRoom[]> {
  const slots = roomIds.map((roomId) => ({ roomId, type: profileType, stateKey: userId, at: endless }));
  const events = await stateInSlots(connection, slots);
  const held = new Map(events.filter(isWhole).map((event) => [event.roomId, event]));
  return roomIds.map((roomId) => {
    const event = held.get(roomId);
    return { roomId, holder: event?.eventId ?? null, shown: event === undefined ? null : contentOf(event) };
  });
}

function isWhole({ redactedById }: StoredEvent): boolean {
  return redactedById === null;
}

/** Sets a key of a global profile to canonical JSON, or removes it. */
export async function writeProfileKey(
  connection: Connection,
  { userId, key, value }: { userId: string; key: string; value: string | null },
): Promise<void> {
  if (value === null) {
    await query(connection, "DELETE FROM profile WHERE user_id = $1 AND key = $2 RETURNING key", userId, key);
    return;
  }
  await query(
    connection,
    `INSERT INTO profile (user_id, key, value) VALUES ($1, $2, $3)
     ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value RETURNING key`,
    userId,
    key,
    value,
  );
}

/** A change of somebody's global profile that is on its way to their rooms. */
export interface SpreadingChange {
  userId: string;
  version: number;
  deviceId: string;
  actionId: string | null;
  suppressed: boolean;
  /** All rooms were gone through before: this is the last look. */
  reached: boolean;
}

const changeColumns = `user_id AS "userId", version::float8 AS version, device_id AS "deviceId", action_id AS "actionId",
  suppressed, reached`;
const fromNow = (parameter: string): string => `now() + ${parameter}::float8 * interval '1 millisecond'`;

/** Notes that a user's rooms are to show their changed profile. */
export async function noteProfileChange(
  connection: Connection,
  change: Pick<SpreadingChange, "userId" | "deviceId" | "actionId" | "suppressed">,
): Promise<void> {
  await query(
    connection,
    `INSERT INTO profile_change (user_id, version, device_id, action_id, suppressed, lease_until)
     VALUES ($1, 1, $2, $3, $4, now())
     ON CONFLICT (user_id) DO UPDATE SET version = profile_change.version + 1, device_id = excluded.device_id,
       action_id = excluded.action_id, suppressed = excluded.suppressed, reached = false,
       lease_until = CASE WHEN profile_change.reached THEN now() ELSE profile_change.lease_until END
     RETURNING user_id`,
    change.userId,
    change.deviceId,
    change.actionId,
    change.suppressed,
  );
}

/** Takes a user's change for `leaseMs`; null when there is none, or another process has it. By the database's clock. */
export async function takeProfileChange(
  connection: Connection,
  userId: string,
  leaseMs: number,
): Promise<SpreadingChange | null> {
  const [row] = await query<SpreadingChange>(
    connection,
    `UPDATE profile_change SET lease_until = ${fromNow("$2")} WHERE user_id = $1 AND lease_until <= now()
     RETURNING ${changeColumns}`,
    userId,
    leaseMs,
  );
  return row ?? null;
}

/** Keeps a change for another `leaseMs`, with 0 gives it back as it is; false when it was superseded, or is gone. */
export async function keepProfileChange(
  connection: Connection,
  { userId, version }: SpreadingChange,
  leaseMs: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    `UPDATE profile_change SET lease_until = ${fromNow("$3")} WHERE user_id = $1 AND version = $2::bigint
     RETURNING user_id`,
    userId,
    version,
    leaseMs,
  );
  return rows.length > 0;
}

/** Gives a change back: to be looked at once more after `againMs`, or with null for good. A newer one is free at once. */
export async function settleProfileChange(
  connection: Connection,
  { userId, version }: SpreadingChange,
  againMs: number | null,
): Promise<void> {
  await query(
    connection,
    `WITH settled AS (
       DELETE FROM profile_change WHERE user_id = $1 AND version = $2::bigint AND $3::float8 IS NULL RETURNING user_id)
     UPDATE profile_change SET reached = (version = $2::bigint),
       lease_until = CASE WHEN version = $2::bigint THEN ${fromNow("$3")} ELSE now() END
     WHERE user_id = $1 AND NOT EXISTS (SELECT FROM settled) RETURNING user_id`,
    userId,
    version,
    againMs,
  );
}

/** Users with changes that nobody is working on, up to `limit`. */
export async function waitingProfileChanges(connection: Connection, limit: number): Promise<string[]> {
  const rows = await query<{ user_id: string }>(
    connection,
    "SELECT user_id FROM profile_change WHERE lease_until <= now() ORDER BY lease_until LIMIT $1::integer",
    limit,
  );
  return rows.map((row) => row.user_id);
}
