import { resolve } from "node:path";
import type { Command } from "commander";
import { noLog } from "../model/ports.ts";
import { version } from "../model/version.ts";
import type { Manifest } from "../store/transfer/manifest.ts";
import { command } from "./command.ts";
import { migrationsDir } from "./migrationsDir.ts";
import { Problem } from "./problem.ts";
import { configOf, note, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
DIRECTORY is new or empty, or has an earlier export of the same server, or one that was interrupted: then only what has
changed is written, and the earlier one holds until this one is whole. The server may run meanwhile; what is exported is the
store as it was at one moment, and the files that it names.

The export holds password hashes, the keys that tokens are signed with and all messages: keep it as the store itself.

Examples: hearth export /var/backups/hearth
          hearth export --verify /var/backups/hearth
`;

type Options = CommonOptions & { verify?: boolean };

/** `hearth export` */
export function addExport(parent: Command): void {
  command(
    parent,
    "export <directory>",
    "Exports the whole server: a backup, or the way to another database.",
    help,
    (added) => added.option("--verify", "reads an export that is there and checks all of it, without a database"),
  ).action((directory: string, options: Options) => (options.verify ? verify(directory) : run(directory, options)));
}

async function run(directory: string, options: Options): Promise<void> {
  const config = await configOf(options);
  const manifest = await withStore(config, async (databaseUrl) => {
    const { migrationStatus } = await import("../store/migrate.ts");
    // A store of a newer release, or half an import, isn't this one's to export.
    await migrationStatus(databaseUrl, migrationsDir());
    const { openBlobs } = await import("../contentRepository.ts");
    const { exportStore } = await import("../store/transfer/exportStore.ts");
    const { systemClock, systemFetch } = await import("../system.ts");
    const { blobs } = openBlobs(config, { clock: systemClock, fetch: systemFetch, log: noLog });
    const now = new Date(systemClock.now());
    return exportStore({ databaseUrl, directory, blobs, release: version, now, note });
  });
  say(`${summary(manifest)} is exported to ${directory}.`);
  if (manifest.media.missing === 0) return;
  const { s3 } = config.media;
  const where = s3 ? `the bucket ${s3.bucket}` : resolve(config.dataDir);
  throw new Problem(
    `${lost(manifest)}: they aren't in ${where}. See that the settings are those of the server; if they are, the files are lost.`,
  );
}

async function verify(directory: string): Promise<void> {
  const { verifyExport } = await import("../store/transfer/exportStore.ts");
  const manifest = await verifyExport(directory, note);
  say(`The export in ${directory} is whole: ${summary(manifest)}, as of ${manifest.madeAt}.`);
  if (manifest.media.missing > 0) note(`${lost(manifest)}: they weren't to be found when it was made.`);
}

function lost({ media: { missing } }: Manifest): string {
  return `${missing} files that the store names are missing in the export`;
}

/** What an export holds, in a few words. */
export function summary({ serverName, tables, media }: Manifest): string {
  const rows = Object.values(tables).reduce((sum, table) => sum + table.rows, 0);
  return `${serverName} with ${rows} rows, ${tables["event"]?.rows ?? 0} of them events, and ${media.files} files`;
}
