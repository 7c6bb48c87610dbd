import type { Command } from "commander";
import { command } from "./command.ts";
import { migrationsDir } from "./migrationsDir.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
hearth start does the same before it serves. Without DATABASE_URL, a store is made in the data directory where there is
none yet. Back up before the first start of a new release: migrations aren't taken back.
`;

type Options = CommonOptions & { status?: boolean };

/** `hearth migrate` */
export function addMigrate(parent: Command): void {
  command(parent, "migrate", "Brings the store up to date with this release, and ends.", help, (added) =>
    added.option("--status", "only shows what is to be done; changes nothing"),
  ).action((options: Options) => (options.status ? showStatus(options) : run(options)));
}

async function run(options: Options): Promise<void> {
  const { migrate } = await import("../store/migrate.ts");
  const done = await withStore(await configOf(options), (url) => migrate(url, migrationsDir()), { make: true });
  if (done.length === 0) return say("The store is up to date; there was nothing to do.");
  say(`Applied:\n${done.map((name) => `  ${name}`).join("\n")}\nThe store is up to date.`);
}

async function showStatus(options: Options): Promise<void> {
  const { migrationStatus } = await import("../store/migrate.ts");
  const { applied, pending } = await withStore(await configOf(options), (url) => migrationStatus(url, migrationsDir()));
  if (pending.length === 0) return say(`The store is up to date: ${applied.length} migrations were applied.`);
  say(`To be applied:\n${pending.map((name) => `  ${name}`).join("\n")}`);
}
