import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/store/embedded/embedded.ts";
import { migrate } from "../../src/store/migrate.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection string of a database `name` is put into: `%DATABASE%` stands for it. */
    postgresUrl: string;
  }
}

export const template = "hearth_template";

/** One PostgreSQL for the run, with a migrated database that every test file copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), "hearth-test-"));
  // As root, PostgreSQL runs under another account, which must be able to enter.
  await chmod(dataDir, 0o755);
  const postgres = await startEmbeddedPostgres({ dataDir, durable: false });
  const { createDatabase } = await import("./database.ts");
  await createDatabase(postgres.url("%DATABASE%"), template, null);
  await migrate(postgres.url(template), "prisma/migrations");
  project.provide("postgresUrl", postgres.url("%DATABASE%"));
  return async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
