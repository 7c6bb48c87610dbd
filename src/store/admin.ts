import type { UserAccountShape } from "../model/account.ts";
import { query, type Connection } from "./database.ts";

/** Which accounts admins ask for. */
export interface AccountsRequest {
  /** Part of the user id; null: all. */
  search: string | null;
  deactivated: boolean;
}

interface Row {
  user_id: string;
  admin: boolean;
  created_at: Date;
  deactivated_at: Date | null;
  deactivation_reason: string | null;
  last_seen_at: Date | null;
  device_count: number;
}

const columns = `user_id, admin, created_at, deactivated_at, deactivation_reason,
  (SELECT max(last_seen_at) FROM device WHERE device.user_id = account.user_id) AS last_seen_at,
  (SELECT count(*)::integer FROM device WHERE device.user_id = account.user_id) AS device_count`;

const matching = `deleted_at IS NULL AND ($1::text IS NULL OR strpos(lower(user_id), lower($1)) > 0)
  AND ($2::boolean OR deactivated_at IS NULL)`;

/** Up to `limit` accounts by user id, after one. */
export async function accountPage(
  connection: Connection,
  { search, deactivated, after, limit }: AccountsRequest & { after: string | null; limit: number },
): Promise<UserAccountShape[]> {
  const rows = await query<Row>(
    connection,
    `SELECT ${columns} FROM account WHERE ${matching} AND user_id > $3 ORDER BY user_id LIMIT $4::integer`,
    search,
    deactivated,
    after ?? "",
    limit,
  );
  return rows.map(shapeOf);
}

export async function countAccounts(connection: Connection, { search, deactivated }: AccountsRequest): Promise<number> {
  const [row] = await query<{ count: number }>(
    connection,
    `SELECT count(*)::integer AS count FROM account WHERE ${matching}`,
    search,
    deactivated,
  );
  return row!.count;
}

/** One account; null when there is none, or it was deleted. */
export async function accountOf(connection: Connection, userId: string): Promise<UserAccountShape | null> {
  const [row] = await query<Row>(
    connection,
    `SELECT ${columns} FROM account WHERE user_id = $1 AND deleted_at IS NULL`,
    userId,
  );
  return row ? shapeOf(row) : null;
}

/**
 * Who is admin now and can sign in, by the store or by the settings. They are held until the transaction ends, so that two
 * admins who take each other's rights do so one after the other.
 */
export async function holdAdmins(connection: Connection, ofSettings: ReadonlySet<string>): Promise<Set<string>> {
  const rows = await query<{ user_id: string }>(
    connection,
    `SELECT user_id FROM account
     WHERE (admin OR user_id = ANY ($1::text[])) AND deleted_at IS NULL AND deactivated_at IS NULL
     ORDER BY user_id FOR NO KEY UPDATE`,
    [...ofSettings],
  );
  return new Set(rows.map((row) => row.user_id));
}

/** Shuts an account; one that is shut already keeps its time and reason. */
export async function deactivate(
  connection: Connection,
  { userId, at, reason }: { userId: string; at: Date; reason: string | null },
): Promise<void> {
  await connection.account.updateMany({
    where: { userId, deactivatedAt: null },
    data: { deactivatedAt: at, deactivationReason: reason },
  });
}

export async function reactivate(connection: Connection, userId: string): Promise<void> {
  await connection.account.updateMany({ where: { userId }, data: { deactivatedAt: null, deactivationReason: null } });
}

/** Sets a password; false for an account that has none, such as those of application services. */
export async function resetPasswordHash(connection: Connection, userId: string, hash: string): Promise<boolean> {
  const changed = await connection.account.updateMany({
    where: { userId, passwordHash: { not: null } },
    data: { passwordHash: hash },
  });
  return changed.count === 1;
}

export async function setAdmin(connection: Connection, userId: string, admin: boolean): Promise<void> {
  await connection.account.updateMany({ where: { userId }, data: { admin } });
}

/** Tells every process that a user's rights changed; sent when the transaction commits. */
export async function notifyRights(connection: Connection, userId: string): Promise<void> {
  await query(connection, "SELECT pg_notify('hearth_rights', $1)::text", JSON.stringify([userId]));
}

function shapeOf(row: Row): UserAccountShape {
  const date = (value: Date | null): Date | null => (value === null ? null : new Date(value));
  return {
    userId: row.user_id,
    admin: row.admin,
    createdAt: new Date(row.created_at),
    deactivatedAt: date(row.deactivated_at),
    deactivationReason: row.deactivation_reason,
    lastSeenAt: date(row.last_seen_at),
    deviceCount: row.device_count,
  };
}
