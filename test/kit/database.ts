import pg from "pg";

/** Makes a database, from a template if one is named. `url` holds `%DATABASE%` for the name. */
export async function createDatabase(url: string, name: string, from: string | null): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl(url, "postgres") });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name}${from === null ? "" : ` TEMPLATE ${from}`}`);
  } finally {
    await client.end();
  }
  return databaseUrl(url, name);
}

/** Runs one statement, for looking behind the scenes and for breaking things on purpose. */
export async function sql<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Holds the append lock, so that everything that is appended comes at once when it is released. */
export async function holdAppendLock(url: string): Promise<{ waiting(): Promise<number>; release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT append_lock()");
  return {
    /** Those who want to append: who only asks how far the stream is, every few seconds, waits for a shared lock. */
    async waiting() {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::integer AS count FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
         WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND NOT granted AND datname = current_database()`,
      );
      return rows[0]!.count;
    },
    async release() {
      await client.query("COMMIT");
      await client.end();
    },
  };
}

function databaseUrl(url: string, name: string): string {
  return url.replace("%DATABASE%", name).replace("%25DATABASE%25", name);
}
