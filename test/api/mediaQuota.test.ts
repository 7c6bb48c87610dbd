import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Requester } from "../../src/model/requester.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { download, filesIn, sha256, tryUpload, upload } from "../kit/media.ts";
import { until } from "../kit/until.ts";

/** Two processes of one server: they share the database and the data directory. */
let one: TestApp;
let two: TestApp;
const media = { maxBytes: 100_000, quotaBytes: 100_000, s3: null };

beforeAll(async () => {
  one = await startApp({ mirrors: false, config: { media } });
  two = await startApp({
    mirrors: false,
    databaseUrl: one.databaseUrl,
    config: { media: { ...media, quotaBytes: 0 }, dataDir: one.dataDir },
  });
});

afterAll(async () => {
  await two.close();
  await one.close();
  expect([...one.errors, ...two.errors]).toEqual([]);
});

function requester({ userId, deviceId }: Client): Requester {
  return { userId, deviceId, admin: false, tokenId: "" };
}

async function usedBy(client: Client): Promise<number> {
  return (await one.app.domain.media.usage(client.userId)).bytes;
}

test("[AS-14] uploads that come at once pass the quota of their user by nothing", async () => {
  const alice = await one.user("alice");
  await upload(alice, randomBytes(15_000));
  // Whoever looks how much there is before anybody adds to it, looks now.
  const holder = new pg.Client(one.databaseUrl);
  await holder.connect();
  await holder.query("BEGIN; UPDATE media_usage SET bytes = bytes");
  const uploads = Array.from({ length: 20 }, () => tryUpload(alice, randomBytes(30_000)));
  await until(async () => {
    const waiting = await holder.query(
      "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')",
    );
    return waiting.rowCount! >= 4;
  });
  await holder.query("COMMIT");
  await holder.end();
  const answers = await Promise.all(uploads);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused).toHaveLength(18);
  for (const { status, body } of refused) expect([status, body]).toMatchObject([403, { errcode: "M_FORBIDDEN" }]);
  expect(refused[0]!.body).toMatchObject({ quotaBytes: 100_000, code: "FORBIDDEN" });
  expect(await usedBy(alice)).toBe(75_000);
  // Nothing is kept of what was refused; and whoever has room goes on.
  await until(async () => (await filesIn(one.dataDir, "files")).length === 3);
  expect(await filesIn(one.dataDir, "spool")).toEqual([]);
  expect(await tryUpload(alice, randomBytes(25_001))).toMatchObject({ status: 403 });
  expect(await tryUpload(alice, randomBytes(25_000))).toMatchObject({ status: 200 });
  const bob = await one.user("bob");
  expect(await tryUpload(bob, randomBytes(90_000))).toMatchObject({ status: 200 });
});

test("[AS-14] what is deleted makes room, and its bytes go with the last file that has them", async () => {
  const [carol, dora] = [await one.user("carol"), await one.user("dora")];
  const bytes = randomBytes(60_000);
  const [first, second] = [await upload(carol, bytes), await upload(dora, bytes)];
  const stored = async () => (await filesIn(two.dataDir, "files")).filter((path) => path.includes(sha256(bytes)));
  expect(await stored()).toHaveLength(1);
  expect(await tryUpload(carol, randomBytes(60_000))).toMatchObject({ status: 403 });
  await expect(one.app.domain.media.delete(requester(carol), { mxc: second })).rejects.toMatchObject({
    code: "FORBIDDEN",
  });
  expect(await one.app.domain.media.delete(requester(carol), { mxc: first })).toBe(first);
  expect((await download(carol, first)).status).toBe(404);
  expect((await download(carol, second)).status).toBe(200);
  expect(await usedBy(carol)).toBe(0);
  expect(await stored()).toHaveLength(1);
  await two.app.domain.media.delete(requester(dora), { mxc: second });
  expect(await stored()).toEqual([]);
  const left = await sql(one.databaseUrl, "SELECT FROM media_blob WHERE sha256 = decode($1, 'hex')", [sha256(bytes)]);
  expect(left).toEqual([]);
  await expect(one.app.domain.media.delete(requester(dora), { mxc: second })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  for (const mxc of ["mxc://elsewhere.example/x", `mxc://localhost/${"x".repeat(22)}`])
    await expect(one.app.domain.media.delete(requester(dora), { mxc })).rejects.toMatchObject({ code: "NOT_FOUND" });
  for (const mxc of ["", "mxc://localhost/a/b", "mxc://localhost/..", "https://x.org/y"])
    await expect(one.app.domain.media.delete(requester(dora), { mxc })).rejects.toMatchObject({ code: "BAD_INPUT" });
});

test("[AS-14] the same bytes deleted and uploaded again, over and over in two processes, are there whenever a file has them", async () => {
  const fred = await one.user("fred");
  const bytes = randomBytes(5000);
  const people = [one, two].flatMap((app) => [app, app, app]);
  await Promise.all(
    people.map(async (app) => {
      const client = Object.assign(Object.create(Object.getPrototypeOf(fred) as object), fred, {
        address: app.address,
      }) as Client;
      for (let round = 0; round < 25; round++) {
        const mxc = await upload(client, bytes);
        const got = await download(client, mxc);
        expect([got.status, (await got.arrayBuffer()).byteLength]).toEqual([200, bytes.length]);
        await app.app.domain.media.delete(requester(fred), { mxc });
      }
    }),
  );
  await one.app.domain.media.clean();
  const rows = await sql(one.databaseUrl, "SELECT state FROM media_blob WHERE sha256 = decode($1, 'hex')", [
    sha256(bytes),
  ]);
  expect(rows).toEqual([]);
  expect((await filesIn(one.dataDir, "files")).filter((path) => path.includes(sha256(bytes)))).toEqual([]);
  expect(await usedBy(fred)).toBe(0);
});

test("[AS-14] all that a user has is listed, and deleted at once", async () => {
  const gina = await two.user("gina");
  const uris: string[] = [];
  for (let n = 0; n < 205; n++) uris.push(await upload(gina, `file ${n % 100}`, { name: `${n}.txt` }));
  const listed: string[] = [];
  for await (const { mxc } of one.app.domain.media.mediaOf(gina.userId)) listed.push(mxc);
  expect(listed).toEqual(uris);
  expect(await usedBy(gina)).toBeGreaterThan(0);
  expect(await one.app.domain.media.deleteAllOf(gina.userId)).toBe(205);
  expect(await one.app.domain.media.deleteAllOf(gina.userId)).toBe(0);
  expect(await usedBy(gina)).toBe(0);
  expect((await download(gina, uris[7]!)).status).toBe(404);
  const left = await filesIn(one.dataDir, "files");
  expect(left.filter((path) => path.includes(sha256(Buffer.from("file 7"))))).toEqual([]);
});

test("[AS-14] bytes whose process ended before they became a file are removed", async () => {
  const harry = await two.user("harry");
  const bytes = randomBytes(100);
  await upload(harry, bytes);
  // As if nobody had come to the end of the upload.
  await sql(one.databaseUrl, "DELETE FROM media WHERE sha256 = decode($1, 'hex')", [sha256(bytes)]);
  const age = (interval: string) =>
    sql(
      one.databaseUrl,
      "UPDATE media_blob SET state = 'pending', changed_at = now() - $2::interval WHERE sha256 = decode($1, 'hex')",
      [sha256(bytes), interval],
    );
  const stored = async () => (await filesIn(one.dataDir, "files")).filter((path) => path.includes(sha256(bytes)));
  // Somebody may be at it still.
  await age("10 minutes");
  await one.app.domain.media.clean();
  expect(await stored()).toHaveLength(1);
  await age("2 hours");
  await one.app.domain.media.clean();
  expect(await stored()).toEqual([]);
});
