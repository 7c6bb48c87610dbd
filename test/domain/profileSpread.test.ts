import { afterAll, beforeAll, expect, test } from "vitest";
import { act, type ActionTools } from "../../src/domain/actions/act.ts";
import { membershipDraft } from "../../src/domain/actions/membership.ts";
import { authoriseAll, present } from "../../src/domain/actions/plan.ts";
import { setProfile } from "../../src/domain/actions/setProfile.ts";
import { createProfileSpread } from "../../src/domain/profiles/spread.ts";
import type { Log } from "../../src/model/ports.ts";
import type { Requester } from "../../src/model/requester.ts";
import { joinedRooms } from "../../src/store/rooms.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const asleep = { wake: () => undefined };

let server: TestApp;
let tools: ActionTools;
let alice: Client;
let requester: Requester;
beforeAll(async () => {
  server = await startApp();
  tools = server.app.domain.tools;
  alice = await server.user("alice");
  requester = { userId: alice.userId, deviceId: alice.deviceId, admin: false, tokenId: "" };
  // Its own looks for changes would come between.
  await server.app.domain.profileSpread.close();
});
afterAll(async () => {
  await alice.close();
  expect(server.errors).toEqual([]);
  await server.close();
});

async function names(): Promise<string[]> {
  const rows = await sql<{ name: string }>(
    server.databaseUrl,
    `SELECT content::jsonb ->> 'displayname' AS name FROM event WHERE type = 'm.room.member.profile' ORDER BY position`,
  );
  return rows.map(({ name }) => name);
}

async function notes(): Promise<number> {
  return (await sql(server.databaseUrl, "SELECT user_id FROM profile_change")).length;
}

test("[PRO-3] a change that nobody was woken for is come upon, once, by one of several that look", async () => {
  const rooms = 120;
  await Promise.all(Array.from({ length: rooms }, () => alice.createRoom()));
  await setProfile(tools, requester, { key: "displayname", value: "Alice" }, asleep);
  const times = { sweepMs: 50, lastLookMs: 100 };
  const spreads = [1, 2, 3].map(() => createProfileSpread({ tools, log: silent, ...times }));
  await until(async () => (await notes()) === 0);
  expect(await names()).toEqual(Array.from({ length: rooms }, () => "Alice"));
  await Promise.all(spreads.map((spread) => spread.close()));
});

test("[PRO-3] who takes over from one that died finds what is left, and doubles nothing", async () => {
  const before = (await names()).length;
  await setProfile(tools, requester, { key: "displayname", value: "Alicia" }, asleep);
  const first = createProfileSpread({ tools, log: silent, leaseMs: 300, sweepMs: 20 });
  await until(async () => (await names()).length > before);
  await first.close();
  const reached = (await names()).length - before;
  // As it is left behind by a process that was killed: taken, and by nobody.
  await sql(
    server.databaseUrl,
    "UPDATE profile_change SET reached = false, lease_until = now() + interval '300 milliseconds'",
  );
  const second = createProfileSpread({ tools, log: silent, sweepMs: 20, lastLookMs: 50 });
  await until(async () => (await notes()) === 0);
  expect(reached).toBeGreaterThan(0);
  expect((await names()).slice(before)).toEqual(Array.from({ length: 120 }, () => "Alicia"));
  await second.close();
});

test("[PRO-3] [PRO-4] a room that was being joined while the profile changed shows it too", async () => {
  const spread = createProfileSpread({ tools, log: silent, sweepMs: 50, lastLookMs: 500 });
  const bob = await server.user("bob");
  const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
  await setProfile(tools, requester, { key: "displayname", value: "Ally" }, spread);
  await until(async () => (await names()).filter((name) => name === "Ally").length === 120);
  // A join that was planned before the change, and is appended after all rooms were gone through.
  await act(tools, {
    requester,
    name: "joinRoom",
    input: {},
    roomId,
    plan(known) {
      const room = present(known);
      const draft = membershipDraft(alice.userId, alice.userId, "join");
      return { append: authoriseAll([draft], room, tools.serverName), room };
    },
  });
  expect((await names()).filter((name) => name === "Ally")).toHaveLength(120);
  await until(async () => (await names()).filter((name) => name === "Ally").length === 121);
  await until(async () => (await notes()) === 0);
  await spread.close();
  await bob.close();
});

test("[PRO-1] [EV-8] the profile is kept while the store refuses the events, and reaches rooms later", async () => {
  const url = server.databaseUrl;
  await sql(
    url,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.type = 'm.room.member.profile' THEN RAISE EXCEPTION 'broken' USING ERRCODE = '58030'; END IF;
       RETURN NEW; END $$`,
  );
  await sql(url, "CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()");
  const spread = createProfileSpread({ tools, log: silent, sweepMs: 50, lastLookMs: 50, leaseMs: 100 });
  const before = (await names()).length;
  await setProfile(tools, requester, { key: "displayname", value: "Al" }, spread);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(await names()).toHaveLength(before);
  await sql(url, "DROP TRIGGER refuse ON event");
  await until(async () => (await names()).length === before + 121, undefined, 30_000);
  await spread.close();
  server.errors.length = 0;
});

test("[PRO-3] a room that fails keeps the profile from no other", async () => {
  const url = server.databaseUrl;
  const spread = createProfileSpread({ tools, log: silent, sweepMs: 50, lastLookMs: 50, leaseMs: 200 });
  const [first] = (await joinedRooms(tools.database.reader, [alice.userId])).get(alice.userId)!;
  await sql(
    url,
    `CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.room_id = '${first!}' THEN RAISE EXCEPTION 'broken' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$`,
  );
  await sql(url, "CREATE TRIGGER refuse_one BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse_one()");
  const shown = async (): Promise<number> => (await names()).filter((name) => name === "Alix").length;
  await setProfile(tools, requester, { key: "displayname", value: "Alix" }, spread);
  await until(async () => (await shown()) === 120);
  await sql(url, "DROP TRIGGER refuse_one ON event");
  await until(async () => (await shown()) === 121);
  await spread.close();
  server.errors.length = 0;
});
