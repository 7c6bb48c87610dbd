import type { Namespaces } from "../../model/appService.ts";
import { changeInterest, interestPage, markSettled, readRegistry, type InterestKind } from "../../store/appServices.ts";
import type { Database } from "../../store/database.ts";
import type { Registry } from "./registry.ts";
import type { RegistrySnapshot } from "./snapshot.ts";

const pageSize = 500;
const kinds: readonly (InterestKind & keyof Namespaces)[] = ["users", "aliases", "rooms"];

/**
 * Goes through the users, aliases and rooms that were there before a registration, and notes which of them the service is
 * told of from now on. What is made meanwhile is matched by whoever makes it. Page by page, since the append lock is held
 * for each; a registration that changes meanwhile is begun anew by who changed it. [AS-5]
 */
export async function settleInterest({
  database,
  registry,
  closed,
}: {
  database: Database;
  registry: Registry;
  closed: () => boolean;
}): Promise<void> {
  const { version, services } = await readRegistry(database.reader);
  const snapshot = await registry.at(database.reader, version);
  for (const { id, version: ownVersion, settled } of services) {
    if (settled) continue;
    let holds = true;
    for (const kind of kinds) holds &&= await settleKind(database, snapshot, { id, version: ownVersion }, kind, closed);
    if (holds) await markSettled(database.reader, id, ownVersion);
  }
}

/** False where it was given up. */
async function settleKind(
  { reader }: Database,
  snapshot: RegistrySnapshot,
  service: { id: string; version: number },
  kind: InterestKind,
  closed: () => boolean,
): Promise<boolean> {
  for (let after = ""; !closed();) {
    const page = await interestPage(reader, kind, { serviceId: service.id, after, limit: pageSize });
    const wanted = (id: string): boolean => snapshot.toldOf(kind, id).includes(service.id);
    const add = page.flatMap(({ id, interested }) => (!interested && wanted(id) ? [id] : []));
    const remove = page.flatMap(({ id, interested }) => (interested && !wanted(id) ? [id] : []));
    if (add.length + remove.length > 0) {
      const change = { serviceId: service.id, version: service.version };
      const held = await reader.$transaction((connection) => changeInterest(connection, change, kind, { add, remove }));
      if (!held) return false;
    }
    if (page.length < pageSize) return true;
    after = page.at(-1)!.id;
  }
  return false;
}
