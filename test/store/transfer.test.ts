import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createFiles } from "../../src/store/media/files.ts";
import { createSpool } from "../../src/store/media/spool.ts";
import { migrate, migrationsOf } from "../../src/store/migrate.ts";
import { exportStore, verifyExport } from "../../src/store/transfer/exportStore.ts";
import { importStore } from "../../src/store/transfer/importStore.ts";
import { readManifest } from "../../src/store/transfer/manifest.ts";
import { connectForTransfer, exportedTables, leftOut } from "../../src/store/transfer/tables.ts";
import { freshDatabase, startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { createDatabase, sql } from "../kit/database.ts";
import { everyAction, request } from "../kit/everyAction.ts";
import { bytesOf, download, upload } from "../kit/media.ts";

const migrationsDir = "prisma/migrations";
const snapshot = `query { initialSync(limit: 5) { stream rooms(first: 100) { nodes {
  room { id title memberCount } timeline { nodes { id content sender { id displayName } } } } } } }`;

let app: TestApp;
let alice: Client;
let bob: Client;
let picture: string;
let root: string;
/** A whole export of the app's store. */
let whole: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "hearth-transfer-"));
  const namespaces = { users: [{ exclusive: true, regex: "@irc_.*" }], rooms: [], aliases: [] };
  const irc = { id: "irc", as_token: "a", hs_token: "h", sender_localpart: "ircbot", url: null, namespaces };
  const services = [{ name: "irc.yaml", content: irc }];
  app = await startApp({ config: { admins: ["alice"] }, services, mirrors: false });
  alice = await app.user("alice");
  bob = await app.user("bob");
  for (const [name, { prepare }] of Object.entries(everyAction)) {
    const input = await prepare({ actor: alice, other: bob });
    const { query, variables } = request(name, input, { actionId: `did ${name}` });
    await alice.do(query, variables);
  }
  const roomId = await alice.createRoom({ name: "tab\tnewline\nbackslash\\", joinRule: "PUBLIC", published: true });
  await bob.join(roomId);
  await alice.send(roomId, "ünïcode \u2028 \\N \t and all");
  picture = await upload(alice, "a picture's bytes", { name: "me.png" });
  await upload(bob, "other bytes", {});
  whole = join(root, "whole");
  await exportTo(whole);
}, 60_000);
afterAll(async () => {
  await app.close();
  await rm(root, { recursive: true, force: true });
});

const storeIn = (dataDir: string) => ({
  blobs: createFiles(join(dataDir, "media", "files")),
  spool: createSpool(join(dataDir, "media", "spool")),
});

/** Exports the app's store in small chunks; gives what was noted. */
async function exportTo(directory: string, databaseUrl = app.databaseUrl): Promise<string[]> {
  const notes: string[] = [];
  await exportStore({
    ...{ databaseUrl, directory, blobs: storeIn(app.dataDir).blobs, release: "0.0.0", now: new Date() },
    ...{ note: (text) => void notes.push(text), limits: { rows: 20, bytes: 2 ** 20 } },
  });
  return notes;
}

function emptyDatabase(): Promise<string> {
  return createDatabase(inject("postgresUrl"), `test_${randomBytes(8).toString("hex")}`, null);
}

interface Imported {
  databaseUrl: string;
  dataDir: string;
}

const newPlace = async (): Promise<Imported> => ({
  databaseUrl: await emptyDatabase(),
  dataDir: join(root, randomBytes(8).toString("hex")),
});

function importTo(place: Imported, directory = whole, epoch: string | null = null): Promise<unknown> {
  return importStore({ ...place, ...storeIn(place.dataDir), directory, migrationsDir, epoch, note: () => undefined });
}

/** The rows of every table that is exported, as JSON. */
async function contents(databaseUrl: string): Promise<Record<string, unknown>> {
  const client = await connectForTransfer(databaseUrl);
  try {
    const all: Record<string, unknown> = {};
    for (const { name } of await exportedTables(client)) {
      const { rows } = await client.query<{ row: string }>(
        `SELECT to_jsonb(t)::text AS row FROM "${name}" t ORDER BY to_jsonb(t)::text COLLATE "C"`,
      );
      all[name] = rows.map(({ row }) => row);
    }
    return all;
  } finally {
    await client.end();
  }
}

const at = ({ address }: { address: string }, { token, userId, deviceId }: Client) =>
  new Client(address, token, userId, deviceId);

function start({ databaseUrl, dataDir }: Imported): Promise<TestApp> {
  return startApp({ databaseUrl, config: { dataDir, admins: ["alice"] }, mirrors: false });
}

test("every table is exported, or left out for a reason", async () => {
  const rows = await sql<{ name: string; kept: boolean }>(
    app.databaseUrl,
    "SELECT relname AS name, relpersistence = 'p' AS kept FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
  );
  const exported = Object.keys((await readManifest(whole)).tables);
  const held = rows.filter(({ name }) => !exported.includes(name)).map(({ name }) => name);
  // hearth_import is there only while an import goes on.
  expect([...held, "hearth_import"].sort()).toEqual(Object.keys(leftOut).sort());
  expect(rows.filter(({ name, kept }) => !kept && exported.includes(name))).toEqual([]);
});

test("a server goes on where the exported one was: rows, files, access tokens, streams, positions", async () => {
  expect((await stat(whole)).mode & 0o777).toBe(0o700);
  expect((await stat(join(whole, "manifest.json"))).mode & 0o777).toBe(0o600);
  const place = await newPlace();
  await importTo(place);
  expect(await contents(place.databaseUrl)).toEqual(await contents(app.databaseUrl));
  const before = await alice.do<{ initialSync: { stream: string } }>(snapshot);
  const moved = await start(place);
  try {
    const again = at(moved, alice);
    expect((await again.do<typeof before>(snapshot)).initialSync).toEqual({
      ...before.initialSync,
      stream: expect.any(String) as string,
    });
    expect((await bytesOf(await download(again, picture))).toString()).toBe("a picture's bytes");
    // A token of the exported server is good for the stream of this one, which has events of its own from then on.
    const follow = await again.follow(before.initialSync.stream);
    const roomId = await again.createRoom({ joinRule: "PUBLIC" });
    await follow.sees(await at(moved, bob).join(roomId));
    const [{ head }] = (await sql<{ head: number }>(
      place.databaseUrl,
      "SELECT max(position)::integer AS head FROM event",
    )) as [{ head: number }];
    expect(head).toBeGreaterThan((await readManifest(whole)).head);
    await again.close();
  } finally {
    await moved.close();
  }
});

test("tokens of a server that may have gone on since don't lie: the imported one has an epoch of its own", async () => {
  const place = await newPlace();
  await importTo(place, whole, "another");
  const { initialSync } = await alice.do<{ initialSync: { stream: string } }>(snapshot);
  const other = await start(place);
  try {
    const query = "query ($stream: StreamToken) { initialSync(stream: $stream) { stream } }";
    expect(await at(other, alice).code(query, { stream: initialSync.stream })).toBe("BAD_TOKEN");
    expect(await at(other, alice).code(query)).toBeNull();
  } finally {
    await other.close();
  }
});

test("an export into the same directory writes only what has changed, and holds what there is now", async () => {
  const directory = join(root, "again");
  await cp(whole, directory, { recursive: true });
  const first = await readManifest(directory);
  const [file] = await readdir(join(directory, "tables", "media_blob"));
  const inode = (await stat(join(directory, "tables", "media_blob", file!))).ino;
  const roomId = await alice.createRoom();
  await alice.send(roomId, "later");
  const notes = await exportTo(directory);
  const second = await readManifest(directory);
  const [before, after] = [first, second].map(({ tables }) => tables["event"]!.chunks.map(({ sha256 }) => sha256));
  expect(after!.slice(0, before!.length - 1)).toEqual(before!.slice(0, -1));
  expect(notes.find((note) => note.startsWith("event:"))).toMatch(
    new RegExp(`^event: \\d+ rows in ${after!.length} chunks, ${before!.length - 1} of them unchanged$`),
  );
  // Nothing is left of what the earlier one alone had.
  expect(await readdir(join(directory, "tables", "event"))).toHaveLength(after!.length);
  expect((await stat(join(directory, "tables", "media_blob", file!))).ino).toBe(inode);
  await verifyExport(directory, () => undefined);
  const place = await newPlace();
  await importTo(place, directory);
  expect(await contents(place.databaseUrl)).toEqual(await contents(app.databaseUrl));
});

/** Runs an export or an import in a process of its own, and kills it as soon as it notes this. */
async function killed(what: "export" | "import", { databaseUrl, dataDir }: Imported, directory: string, when: RegExp) {
  const program = ["--import", "tsx", "test/store/support/transferProcess.ts"];
  const child = spawn(process.execPath, [...program, what, databaseUrl, directory, dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) if (when.test(line)) break;
  child.kill("SIGKILL");
  await exited;
  expect(child.signalCode).toBe("SIGKILL");
}

test("of two exports into one directory at once only one is made, and it is whole", async () => {
  const directory = join(root, "twice");
  const both = await Promise.allSettled([exportTo(directory), exportTo(directory)]);
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const refused = both.find((each): each is PromiseRejectedResult => each.status === "rejected");
  expect(String(refused?.reason)).toContain(`Another export to ${directory} is under way.`);
  await verifyExport(directory, () => undefined);
  // Who waits until it is done may.
  await exportTo(directory);
});

test("an export that is killed goes on where it was, and is no export before", async () => {
  const directory = join(root, "killed");
  await killed("export", { databaseUrl: app.databaseUrl, dataDir: app.dataDir }, directory, /^event:/);
  await expect(verifyExport(directory, () => undefined)).rejects.toThrow("holds no export");
  const notes = await exportTo(directory);
  expect(notes.find((note) => note.startsWith("event:"))).toMatch(/ in (\d+) chunks, \1 of them unchanged$/);
  await verifyExport(directory, () => undefined);
  expect(await readdir(directory)).not.toContain("unfinished.jsonl");
});

test("an import that is killed goes on where it was, and no server starts before it is whole", async () => {
  const place = await newPlace();
  await killed("import", place, whole, /^event:/);
  const done = () => sql(place.databaseUrl, "SELECT name, xmin::text FROM hearth_import ORDER BY name");
  const before = await done();
  expect(before.length).toBeGreaterThan(5);
  await expect(migrate(place.databaseUrl, migrationsDir)).rejects.toThrow("isn't finished");
  const other = join(root, "other");
  await cp(whole, other, { recursive: true });
  await writeFile(
    join(other, "manifest.json"),
    (await readFile(join(whole, "manifest.json"), "utf8")).replace("0.0.0", "0.0.1"),
  );
  await expect(importTo(place, other)).rejects.toThrow("Another export was begun");
  expect(await done()).toEqual(before);
  await importTo(place);
  const restored = await contents(place.databaseUrl);
  const exported = await readManifest(whole);
  for (const [name, { rows }] of Object.entries(exported.tables)) expect(restored[name]).toHaveLength(rows);
  expect(await migrate(place.databaseUrl, migrationsDir)).toEqual([]);
  const triggers = await sql(place.databaseUrl, "SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'");
  expect(triggers).toEqual([]);
});

describe("damage is found and named", () => {
  let directory: string;
  let chunk: string;
  let place: string;
  let target: Imported;

  beforeAll(async () => {
    directory = join(root, "damaged");
    target = await newPlace();
    const { tables } = await readManifest(whole);
    chunk = `tables/event/${tables["event"]!.chunks[1]!.sha256}.copy.gz`;
    place = `media/${(await sql<{ place: string }>(app.databaseUrl, "SELECT place FROM media_blob WHERE state = 'live' LIMIT 1"))[0]!.place}`;
  });

  const cut = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 20);
  const changed = (bytes: Buffer): Buffer => gzipSync(gunzipSync(bytes).toString().replace("m.room", "m.raum"));

  test.each([
    ["a chunk that is cut short", () => chunk, cut],
    ["a chunk with another text", () => chunk, changed],
    ["a chunk that is gone", () => chunk, null],
    ["a file with other bytes", () => place, () => Buffer.from("a picture's bytez")],
    ["a file that is gone", () => place, null],
  ])("%s", async (_what, pathOf, damage) => {
    await rm(directory, { recursive: true, force: true });
    await cp(whole, directory, { recursive: true });
    const path = join(directory, pathOf());
    if (damage === null) await rm(path);
    else await writeFile(path, damage(await readFile(path)));
    await expect(verifyExport(directory, () => undefined)).rejects.toThrow(pathOf());
    // Each goes on where the one before gave up.
    await expect(importTo(target, directory)).rejects.toThrow(pathOf());
  });

  test("once it is put right the import goes on", () => importTo(target, whole));
});

test("what isn't empty, newer or something else is refused", async () => {
  const used = await newPlace();
  const before = await contents(app.databaseUrl);
  await expect(importTo({ ...used, databaseUrl: app.databaseUrl })).rejects.toThrow("holds data already");
  expect(await contents(app.databaseUrl)).toEqual(before);
  await sql(used.databaseUrl, "CREATE TABLE others (id integer)");
  await expect(importTo(used)).rejects.toThrow("tables of something else");
  await expect(exportTo(app.dataDir)).rejects.toThrow("is not empty, and holds no export");

  const newer = join(root, "newer");
  await cp(whole, newer, { recursive: true });
  const manifest = await readManifest(whole);
  manifest.migrations.push({ name: "29991231000000_later", checksum: "0" });
  await writeFile(join(newer, "manifest.json"), JSON.stringify(manifest));
  const place = await newPlace();
  await expect(importTo(place, newer)).rejects.toThrow("29991231000000_later");
  expect(await sql(place.databaseUrl, "SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace")).toEqual([]);
});

test("an export of an earlier release is imported, and brought up to date after it", async () => {
  const names = (await migrationsOf(migrationsDir)).map(({ name }) => name);
  const early = await emptyDatabase();
  // Before profiles told of statuses, and before rooms had lists of their own.
  await migrate(early, migrationsDir, names.slice(0, 9));
  await sql(
    early,
    "INSERT INTO server_setting VALUES ('server_name', 'localhost'), ('epoch', 'e'), ('token_secret', 's')",
  );
  await sql(early, "INSERT INTO account (user_id) VALUES ('@old:localhost')");
  const directory = join(root, "early");
  await exportTo(directory, early);
  const place = await newPlace();
  await importTo(place, directory);
  expect(await migrate(place.databaseUrl, migrationsDir)).toEqual([]);
  expect(await sql(place.databaseUrl, "SELECT user_id FROM account")).toEqual([{ user_id: "@old:localhost" }]);
  // A database that is further than the export already can't be filled with it.
  await expect(importTo({ ...place, databaseUrl: await freshDatabase() }, directory)).rejects.toThrow("newer release");
  await importTo({ ...place, databaseUrl: await freshDatabase() });
});
