import { query, type Connection } from "../src/store/database.ts";
import type { Workshop } from "./data.ts";
import type { HttpClient } from "./http.ts";

/** SQL of the id that seeded events have, by their position. */
export function idAt(position: string): string {
  return `'$' || lpad(to_hex(${position}), 24, '0')`;
}

/** Takes that many stream positions for events that SQL makes; gives the first. */
export async function takePositions(connection: Connection, count: number): Promise<number> {
  const [row] = await query<{ last: number }>(connection, "SELECT last_value::float8 AS last FROM stream_position");
  await query(connection, "SELECT setval('stream_position', $1::bigint)::text", row!.last + count);
  return row!.last + 1;
}

/** Lets PostgreSQL know what was seeded, as it would know of data that came one by one. */
export async function settle({ connection }: Workshop): Promise<void> {
  await query(connection, "VACUUM ANALYZE");
}

/** The token of a filter, as a client gets it once. */
export async function filterToken(client: HttpClient, definition: object): Promise<string> {
  const document = "query ($definition: FilterInput!) { filter(definition: $definition) { token } }";
  const answer = await client.post(JSON.stringify({ query: document, variables: { definition } }));
  return (JSON.parse(answer) as { data: { filter: { token: string } } }).data.filter.token;
}
