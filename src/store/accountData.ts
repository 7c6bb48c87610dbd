import { query, type Connection } from "./database.ts";

/** What clients keep for a user under a name. */
export interface AccountDataRow {
  /** Empty for what is about no room. */
  roomId: string;
  type: string;
  /** JSON. */
  content: string;
}

/** The content that is kept; null for none. */
export async function accountData(
  connection: Connection,
  userId: string,
  roomId: string,
  type: string,
): Promise<string | null> {
  const row = await connection.accountData.findUnique({ where: { userId_roomId_type: { userId, roomId, type } } });
  return row?.content ?? null;
}

/** What a user's data takes in bytes, a few for each row included, and its version. */
export async function accountDataSize(
  connection: Connection,
  userId: string,
): Promise<{ bytes: number; version: number }> {
  const [row] = await query<{ bytes: number; version: number }>(
    connection,
    `SELECT coalesce(sum(octet_length(content) + 256), 0)::float8 AS bytes, coalesce(max(version), 0)::float8 AS version
     FROM account_data WHERE user_id = $1`,
    userId,
  );
  return row!;
}

/** In a transaction that holds the account alone, so that versions grow one by one. */
export async function writeAccountData(
  connection: Connection,
  userId: string,
  { roomId, type, content }: AccountDataRow,
  version: number,
): Promise<void> {
  const name = { userId, roomId, type };
  const data = { content, version: BigInt(version) };
  await connection.accountData.upsert({
    where: { userId_roomId_type: name },
    create: { ...name, ...data },
    update: data,
  });
}

/** What was changed after a version, the oldest change first, and the version as it is now. */
export async function accountDataSince(
  connection: Connection,
  userId: string,
  version: number,
): Promise<{ changed: AccountDataRow[]; version: number }> {
  const rows = await query<AccountDataRow & { version: number }>(
    connection,
    `SELECT room_id AS "roomId", type, content, version::float8 AS version FROM account_data
     WHERE user_id = $1 AND version > $2::bigint ORDER BY version`,
    userId,
    version,
  );
  return { changed: rows, version: rows.at(-1)?.version ?? version };
}
