import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { stripEvents } from "../../src/store/accountDeletion.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { freshDatabase } from "../kit/app.ts";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase, sql } from "../kit/database.ts";
import { pagesOf, watchPlans } from "../kit/plans.ts";

const rooms = 20_000;
/** Each by what of it stands in how many names. */
const name = `'Room ' || n || ' about ' || CASE WHEN n % 100 = 7 THEN 'seldom' ELSE 'often' END || ' and Ж' || n % 10
  || CASE WHEN n = 777 THEN ' 100%_\\sure zebra 京都' ELSE '' END`;

let url: string;
let database: Database;
beforeAll(async () => {
  url = await freshDatabase();
  await sql(url, "DROP INDEX published_room_grams");
  await sql(
    url,
    `INSERT INTO published_room (room_id, name, search_text)
     SELECT '!room' || n || ':localhost', ${name}, directory_text(${name}) FROM generate_series(1, ${rooms}) AS n`,
  );
  await sql(
    url,
    `INSERT INTO published_rank (id, members, search_bytes)
     SELECT id, id * 7919 % 97, convert_to(search_text, 'UTF8') FROM published_room`,
  );
  await sql(
    url,
    "CREATE INDEX published_room_grams ON published_room USING gin (directory_grams(search_text)) WITH (fastupdate = off)",
  );
  await sql(url, "VACUUM ANALYZE published_room, published_rank");
  database = openDatabase(url, { readers: 1 });
}, 60_000);
afterAll(() => database.close());

/** What is found, and the pages of 8 KB that were looked at for it, by the plan that is kept. */
async function find(search: string): Promise<{ ids: number[]; pages: number }> {
  const { connection, plans } = watchPlans(database.reader);
  const rows = await connection.$queryRawUnsafe<{ ids: number[] }[]>("SELECT find_published($1) AS ids", search);
  return { ids: rows[0]!.ids, pages: pagesOf(plans) };
}

test.each([
  ["in all", "room", rooms],
  ["in ten of a hundred", "ж3", rooms / 10],
  ["in one of a hundred", "seldom", rooms / 100],
  ["in one of a hundred, of sixteen grams and more", "about seldom and ж", rooms / 100],
  ["in one", "zebra", 1],
  ["in one, of what looks like a pattern", "0%_\\s", 1],
  ["of two characters, in one", "京都", 1],
  ["of two characters, in all", "oo", rooms],
  ["of one character, in one", "京", 1],
  ["of grams that are all there, but not together", "arb and zeb", 0],
  ["in none", "nowhere", 0],
  ["the empty text", "", rooms],
])("[DIR-1] a text %s is found where it occurs, in order", async (_where, search, count) => {
  const { ids } = await find(search);
  const right = await sql<{ id: number }>(
    url,
    `SELECT id FROM published_room JOIN published_rank USING (id) WHERE strpos(search_text, $1) > 0 OR $1 = ''
     ORDER BY members DESC, id`,
    [search],
  );
  expect(right).toHaveLength(count);
  expect(ids).toEqual(right.map(({ id }) => id));
});

/** How often a search goes through the index of grams and that of the order. */
async function scans(search: string): Promise<{ grams: number; order: number }> {
  return database.reader.$transaction(async (connection) => {
    const counted = async (): Promise<{ grams: number; order: number }> => {
      const [row] = await connection.$queryRawUnsafe<{ grams: number; order: number }[]>(
        `SELECT pg_stat_get_xact_numscans('published_room_grams'::regclass)::integer AS grams,
           pg_stat_get_xact_numscans('published_rank_order'::regclass)::integer AS order`,
      );
      return row!;
    };
    // The counters keep what earlier transactions haven't reported yet.
    const before = await counted();
    await connection.$queryRawUnsafe("SELECT cardinality(find_published($1))", search);
    const after = await counted();
    return { grams: after.grams - before.grams, order: after.order - before.order };
  });
}

test("[DIR-1] what is rare is found by the index of grams, all else by one walk in the order of the answer", async () => {
  for (const search of ["zebra", "京都", "seldom", "nowhere"]) {
    expect(await scans(search), search).toEqual({ grams: 1, order: 0 });
  }
  for (const search of ["room", "oo", "ж3", "京", ""]) {
    expect(await scans(search), search).toEqual({ grams: 0, order: 1 });
  }
  // Four hundred probes of two or three pages tell which.
  const sample = (await find("nowhere")).pages;
  expect(sample).toBeLessThan(1400);
  expect((await find("zebra")).pages).toBeLessThan(sample + 20);
  expect((await find("seldom")).pages).toBeLessThan(sample + 6 * (rooms / 100));
});

test("[DIR-2] somebody who joins writes nothing into the index of texts", async () => {
  const grams = "SELECT pg_stat_get_xact_tuples_updated('published_room'::regclass)::integer AS updated";
  await sql(url, "INSERT INTO member VALUES ('!room5:localhost', '@a:localhost', 'join', 1, '$a')");
  const [rank] = await sql(url, "SELECT members FROM published_rank WHERE id = 5");
  expect(rank).toEqual({ members: ((5 * 7919) % 97) + 1 });
  const counted = await database.reader.$transaction(async (connection) => {
    await connection.$executeRawUnsafe(
      "INSERT INTO member VALUES ('!room5:localhost', '@b:localhost', 'join', 2, '$b')",
    );
    return connection.$queryRawUnsafe<{ updated: number }[]>(grams);
  });
  expect(counted).toEqual([{ updated: 0 }]);
});

test.each([
  ["m.room.name", "_", '{"name":["odd"]}', {}],
  ["m.room.name", "_", '{"name":""}', {}],
  ["m.room.name", "_", '{"name":null}', {}],
  ["m.room.name", "_", '{"name":"even"}', { name: "even" }],
  ["m.room.name", "another", '{"name":"odd"}', {}],
  ["m.room.topic", "_", '{"topic":7}', {}],
  ["m.room.topic", "_", "{}", {}],
  ["m.room.avatar", "_", '{"url":{"url":"odd"}}', {}],
  ["m.room.avatar", "_", '{"url":"mxc://localhost/a"}', { avatar: "mxc://localhost/a" }],
  ["m.room.aliases", "localhost", '{"aliases":"odd"}', {}],
  [
    "m.room.aliases",
    "localhost",
    '{"aliases":["#b:localhost",7,"#a:localhost"]}',
    { aliases: ["#b:localhost", "#a:localhost"] },
  ],
  ["m.room.aliases", "example.org", '{"aliases":["#odd:example.org"]}', {}],
  ["m.room.name", "_", null, {}],
])("[DIR-1] of %s under %s with the content %s it is told what is text", async (type, key, content, told) => {
  await sql(url, "INSERT INTO server_setting VALUES ('server_name', 'localhost') ON CONFLICT DO NOTHING");
  await sql(
    url,
    "DELETE FROM current_state; DELETE FROM event; DELETE FROM published_room WHERE room_id = '!odd:localhost'; DELETE FROM published_rank WHERE id > 20000; DELETE FROM room",
  );
  await sql(
    url,
    "INSERT INTO room (room_id, creator, created_at, auth_version, published) VALUES ('!odd:localhost', '@a:localhost', now(), 1, true)",
  );
  await sql(
    url,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content)
     VALUES (1, '$1', '!odd:localhost', 1, '', $1, $2, '@a:localhost', 1, $3)`,
    [type, key, content],
  );
  await sql(url, "INSERT INTO current_state VALUES ('!odd:localhost', $1, $2, 1, '$1', $3::text IS NULL)", [
    type,
    key,
    content,
  ]);
  const shown = await sql(
    url,
    "SELECT name, topic, avatar, aliases FROM published_room WHERE room_id = '!odd:localhost'",
  );
  expect(shown).toEqual([{ name: null, topic: null, avatar: null, aliases: [], ...told }]);
});

test("[DIR-1] the migration lists what was published before, as it is then", async () => {
  const name = "20261123010000_published_rooms";
  const before = await mkdtemp(join(tmpdir(), "hearth-test-migrations-"));
  await cp("prisma/migrations", before, { recursive: true });
  const later = (await readdir(before)).filter((each) => each >= name && each.startsWith("2"));
  for (const each of later) await rm(join(before, each), { recursive: true });
  const old = await createDatabase(inject("postgresUrl"), `before_directory_${process.pid}`, null);
  await migrate(old, before);
  await rm(before, { recursive: true });
  await sql(
    old,
    `INSERT INTO room (room_id, creator, created_at, auth_version, published)
     VALUES ('!in:localhost', '@a:localhost', now(), 1, true), ('!out:localhost', '@a:localhost', now(), 1, false)`,
  );
  await sql(
    old,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content)
     SELECT n, '$' || n, CASE n WHEN 1 THEN '!in' ELSE '!out' END || ':localhost', n, '', 'm.room.name', '_', '@a:localhost', 1,
       '{"name":"ÄLTER"}' FROM generate_series(1, 2) AS n`,
  );
  await sql(old, "INSERT INTO current_state SELECT room_id, type, state_key, position, event_id, false FROM event");
  await sql(
    old,
    "INSERT INTO member VALUES ('!in:localhost', '@a:localhost', 'join', 1, '$1'), ('!in:localhost', '@b:localhost', 'leave', 1, '$1')",
  );
  expect(await migrate(old, "prisma/migrations")).toContain(name);
  const [found] = await sql<{ ids: number[] }>(old, "SELECT find_published(directory_text('älter')) AS ids");
  const listed = await sql(old, "SELECT id, room_id, name, members FROM published_room JOIN published_rank USING (id)");
  expect(listed).toEqual([{ id: found!.ids[0], room_id: "!in:localhost", name: "ÄLTER", members: 1 }]);
});

test("[DIR-1] [ACC-3] stripping events, which takes no lock, writes nothing into the directory", async () => {
  await sql(
    url,
    "INSERT INTO room (room_id, creator, created_at, auth_version, published) VALUES ('!renamed:localhost', '@a:localhost', now(), 1, true)",
  );
  await sql(
    url,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content)
     VALUES (101, '$101', '!renamed:localhost', 101, '', 'm.room.name', '_', '@a:localhost', 1, '{"name":"before"}')`,
  );
  await sql(url, "INSERT INTO current_state VALUES ('!renamed:localhost', 'm.room.name', '_', 101, '$101', false)");
  // As whoever appends a new name tells it, when the other has read the old one.
  await sql(url, "UPDATE published_room SET name = 'after' WHERE room_id = '!renamed:localhost'");
  await stripEvents(database.reader, [101]);
  const shown = await sql(url, "SELECT name FROM published_room WHERE room_id = '!renamed:localhost'");
  expect(shown).toEqual([{ name: "after" }]);
});

test("[DIR-1] [EV-8] thousands of accents upon one letter hold up nobody: only the beginning of a text is folded", async () => {
  const begun = performance.now();
  const [row] = await sql<{ folded: string }>(
    url,
    "SELECT directory_text('Beginning ' || repeat(U&'\\0316\\0301', 14000) || ' end') AS folded",
  );
  expect(performance.now() - begun).toBeLessThan(2_000);
  expect(row!.folded).toMatch(/^beginning/);
  expect(row!.folded).toHaveLength(1000);
});
