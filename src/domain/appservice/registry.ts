import { asksForEphemeral, namespacesOf, registration, senderOf, type AppService } from "../../model/appService.ts";
import { check } from "../../model/check.ts";
import type { Log } from "../../model/ports.ts";
import { readRegistry, type AppServiceRow, type RegistryRows } from "../../store/appServices.ts";
import type { Connection } from "../../store/database.ts";
import { RegistrySnapshot } from "./snapshot.ts";

/** The registrations as this process knows them. */
export interface Registry {
  /** May be older than what another process has stored for some milliseconds. */
  current(): RegistrySnapshot;
  /** Reads them anew; `connection` is a transaction that is to see what it stored itself. */
  refresh(connection?: Connection): Promise<RegistrySnapshot>;
  /** Those of a version that the caller's transaction holds. */
  at(connection: Connection, version: number): Promise<RegistrySnapshot>;
  /** Is called whenever they have changed, with what they were. */
  onChanged(listener: (now: RegistrySnapshot, before: RegistrySnapshot) => void): void;
}

export async function createRegistry({
  connection,
  serverName,
  log,
}: {
  connection: Connection;
  serverName: string;
  log: Log;
}): Promise<Registry> {
  const listeners: ((now: RegistrySnapshot, before: RegistrySnapshot) => void)[] = [];
  let known = snapshotOf(await readRegistry(connection), serverName, log);

  const registry: Registry = {
    current: () => known,
    async refresh(from = connection) {
      const rows = await readRegistry(from);
      // Of several that read at once the newest counts.
      if (rows.version > known.version) {
        const before = known;
        known = snapshotOf(rows, serverName, log);
        listeners.forEach((listener) => listener(known, before));
      }
      return known;
    },
    async at(from, version) {
      return known.version === version ? known : snapshotOf(await readRegistry(from), serverName, log);
    },
    onChanged: (listener) => void listeners.push(listener),
  };
  return registry;
}

function snapshotOf({ version, services }: RegistryRows, serverName: string, log: Log): RegistrySnapshot {
  const byToken = new Map<string, AppService>();
  for (const row of services) {
    try {
      byToken.set(Buffer.from(row.asTokenHash).toString("hex"), serviceOf(row, serverName));
    } catch (error) {
      // It was good when it was registered: by a release that took more.
      log.error({ error, service: row.id }, "the registration of an application service can't be read");
    }
  }
  return new RegistrySnapshot(version, byToken);
}

function serviceOf(row: AppServiceRow, serverName: string): AppService {
  const given = check(registration, JSON.parse(row.registration));
  return {
    id: row.id,
    url: given.url ?? null,
    sender: senderOf(row.senderLocalpart, serverName),
    namespaces: namespacesOf(given),
    protocols: given.protocols ?? [],
    ephemeral: asksForEphemeral(given),
    rateLimited: given.rate_limited === true,
    trusted: row.source !== "open",
    hsToken: row.hsToken,
  };
}
