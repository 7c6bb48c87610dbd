import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { noLog } from "../model/ports.ts";
import { command } from "./command.ts";
import { Problem } from "./problem.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
NAME is a name or a user id. README.txt in the archive says what is in it.

Example: hearth admin export-user alice --output alice.zip
`;

type Options = CommonOptions & { output?: string };

/** `hearth admin export-user` */
export function addExportUser(parent: Command): void {
  const description = "Writes everything that this server holds about a user as a ZIP archive.";
  const outputHelp = "writes to this file, which must not be there yet; else to the standard output";
  command(parent, "export-user <name>", description, help, (added) =>
    added.option("--output <file>", outputHelp),
  ).action(run);
}

async function run(name: string, options: Options): Promise<void> {
  const config = await configOf(options);
  await withStore(config, (databaseUrl) => exportUser(databaseUrl, name, config, options.output ?? null));
}

async function exportUser(databaseUrl: string, name: string, config: Config, file: string | null): Promise<void> {
  const { whoToExport } = await import("../store/whoToExport.ts");
  const { userId, outcome } = await whoToExport(databaseUrl, name);
  if (outcome === "no such user") throw new Problem(`There is no user ${userId} on this server.`);
  if (outcome === "too old") {
    throw new Problem("The store is of an earlier release: bring it up to date by hearth migrate.");
  }
  if (file === null && process.stdout.isTTY) {
    throw new Problem("The archive is nothing for a terminal: name a file with --output.");
  }
  const { openDatabase } = await import("../store/database.ts");
  const database = openDatabase(databaseUrl, { readers: 2 });
  try {
    const archive = await archiveOf({ database, config, userId });
    if (file === null) return await pipeline(archive, process.stdout, { end: false });
    await write(archive, file);
    say(`Everything that this server holds about ${userId} is in ${file}.`);
  } finally {
    await database.close();
  }
}

async function archiveOf({
  database,
  config,
  userId,
}: {
  database: import("../store/database.ts").Database;
  config: Config;
  userId: string;
}): Promise<Readable> {
  const { openContentRepository } = await import("../contentRepository.ts");
  const { userData } = await import("../domain/export/userData.ts");
  const { createTokens } = await import("../model/tokens.ts");
  const { randomIds, systemClock, systemFetch } = await import("../system.ts");
  const { zipOf } = await import("../transport/zip.ts");
  const { serverName } = config;
  const now = new Date();
  const media = openContentRepository(config, {
    ...{ database, serverName, clock: systemClock, ids: randomIds, fetch: systemFetch, log: noLog },
    // It only reads, for which nobody asks who it is.
    ...{ admins: new Set<string>(), tokens: createTokens(Buffer.alloc(32), "") },
  });
  const sources = { connection: database.reader, serverName, media, goOn: () => Promise.resolve() };
  return zipOf(userData(sources, userId, now), now);
}

async function write(archive: Readable, file: string): Promise<void> {
  const output = createWriteStream(file, { flags: "wx", mode: 0o600 });
  let opened = false;
  output.once("open", () => (opened = true));
  try {
    await pipeline(archive, output);
  } catch (error) {
    // Half an archive is of no use; what was there before isn't ours.
    if (opened) await rm(file, { force: true });
    throw error;
  }
}
