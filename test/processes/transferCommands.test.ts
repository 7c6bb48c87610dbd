import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createFiles } from "../../src/store/media/files.ts";
import { createSpool } from "../../src/store/media/spool.ts";
import { importStore } from "../../src/store/transfer/importStore.ts";
import { readManifest } from "../../src/store/transfer/manifest.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { createDatabase } from "../kit/database.ts";
import { upload } from "../kit/media.ts";
import { runCommand } from "./support/command.ts";

let app: TestApp;
let alice: Client;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "hearth-moving-"));
  // As root, PostgreSQL runs under another account; unless that may enter, the cluster would be kept elsewhere.
  await chmod(root, 0o755);
  app = await startApp({ mirrors: false });
  alice = await app.user("alice");
  await alice.send(await alice.createRoom(), "from here to there");
  await upload(alice, "a picture's bytes", { name: "me.png" });
});
afterAll(async () => {
  await app.close();
  await rm(root, { recursive: true, force: true });
});

/** What each table holds, by number and hash. */
async function tables(directory: string) {
  const { tables } = await readManifest(directory);
  return Object.entries(tables).map(([name, { rows, sha256 }]) => [name, rows, sha256]);
}

test("a server goes from an external PostgreSQL to the embedded one and back, and says what it does", async () => {
  const here = { DATABASE_URL: app.databaseUrl, HEARTH_DATA_DIR: app.dataDir };
  const embedded = { HEARTH_DATA_DIR: join(root, "data") };
  const [first, second] = [join(root, "first"), join(root, "second")];
  const exported = await runCommand(["export", first], here);
  expect(exported.code).toBe(0);
  expect(exported.output).toMatch(/^localhost with \d+ rows, \d+ of them events, and 1 files is exported to /);
  expect(exported.problem).toMatch(/^account: 1 rows in 1 chunks, 0 of them unchanged$/m);

  // In another working directory the files would be looked for in another data directory.
  const elsewhere = { ...here, HEARTH_DATA_DIR: join(root, "nothing") };
  const lost = await runCommand(["export", join(root, "lost")], elsewhere);
  expect(lost).toMatchObject({ code: 1, output: expect.stringContaining("and 0 files is exported to") as string });
  expect(lost.problem).toContain("1 files that the store names are missing in the export: they aren't in ");
  const verifiedLoss = await runCommand(["export", "--verify", join(root, "lost")], {});
  expect(verifiedLoss.problem).toContain("1 files that the store names are missing in the export");
  const doctor = await runCommand(["doctor"], elsewhere);
  expect(doctor.output).toContain("of 1 that the store names 1 aren't there");

  const imported = await runCommand(["import", first, "--same-epoch"], embedded);
  expect(imported.problem).toContain("Every table has the rows that it had, by number and by hash.\n");
  expect(imported).toMatchObject({ code: 0, output: exported.output.replace(/ exported to .*/, " imported.") });
  expect(await runCommand(["export", second], embedded)).toMatchObject({ code: 0 });
  expect(await tables(second)).toEqual(await tables(first));

  const verified = await runCommand(["export", "--verify", second], {});
  expect(verified.output).toMatch(/^The export in .* is whole: localhost with .*, as of 2\d{3}-/);
  const databaseUrl = await createDatabase(inject("postgresUrl"), `test_${randomBytes(8).toString("hex")}`, null);
  const dataDir = join(root, "elsewhere");
  const spool = createSpool(join(dataDir, "media", "spool"));
  const blobs = createFiles(join(dataDir, "media", "files"));
  const options = { databaseUrl, directory: second, blobs, spool, migrationsDir: "prisma/migrations" };
  await importStore({ ...options, epoch: null, note: () => undefined });
  const again = await startApp({ databaseUrl, config: { dataDir }, mirrors: false });
  try {
    const { token, userId } = alice;
    expect(await Object.assign(again.stranger(), { token }).do("{ viewer { user { id } } }")).toEqual({
      viewer: { user: { id: userId } },
    });
  } finally {
    await again.close();
  }
}, 60_000);
