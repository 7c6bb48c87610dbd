import { visitUser } from "./visitor.ts";

export interface DeletedAccount {
  userId: string;
  outcome: "deleted" | "no such user" | "too old";
}

/**
 * Deletes an account of the store, without a server: one that runs ends its tokens by the notification, and goes on with what
 * is left to do; else the next one that starts does. `name` is a user id, or a name on the server that the store belongs to.
 */
export function deleteAccountOf(databaseUrl: string, name: string, erase: boolean): Promise<DeletedAccount> {
  return visitUser<DeletedAccount>(
    databaseUrl,
    name,
    async ({ client, userId }) => {
      const known = await client.query<{ known: boolean }>("SELECT to_regproc('delete_account') IS NOT NULL AS known");
      if (!known.rows[0]!.known) return { userId, outcome: "too old" };
      const { rows } = await client.query<{ tokens: string[] | null }>("SELECT delete_account($1, $2) AS tokens", [
        userId,
        erase,
      ]);
      return { userId, outcome: rows[0]!.tokens === null ? "no such user" : "deleted" };
    },
    (userId) => ({ userId, outcome: "no such user" }),
  );
}
