import type pg from "pg";
import { visitUser } from "./visitor.ts";

export interface MadeAdmin {
  userId: string;
  outcome: "made" | "was already" | "no such user" | "deactivated";
}

/**
 * Makes a user of the store an admin, without a server: one that runs learns of it by the notification, and remembers
 * nothing that is no longer so. `name` is a user id, or a name on the server that the store belongs to.
 */
export function makeAdmin(databaseUrl: string, name: string): Promise<MadeAdmin> {
  return visitUser<MadeAdmin>(
    databaseUrl,
    name,
    async ({ client, userId }) => ({ userId, outcome: await setAdmin(client, userId) }),
    (userId) => ({ userId, outcome: "no such user" }),
  );
}

async function setAdmin(client: pg.Client, userId: string): Promise<MadeAdmin["outcome"]> {
  // Read as JSON, since a store that an earlier release left has no such column.
  const { rows } = await client.query<{ admin: boolean; deactivated: boolean }>(
    `SELECT admin, to_jsonb(account) ->> 'deactivated_at' IS NOT NULL AS deactivated
     FROM account WHERE user_id = $1 AND deleted_at IS NULL`,
    [userId],
  );
  const account = rows[0];
  if (account === undefined) return "no such user";
  if (account.deactivated) return "deactivated";
  if (account.admin) return "was already";
  await client.query(
    `WITH changed AS (UPDATE account SET admin = true WHERE user_id = $1 RETURNING user_id)
     SELECT pg_notify('hearth_rights', json_build_array(user_id)::text) FROM changed`,
    [userId],
  );
  return "made";
}
