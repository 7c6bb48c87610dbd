import type { SigningKeyShape } from "../model/account.ts";
import { query, type Connection } from "./database.ts";

/** All signing keys of users, the oldest first. [ACT-13] */
export function signingKeysOf(connection: Connection, userIds: readonly string[]): Promise<SigningKeyShape[]> {
  return connection.deviceKey.findMany({
    where: { userId: { in: [...userIds] } },
    orderBy: [{ createdAt: "asc" }, { keyId: "asc" }],
  });
}

/** Keeps others from changing the user's keys for the rest of the transaction. */
export async function lockSigningKeys(connection: Connection, userId: string): Promise<void> {
  await query(connection, "SELECT user_id FROM account WHERE user_id = $1 FOR NO KEY UPDATE", userId);
}

export async function insertSigningKey(connection: Connection, key: SigningKeyShape): Promise<void> {
  await connection.deviceKey.create({ data: key });
}

/** Whether the user had a key of this id. */
export async function deleteSigningKey(connection: Connection, userId: string, keyId: string): Promise<boolean> {
  return (await connection.deviceKey.deleteMany({ where: { userId, keyId } })).count > 0;
}
