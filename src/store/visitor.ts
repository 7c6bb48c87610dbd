import pg from "pg";
import { userIdOf } from "../model/ids.ts";

/** A command's connection to a store, without a server. */
export interface Visitor {
  client: pg.Client;
  /** Whom the command names. */
  userId: string;
}

/**
 * Connects to a store for a command about a user. `name` is a user id, or a name on the server that the store belongs to.
 * `otherwise` answers where nobody has ever started a server on this database.
 */
export async function visitUser<T>(
  databaseUrl: string,
  name: string,
  work: (visitor: Visitor) => Promise<T>,
  otherwise: (name: string) => T,
): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  // A connection lost between queries rejects the next one; unheard, the event would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ exists: boolean }>(
      "SELECT to_regclass('account') IS NOT NULL AND to_regclass('server_setting') IS NOT NULL AS exists",
    );
    const serverName = rows[0]?.exists ? await serverNameOf(client) : undefined;
    if (serverName === undefined) return otherwise(name);
    return await work({ client, userId: userIdOf(name, serverName) });
  } finally {
    await client.end();
  }
}

async function serverNameOf(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ value: string }>("SELECT value FROM server_setting WHERE name = 'server_name'");
  return rows[0]?.value;
}
