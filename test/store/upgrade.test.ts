import { createHash, randomBytes } from "node:crypto";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { migrate } from "../../src/store/migrate.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { createDatabase } from "../kit/database.ts";

/** What the writer of the first release handed to `append_batch`: rooms, members, messages of all kinds, markers, a ban. */
const batches = JSON.parse(readFileSync(join(import.meta.dirname, "support/firstRelease.json"), "utf8")) as unknown[];

const migrations = (await readdir("prisma/migrations")).filter((name) => /^\d/.test(name)).sort();
/** The last migration of the first release. */
const firstRelease = "20261121000007_policy_review";
/** Every set of migrations that a database may have stopped at, but the newest. */
const stops = migrations.slice(migrations.indexOf(firstRelease), -1);

/** The rooms of it. Requests were remembered by a hash that has the room in it, so that one goes by the id that it was given. */
const open = "!gnw3tIQx6_phUANRFHWp:localhost";
const closed = "!closed:localhost";

const tokens: Record<string, string> = { phone: "hearth_of_the_phone", laptop: "hearth_of_the_laptop" };
/** Argon2id of the test kit's password, in the form that the first release wrote. */
const passwordHash =
  "$argon2id$v=19$m=19456,t=2,p=1$YPTZkdbicW8VAYQg+znUJA$zTBQuVtEcZYQgSIwzgVQzTro1Dhbvkm5IXBDyUK5Ydk";

/** A database that stopped at a migration, with a store in it as the release of that time made it. */
async function storeOf(last: string): Promise<string> {
  const url = await createDatabase(inject("postgresUrl"), `upgrade_${randomBytes(6).toString("hex")}`, null);
  const directory = await mkdtemp(join(tmpdir(), "hearth-upgrade-"));
  for (const name of migrations.slice(0, migrations.indexOf(last) + 1)) {
    await cp(join("prisma/migrations", name), join(directory, name), { recursive: true });
  }
  await migrate(url, directory);
  await rm(directory, { recursive: true });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const run = (text: string, ...values: unknown[]) => client.query(text, values);
  await run(
    `INSERT INTO server_setting VALUES ('token_secret', 'a secret of the first release'), ('epoch', 'first'),
       ('server_name', 'localhost'), ('signing_seed', $1)`,
    Buffer.alloc(32, 1).toString("base64url"),
  );
  await run(
    `INSERT INTO account (user_id, password_hash, admin, created_at) VALUES ('@alice:localhost', $1, true, '2026-11-21'),
       ('@bob:localhost', $1, false, '2026-11-21'), ('@carol:localhost', $1, false, '2026-11-21'),
       ('@root:localhost', $1, true, '2026-11-21'), ('@shut:localhost', $1, false, '2026-11-21')`,
    passwordHash,
  );
  await run(
    "UPDATE account SET deactivated_at = '2026-11-21', deactivation_reason = 'spam' WHERE user_id = '@shut:localhost'",
  );
  await run(
    `INSERT INTO device (user_id, device_id, name) VALUES ('@alice:localhost', 'phone', 'Pocket'),
       ('@alice:localhost', 'tablet', NULL), ('@bob:localhost', 'laptop', NULL)`,
  );
  for (const [user, device] of [
    ["@alice:localhost", "phone"],
    ["@bob:localhost", "laptop"],
  ] as const) {
    const hash = createHash("sha256").update(tokens[device]!).digest();
    await run(
      "INSERT INTO access_token (id, secret_hash, user_id, device_id) VALUES ($1, $2, $3, $1)",
      device,
      hash,
      user,
    );
  }
  await run(
    `INSERT INTO device_key (user_id, device_id, key_id, public_key) VALUES ('@alice:localhost', 'phone', 'ed25519:one', $1)`,
    Buffer.alloc(32, 7).toString("base64").replace("=", ""),
  );
  await run("INSERT INTO registration_token (token, uses_left) VALUES ('come-in', 3)");
  await run(`INSERT INTO profile (user_id, key, value) VALUES ('@alice:localhost', 'displayname', '"Alice"')`);
  for (const batch of batches) await run("SELECT append_batch($1::jsonb)", JSON.stringify(batch));
  await run(
    `INSERT INTO room_alias (alias, room_id, creator) VALUES ('#open:localhost', '${open}', '@alice:localhost')`,
  );
  await client.end();
  return url;
}

type Rows = Record<string, Record<string, unknown>[]>;

/** All rows of all tables. */
async function allRows(url: string): Promise<Rows> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_stat_user_tables WHERE relname <> '_prisma_migrations' ORDER BY relname",
  );
  const found: Rows = {};
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: Record<string, unknown> }>(
      `SELECT to_jsonb(each) AS row FROM ${name} AS each ORDER BY to_jsonb(each)::text`,
    );
    found[name] = rows.map(({ row }) => row);
  }
  await client.end();
  return found;
}

/** The rows with the columns that both have, in an order of their own. */
function shared(rows: Rows, other: Rows): Record<string, string[]> {
  const tables = Object.keys(rows).filter((name) => name in other && rows[name]!.length > 0);
  return Object.fromEntries(
    tables.map((name) => {
      const columns = Object.keys(rows[name]![0]!).filter((column) => column in (other[name]![0] ?? {}));
      const kept = rows[name]!.map((row) => JSON.stringify(columns.map((column) => [column, row[column]])));
      return [name, kept.sort()];
    }),
  );
}

test.each(stops)("a store that stopped at %s upgrades to the newest with all its rows", async (last) => {
  const url = await storeOf(last);
  const before = await allRows(url);
  expect(before["event"]!.length).toBeGreaterThan(30);
  expect(await migrate(url, "prisma/migrations")).toEqual(migrations.slice(migrations.indexOf(last) + 1));
  const after = await allRows(url);
  const kept = shared(before, after);
  const filled = Object.keys(before).filter((name) => before[name]!.length > 0);
  expect(Object.keys(kept).sort()).toEqual(filled.sort());
  expect(shared(after, before)).toMatchObject(kept);
  // Nothing that held several columns is down to a few.
  expect(Object.keys(JSON.parse(kept["event"]![0]!) as object).length).toBeGreaterThan(20);
});

describe("the newest server on a store of the first release", () => {
  let server: TestApp;
  let alice: Client;
  let bob: Client;

  beforeAll(async () => {
    const url = await storeOf(firstRelease);
    await migrate(url, "prisma/migrations");
    server = await startApp({ databaseUrl: url, mirrors: false });
    alice = new Client(server.address, tokens["phone"]!, "@alice:localhost", "phone");
    bob = new Client(server.address, tokens["laptop"]!, "@bob:localhost", "laptop");
  });

  afterAll(async () => {
    await Promise.all([alice.close(), bob.close()]);
    await server.close();
    expect(server.errors).toEqual([]);
  });

  const bodiesOf = async (client: Client, roomId: string): Promise<(string | null)[]> => {
    const { scrollback } = await client.do<{
      scrollback: { events: { nodes: { kind: string; typed: { body?: string } | null }[] } };
    }>(
      `query ($roomId: ID!) { scrollback(roomId: $roomId, last: 50) {
         events { nodes { kind ... on MessageEvent { typed { ... on TextContent { body } } } } } } }`,
      { roomId },
    );
    return scrollback.events.nodes
      .filter(({ kind }) => kind === "MESSAGE")
      .flatMap(({ typed }) => (typed?.body === undefined ? [] : [typed.body]));
  };

  test("tokens hold, and so do passwords", async () => {
    const who = "{ viewer { user { id displayName } admin device { deviceId name } } }";
    expect(await alice.do(who)).toEqual({
      viewer: {
        user: { id: "@alice:localhost", displayName: "Alice" },
        ...{ admin: true, device: { deviceId: "phone", name: "Pocket" } },
      },
    });
    const carol = await Client.login(server.address, "carol", "new");
    expect(await carol.code(who)).toBeNull();
    await expect(Client.login(server.address, "shut", "new")).rejects.toThrow("BAD_CREDENTIALS");
  });

  test("rooms have their state and their timelines, as far as each may read", async () => {
    expect(await bodiesOf(alice, open)).toEqual(expect.arrayContaining(["hello", "in a thread"]));
    const all = (await bodiesOf(alice, open)).join();
    expect(all).not.toMatch(/taken back|to be rejected/);
    expect(await bodiesOf(alice, closed)).toEqual(["before the others", "after bob", "from the tablet"]);
    // Whoever left a room of strict visibility reads on to where they left.
    expect(await bodiesOf(bob, closed)).toEqual(["before the others"]);
    const room = await alice.do(
      `{ room(id: "${open}") { name topic memberCount aliases stateEvent(type: "m.custom", stateKey: "_one") { content } }
         roomAlias(alias: "#open:localhost") { roomId } }`,
    );
    expect(room).toMatchObject({
      room: {
        name: "Open house",
        topic: "Everybody, and more",
        memberCount: 2,
        stateEvent: { content: { any: true } },
      },
      roomAlias: { roomId: open },
    });
    const carol = await Client.login(server.address, "carol", "again");
    expect(await carol.code(`mutation { joinRoom(input: { target: { roomId: "${open}" } }) { event { id } } }`)).toBe(
      "FORBIDDEN",
    );
  });

  test("action ids give their first outcome, and all goes on: positions, streams, markers", async () => {
    const follow = await alice.follow();
    expect(await bob.send(open, "hello", "greeting")).toBe("$event17");
    const eventId = await bob.send(open, "after the upgrade");
    await follow.sees(eventId);
    follow.stop();
    expect((await bodiesOf(alice, open)).at(-1)).toBe("after the upgrade");
    expect((await alice.mark(eventId)).eventId).toBe(eventId);
    const [row] = (await allRows(server.databaseUrl))["event"]!.filter((event) => event["event_id"] === eventId);
    const positions = (await allRows(server.databaseUrl))["event"]!.map((event) => Number(event["position"]));
    expect(Number(row!["position"])).toBe(Math.max(...positions));
  });
});
