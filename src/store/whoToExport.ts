import { visitUser } from "./visitor.ts";

export interface WhoToExport {
  userId: string;
  outcome: "there" | "no such user" | "too old";
}

/** Whom a command means. `name` is a user id, or a name on the server that the store belongs to. */
export function whoToExport(databaseUrl: string, name: string): Promise<WhoToExport> {
  return visitUser<WhoToExport>(
    databaseUrl,
    name,
    async ({ client, userId }) => {
      const known = await client.query<{ known: boolean }>(
        "SELECT to_regclass('account_deletion') IS NOT NULL AND to_regclass('media_blob') IS NOT NULL AS known",
      );
      if (!known.rows[0]!.known) return { userId, outcome: "too old" };
      const { rows } = await client.query("SELECT FROM account WHERE user_id = $1 AND deleted_at IS NULL", [userId]);
      return { userId, outcome: rows.length > 0 ? "there" : "no such user" };
    },
    (userId) => ({ userId, outcome: "no such user" }),
  );
}
