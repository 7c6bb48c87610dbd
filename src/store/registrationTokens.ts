import type { RegistrationTokenShape } from "../model/account.ts";
import { query, type Connection } from "./database.ts";

/** A token lets people register while it has uses left and its end hasn't come: `$1` is the token, `$2` is now. */
const usable = "token = $1 AND (uses_left IS NULL OR uses_left > 0) AND (expires_at IS NULL OR expires_at > $2)";

/** Whether a registration token would let somebody register. [ACC-5] */
export async function isUsable(connection: Connection, token: string, now: Date): Promise<boolean> {
  const rows = await query(connection, `SELECT token FROM registration_token WHERE ${usable}`, token, now);
  return rows.length > 0;
}

/** Takes one use of a registration token; false when it has none. Who comes at the same time waits, and counts anew. */
export async function takeUse(connection: Connection, token: string, now: Date): Promise<boolean> {
  const rows = await query(
    connection,
    `UPDATE registration_token SET uses_left = uses_left - 1 WHERE ${usable} RETURNING token`,
    token,
    now,
  );
  return rows.length > 0;
}

/** Makes a registration token; where there is one of that name already, it stays. Gives the one that there is then. */
export async function makeToken(
  connection: Connection,
  made: RegistrationTokenShape,
): Promise<RegistrationTokenShape | null> {
  await connection.registrationToken.createMany({ data: [made], skipDuplicates: true });
  return connection.registrationToken.findUnique({ where: { token: made.token } });
}

/** False when there was none. */
export async function deleteToken(connection: Connection, token: string): Promise<boolean> {
  return (await connection.registrationToken.deleteMany({ where: { token } })).count > 0;
}

/** All registration tokens, used up and expired ones too, the newest first. */
export function allTokens(connection: Connection): Promise<RegistrationTokenShape[]> {
  return connection.registrationToken.findMany({ orderBy: [{ createdAt: "desc" }, { token: "asc" }] });
}
