import type { Connection } from "./database.ts";
import { query } from "./database.ts";

export interface AccountRow {
  userId: string;
  passwordHash: string | null;
  admin: boolean;
  deletedAt: Date | null;
  deactivatedAt: Date | null;
}

/** Makes an account; false when the name is taken, or was once. [ACC-1, ACC-3] */
export async function insertAccount(
  connection: Connection,
  userId: string,
  passwordHash: string | null,
): Promise<boolean> {
  const created = await connection.account.createMany({ data: [{ userId, passwordHash }], skipDuplicates: true });
  return created.count === 1;
}

export async function findAccount(connection: Connection, userId: string): Promise<AccountRow | null> {
  return connection.account.findUnique({
    where: { userId },
    select: { userId: true, passwordHash: true, admin: true, deletedAt: true, deactivatedAt: true },
  });
}

/** Replaces one password hash by another; false when it is no longer the one that the account has, or the account is shut. */
export async function replacePasswordHash(
  connection: Connection,
  userId: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  const changed = await connection.account.updateMany({
    where: { userId, passwordHash: from, deletedAt: null, deactivatedAt: null },
    data: { passwordHash: to },
  });
  return changed.count === 1;
}

/**
 * An account that can be used, held until the transaction ends: who deactivates it or resets its password meanwhile waits,
 * and then finds the token that is made now. Null when there is none.
 */
export async function holdAccount(
  connection: Connection,
  userId: string,
): Promise<{ passwordHash: string | null; admin: boolean } | null> {
  const [row] = await query<{ password_hash: string | null; admin: boolean }>(
    connection,
    `SELECT password_hash, admin FROM account
     WHERE user_id = $1 AND deleted_at IS NULL AND deactivated_at IS NULL FOR SHARE`,
    userId,
  );
  return row ? { passwordHash: row.password_hash, admin: row.admin } : null;
}

/** Keeps an account from changing for the rest of the transaction, one holder at a time; false when it can't be used. */
export async function holdAccountAlone(connection: Connection, userId: string): Promise<boolean> {
  const rows = await query(
    connection,
    "SELECT user_id FROM account WHERE user_id = $1 AND deleted_at IS NULL AND deactivated_at IS NULL FOR UPDATE",
    userId,
  );
  return rows.length > 0;
}

/** Puts a new token on a device, making the device if needed; gives the id of the token that it replaces. [ACC-1] */
export async function replaceToken(
  connection: Connection,
  token: {
    id: string;
    secretHash: Uint8Array<ArrayBuffer>;
    userId: string;
    deviceId: string;
    deviceName: string | null;
  },
): Promise<string | null> {
  const { userId, deviceId, deviceName: name } = token;
  // Holds the device, so that of several logins at once each sees the token that the one before made.
  await query(
    connection,
    `INSERT INTO device (user_id, device_id, name) VALUES ($1, $2, $3)
     ON CONFLICT (user_id, device_id) DO UPDATE SET name = coalesce(excluded.name, device.name) RETURNING device_id`,
    userId,
    deviceId,
    name,
  );
  const [old] = await query<{ id: string }>(
    connection,
    "DELETE FROM access_token WHERE user_id = $1 AND device_id = $2 RETURNING id",
    userId,
    deviceId,
  );
  await connection.accessToken.create({ data: { id: token.id, secretHash: token.secretHash, userId, deviceId } });
  return old?.id ?? null;
}

export interface TokenOwner {
  tokenId: string;
  userId: string;
  deviceId: string;
  admin: boolean;
}

/** Whose token this is; null when it doesn't hold, or its account can't be used. */
export async function ownerOfToken(connection: Connection, secretHash: Uint8Array): Promise<TokenOwner | null> {
  const [row] = await query<{ id: string; user_id: string; device_id: string; admin: boolean }>(
    connection,
    `SELECT access_token.id, access_token.user_id, access_token.device_id, account.admin
     FROM access_token JOIN account USING (user_id)
     WHERE secret_hash = $1 AND account.deleted_at IS NULL AND account.deactivated_at IS NULL`,
    secretHash,
  );
  return row ? { tokenId: row.id, userId: row.user_id, deviceId: row.device_id, admin: row.admin } : null;
}

/** Who holds a token, by its id; null when it doesn't hold, or its account can't be used. */
export async function holderOfToken(connection: Connection, tokenId: string): Promise<TokenOwner | null> {
  const [row] = await query<{ user_id: string; device_id: string; admin: boolean }>(
    connection,
    `SELECT access_token.user_id, access_token.device_id, account.admin
     FROM access_token JOIN account USING (user_id)
     WHERE access_token.id = $1 AND account.deleted_at IS NULL AND account.deactivated_at IS NULL`,
    tokenId,
  );
  return row ? { tokenId, userId: row.user_id, deviceId: row.device_id, admin: row.admin } : null;
}

/** Takes away the tokens of a user's devices; gives their ids. All, those of one device, or those of all but one. */
export async function deleteTokens(
  connection: Connection,
  which: { userId: string; deviceId?: string; exceptDevice?: string },
): Promise<string[]> {
  const rows = await query<{ id: string }>(
    connection,
    `DELETE FROM access_token WHERE user_id = $1 AND ($2::text IS NULL OR device_id = $2)
       AND ($3::text IS NULL OR device_id <> $3) RETURNING id`,
    which.userId,
    which.deviceId ?? null,
    which.exceptDevice ?? null,
  );
  return rows.map((row) => row.id);
}

/** Tells every process that tokens no longer hold; sent when the transaction commits. */
export async function notifyRevoked(connection: Connection, tokenIds: readonly string[]): Promise<void> {
  // A notification holds up to 8,000 bytes.
  for (let start = 0; start < tokenIds.length; start += 100) {
    const ids = JSON.stringify(tokenIds.slice(start, start + 100));
    await query(connection, "SELECT pg_notify('hearth_tokens', $1)::text", ids);
  }
}

/** Notes that a device was used. */
export async function touchDevice(
  connection: Connection,
  device: { userId: string; deviceId: string; seenAt: Date; ip: string | null; userAgent: string | null },
): Promise<void> {
  const { userId, deviceId, seenAt } = device;
  await connection.device.updateMany({
    where: { userId, deviceId },
    data: { lastSeenAt: seenAt, lastSeenIp: device.ip, userAgent: device.userAgent },
  });
  await connection.accessToken.updateMany({ where: { userId, deviceId }, data: { lastUsedAt: seenAt } });
}

/** Which of these users exist here; deactivated ones do. */
export async function existingAccounts(connection: Connection, userIds: readonly string[]): Promise<string[]> {
  const rows = await query<{ user_id: string }>(
    connection,
    "SELECT user_id FROM account WHERE user_id = ANY ($1::text[]) AND deleted_at IS NULL",
    userIds,
  );
  return rows.map((row) => row.user_id);
}

/** Reads a setting of the database, making it first where it is missing. */
export async function databaseSetting(connection: Connection, name: string, initial: string): Promise<string> {
  const [row] = await query<{ value: string }>(
    connection,
    `INSERT INTO server_setting (name, value) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET value = server_setting.value RETURNING value`,
    name,
    initial,
  );
  return row!.value;
}
