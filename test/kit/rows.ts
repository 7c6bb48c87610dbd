import { sql } from "./database.ts";

const tables = ["event", "room", "room_alias", "member", "current_state", "membership_period", "relation", "action"];

/** How many rows each table has that an action may write to. */
export async function countRows(databaseUrl: string): Promise<Record<string, number>> {
  const counts = tables.map((table) => `(SELECT count(*)::integer FROM ${table}) AS ${table}`);
  const [row] = await sql<Record<string, number>>(databaseUrl, `SELECT ${counts.join(", ")}`);
  return row!;
}
