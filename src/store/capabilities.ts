import { query, type Connection } from "./database.ts";
import type { CapabilitySet } from "../model/capabilities.ts";

export async function findCapabilitySet(connection: Connection, hash: string): Promise<string | null> {
  const found = await connection.capabilitySet.findUnique({ where: { hash }, select: { set: true } });
  return found?.set ?? null;
}

/** Keeps a set; false when the user made the server keep `most` others already. */
export async function keepCapabilitySet(
  connection: Connection,
  { hash, json }: CapabilitySet,
  userId: string,
  most: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    `INSERT INTO capability_set (hash, set, uploaded_by)
     SELECT $1, $2, $3 WHERE (SELECT count(*) FROM capability_set WHERE uploaded_by = $3) < $4::integer
     ON CONFLICT (hash) DO NOTHING RETURNING hash`,
    hash,
    json,
    userId,
    most,
  );
  return rows.length > 0 || (await findCapabilitySet(connection, hash)) !== null;
}
