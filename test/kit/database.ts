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

function databaseUrl(url: string, name: string): string {
  return url.replace("%DATABASE%", name).replace("%25DATABASE%25", name);
}
