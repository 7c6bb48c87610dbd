import type { Connection } from "./database.ts";

/** The room behind an alias of this server. [ALI-1] */
export async function roomOfAlias(connection: Connection, alias: string): Promise<string | null> {
  return (await connection.roomAlias.findUnique({ where: { alias } }))?.roomId ?? null;
}

/** Who made an alias, and of which room; null for one that there isn't. */
export async function findAlias(
  connection: Connection,
  alias: string,
): Promise<{ roomId: string; creator: string } | null> {
  return connection.roomAlias.findUnique({ where: { alias }, select: { roomId: true, creator: true } });
}

/** The aliases of a room, the oldest first. [ALI-2] */
export async function aliasesOf(connection: Connection, roomId: string): Promise<string[]> {
  const rows = await connection.roomAlias.findMany({
    where: { roomId },
    select: { alias: true },
    orderBy: [{ createdAt: "asc" }, { alias: "asc" }],
  });
  return rows.map(({ alias }) => alias);
}
