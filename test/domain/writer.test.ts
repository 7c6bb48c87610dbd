import { afterAll, beforeAll, expect, test } from "vitest";
import { RoomAuthority } from "../../src/domain/rules/authority.ts";
import { sendMessage } from "../../src/domain/actions/sendMessages.ts";
import { placeBetween } from "../../src/model/order.ts";
import type { BatchUnit, PlacedDraft } from "../../src/store/append.ts";
import { eventsById } from "../../src/store/events.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { holdAppendLock, sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
});
afterAll(() => server.close());

let made = 0;
function draft(body: string, more: Partial<PlacedDraft> = {}): PlacedDraft {
  const content = JSON.stringify({ body, msgtype: "m.text" });
  return {
    ...{ eventId: `$made${made++}`, type: "m.room.message", sender: alice.userId, content, sentAt: Date.now() },
    ...{ device: null, suppressed: false, authVersion: null },
    ...more,
  };
}

async function versionOf(roomId: string): Promise<number> {
  return (await server.app.domain.tools.authorities.load(roomId, []))!.version!;
}

async function unit(roomId: string, events: PlacedDraft[], more: Partial<BatchUnit> = {}): Promise<BatchUnit> {
  const version = await versionOf(roomId);
  return { roomId, version, nextVersion: null, newRoom: null, action: null, answerIds: [], events, ...more };
}

test("[ACT-8] one bad unit doesn't sink the batch that it came with", async () => {
  const room = await alice.createRoom();
  const { writer } = server.app.domain.tools;
  const units = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      unit(room, [draft(`message ${index}`, index === 13 ? { sentAt: 1e30 } : {})]),
    ),
  );
  const outcomes = await Promise.allSettled(units.map((each) => writer.append(each)));
  expect(outcomes.map((outcome) => outcome.status)).toEqual(
    units.map((_, index) => (index === 13 ? "rejected" : "fulfilled")),
  );
  expect(await alice.timeline(room)).toEqual(
    expect.arrayContaining(units.filter((_, index) => index !== 13).map((each) => each.events[0]!.eventId)),
  );
  expect(server.errors.splice(0)).toMatchObject([{ message: "the store refused a unit" }]);
});

test("[EV-9] a unit that was authorised on an older room is stale and leaves nothing", async () => {
  const room = await alice.createRoom();
  const late = await unit(room, [draft("too late")]);
  await alice.setState(room, "m.room.join_rules", { join_rule: "public" });
  expect(await server.app.domain.tools.writer.append(late)).toEqual({ outcome: "stale" });
  expect(await alice.timeline(room)).not.toContain(late.events[0]!.eventId);
});

test("[EV-9] however often a room changes, an action gets through: at last it is authorised under the lock", async () => {
  const room = await alice.createRoom();
  const { tools } = server.app.domain;
  let asked = 0;
  const authorities = {
    ...tools.authorities,
    async load(): Promise<RoomAuthority> {
      asked++;
      const rules = {
        roomId: room,
        version: 1,
        creator: alice.userId,
        powerContent: null,
        joinRule: "invite" as const,
        visibility: "shared" as const,
      };
      return new RoomAuthority(rules, new Map([[alice.userId, "join"]]));
    },
  };
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: false, tokenId: "" };
  const input = { roomId: room, message: { content: { text: { body: "through" } } } };
  const event = await sendMessage({ ...tools, authorities }, requester, input);
  expect(asked).toBe(3);
  expect((await alice.timeline(room)).at(-1)).toBe(event.eventId);
});

test("[EV-9] what is remembered of a room refuses nobody whom another process let in", async () => {
  const room = await alice.createRoom();
  const { tools } = server.app.domain;
  let forgotten = false;
  const authorities = {
    ...tools.authorities,
    forget: () => void (forgotten = true),
    async load(roomId: string, userIds: readonly string[]): Promise<RoomAuthority | null> {
      if (forgotten) return tools.authorities.load(roomId, userIds);
      const rules = { roomId, version: 1, creator: "@other:localhost", powerContent: null };
      return new RoomAuthority({ ...rules, joinRule: "invite", visibility: "shared" }, new Map());
    },
  };
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: false, tokenId: "" };
  const input = { roomId: room, message: { content: { text: { body: "let in" } } } };
  expect((await sendMessage({ ...tools, authorities }, requester, input)).roomId).toBe(room);
});

test("[JOI-4] [EV-9] many join and speak at once, and everyone who may gets in", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const users = await Promise.all(Array.from({ length: 25 }, (_, index) => server.user(`crowd${index}`)));
  await Promise.all([
    ...users.map(async (user) => {
      await user.join(room);
      await user.send(room, "here");
    }),
    ...Array.from({ length: 25 }, (_, index) => alice.send(room, `welcome ${index}`)),
  ]);
  const { room: seen } = await alice.do<{ room: { memberCount: number } }>(
    "query ($room: ID!) { room(id: $room) { memberCount } }",
    { room },
  );
  expect(seen.memberCount).toBe(26);
  expect(new Set(await alice.timeline(room)).size).toBe(5 + 25 * 3);
});

test("[SCR-3] [EVS-6] an event is inserted into the past; order, tokens and the live stream stay as they were", async () => {
  const room = await alice.createRoom();
  const [first, second] = [await alice.send(room, "first"), await alice.send(room, "second")];
  const following = await alice.follow();
  const page =
    "query ($room: ID!, $last: Int!, $before: ChunkToken) { scrollback(roomId: $room, last: $last, before: $before) { events { nodes { id order cursor insertedAfterId } } } }";
  type Page = {
    scrollback: { events: { nodes: { id: string; order: string; cursor: string; insertedAfterId: string | null }[] } };
  };
  const before = (await alice.do<Page>(page, { room, last: 2 })).scrollback.events.nodes;
  const [after] = await eventsById(server.database.reader, [first]);
  const one = draft("inserted", { inserted: { place: placeBetween(after!.place, null), afterId: first } });
  const two = draft("and another", {
    inserted: { place: placeBetween(one.inserted!.place, null), afterId: one.eventId },
  });
  await server.app.domain.tools.writer.append(await unit(room, [one, two]));
  const nodes = (await alice.do<Page>(page, { room, last: 4 })).scrollback.events.nodes;
  expect(nodes.map((node) => node.id)).toEqual([first, one.eventId, two.eventId, second]);
  expect(nodes.map((node) => node.order).toSorted()).toEqual(nodes.map((node) => node.order));
  expect(nodes[1]!.insertedAfterId).toBe(first);
  expect([nodes[0], nodes[3]]).toEqual(before);
  expect(
    (await alice.do<Page>(page, { room, last: 1, before: before[1]!.cursor })).scrollback.events.nodes[0]!.id,
  ).toBe(two.eventId);
  const live = await alice.send(room, "live");
  await following.sees(live);
  expect(following.events.map((event) => event.id)).toEqual([live]);
  await alice.close();
});

test("[AS-5] what concerns an application service is queued in the transaction that stores it", async () => {
  const [watched, other] = [
    await alice.createRoom({ joinRule: "PUBLIC" }),
    await alice.createRoom({ joinRule: "PUBLIC" }),
  ];
  const ghost = await server.user("ghost");
  await sql(
    server.databaseUrl,
    "INSERT INTO app_service (id, as_token_hash, hs_token, sender_localpart, registration) VALUES ('irc', '\\x00', 't', 'irc', '{}')",
  );
  await sql(server.databaseUrl, "INSERT INTO app_service_user VALUES ('irc', $1)", [ghost.userId]);
  await alice.send(watched, "before");
  const join = await ghost.join(watched);
  const heard = await alice.send(watched, "heard");
  await alice.send(other, "unheard");
  const invite = await alice.membership("invite", await alice.createRoom(), ghost.userId);
  const leave = await ghost.leave(watched);
  await alice.send(watched, "after");
  const queued = await sql<{ event_id: string }>(
    server.databaseUrl,
    "SELECT event_id FROM app_service_queue JOIN event USING (position) ORDER BY position",
  );
  expect(queued.map((row) => row.event_id)).toEqual([join, heard, invite, leave]);
  await sql(server.databaseUrl, "DELETE FROM app_service");
});

test("[ACT-14] [PRO-2] state that was planned on what is redacted in the same batch is stale: nothing comes back by it", async () => {
  const room = await alice.createRoom();
  const nickname = await alice.setProfile("displayname", "Insult", room);
  const { writer } = server.app.domain.tools;
  const slot = { type: "m.room.member.profile", stateKey: alice.userId };
  const redaction = await unit(room, [draft("", { type: "m.room.redaction", content: "{}", redactsId: nickname })]);
  const kept = { ...slot, content: '{"displayname":"Insult","hearth.room_keys":["displayname"]}' };
  const profile = await unit(room, [draft("", kept)], { slots: [{ ...slot, holder: nickname }] });
  const hold = await holdAppendLock(server.databaseUrl);
  const first = writer.append(await unit(room, [draft("in flight while the others wait")]));
  await until(async () => (await hold.waiting()) > 0);
  const both = [writer.append(redaction), writer.append(profile)];
  await hold.release();
  await first;
  expect((await Promise.all(both)).map(({ outcome }) => outcome)).toEqual(["appended", "stale"]);
});
