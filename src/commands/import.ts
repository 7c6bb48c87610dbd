import type { Command } from "commander";
import { noLog } from "../model/ports.ts";
import { summary } from "./export.ts";
import { command } from "./command.ts";
import { migrationsDir } from "./migrationsDir.ts";
import { configOf, note, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
The store that the settings name has to be empty: an external database without tables, or a data directory in which none is
yet, which is made then. The export may be of an earlier release, and of an embedded PostgreSQL or an external one alike. An
import that was interrupted goes on when it is run again; until it is whole, no server starts on the database.

Sync tokens and filters that clients hold are of the server that was exported, which may have gone on since; clients sync anew
after an import. Access tokens hold. For a server that was stopped before the export and never starts again, --same-epoch
lets clients go on as if nothing had happened.

Example: DATABASE_URL=postgresql://hearth@db.example.org/hearth hearth import /var/backups/hearth
`;

type Options = CommonOptions & { sameEpoch?: boolean };

/** `hearth import` */
export function addImport(parent: Command): void {
  command(parent, "import <directory>", "Imports an exported server into an empty store.", help, (added) =>
    added.option("--same-epoch", "what clients hold goes on holding: the exported server was stopped for good before"),
  ).action(run);
}

async function run(directory: string, options: Options): Promise<void> {
  const config = await configOf(options);
  // Before a store is made for nothing.
  const { readManifest } = await import("../store/transfer/manifest.ts");
  await readManifest(directory);
  const { openBlobs } = await import("../contentRepository.ts");
  const { importStore } = await import("../store/transfer/importStore.ts");
  const { randomIds, systemClock, systemFetch } = await import("../system.ts");
  const parts = openBlobs(config, { clock: systemClock, fetch: systemFetch, log: noLog });
  const epoch = options.sameEpoch === true ? null : randomIds.opaque();
  const manifest = await withStore(
    config,
    (databaseUrl) => importStore({ databaseUrl, migrationsDir: migrationsDir(), directory, ...parts, epoch, note }),
    { make: true },
  );
  if (manifest.serverName !== config.serverName) {
    note(`The settings name another server: set HEARTH_SERVER_NAME=${manifest.serverName} before it is started.`);
  }
  say(`${summary(manifest)} is imported.`);
}
