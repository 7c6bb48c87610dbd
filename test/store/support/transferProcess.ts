import { join } from "node:path";
import { createFiles } from "../../../src/store/media/files.ts";
import { createSpool } from "../../../src/store/media/spool.ts";
import { exportStore } from "../../../src/store/transfer/exportStore.ts";
import { importStore } from "../../../src/store/transfer/importStore.ts";

/** An export or an import in a process of its own, so that it can be killed: `export|import DATABASE DIRECTORY DATA`. */
const [what, databaseUrl, directory, dataDir] = process.argv.slice(2) as [string, string, string, string];
const spool = createSpool(join(dataDir, "media", "spool"));
const blobs = createFiles(join(dataDir, "media", "files"));
const note = (text: string): void => void process.stdout.write(`${text}\n`);
const limits = { rows: 20, bytes: 2 ** 20 };
await (what === "export"
  ? exportStore({ databaseUrl, directory, blobs, release: "0.0.0", now: new Date(), note, limits })
  : importStore({ databaseUrl, directory, blobs, spool, migrationsDir: "prisma/migrations", epoch: null, note }));
