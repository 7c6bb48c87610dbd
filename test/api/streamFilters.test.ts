import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { Follow } from "../kit/follow.ts";
import { insertAfter } from "./support/insertion.ts";
import { ids, said, sync } from "./support/sync.ts";

let server: TestApp;
beforeAll(async () => (server = await startApp({ config: { streamReplay: 50 } })));
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

let users = 0;
async function pair(): Promise<[Client, Client]> {
  users += 1;
  return [await server.user(`ann${users}`), await server.user(`bob${users}`)];
}

async function open(client: Client, args: Record<string, unknown>): Promise<Follow> {
  const follow = new Follow(client.socket, null, args);
  await follow.until(({ chunks }) => chunks.length > 0);
  return follow;
}

test("[EVS-1, FIL-2, REL-3, UPD-1] brings what the filter lets through, children always, in the filter's form", async () => {
  const [ann, bob] = await pair();
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  const { stream } = await sync(ann);
  const filter = await ann.filter({
    types: ["m.room.message", "m.reaction"],
    senders: ["@bob*"],
    bundleRelations: 3,
    fields: ["content.body", "type"],
  });
  const live = await open(ann, { filter });
  const parent = await bob.send(roomId, "parent");
  await ann.send(roomId, "of another sender");
  await bob.message(roomId, { type: "org.example.noise", content: { custom: {} } });
  const edit = await bob.edit(roomId, parent, "mended");
  const reaction = await bob.react(roomId, parent, "👍");
  await live.sees(reaction);
  expect(live.events.map((event) => event.id)).toEqual([parent, edit, reaction]);
  expect(live.json.slice(0, 2)).toMatchObject([
    { type: "message:m.room.message", content: { body: "parent" } },
    { type: "message:m.room.message", content: { body: "mended" } },
  ]);
  expect(Object.keys(live.json[1]!)).toEqual(["type", "content"]);
  // The same from the past.
  const replayed = await open(ann, { stream, filter });
  await replayed.sees(reaction);
  expect(replayed.events.map((event) => event.id)).toEqual([parent, edit, reaction]);
  const [document] = replayed.json;
  expect(document).toMatchObject({
    updated_by: [{ content: { body: "mended" } }],
    replies: { chunk: [{ type: "message:m.reaction" }] },
  });
  // A tweak overrides for this call.
  const tweaked = await open(ann, { stream, filter, tweak: { types: null, senders: null } });
  await tweaked.sees(reaction);
  expect(tweaked.events).toHaveLength(5);
  for (const follow of [live, replayed, tweaked]) follow.stop();
});

test("[EVS-9, FIL-2] the scrollback event comes by its own type, whether or not the join does", async () => {
  const [ann, bob] = await pair();
  const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
  const only = await open(ann, { filter: await ann.filter({ types: ["ephemeral:m.homeserver.*"] }) });
  const without = await open(ann, { filter: await ann.filter({ types: ["-m.homeserver.scrollback"] }) });
  const join = await ann.join(roomId);
  await without.sees(join);
  await only.until(({ events }) => events.length > 0);
  expect(only.events.map((event) => event.type)).toEqual(["m.homeserver.scrollback"]);
  expect(without.events.map((event) => event.id)).toEqual([join]);
  only.stop();
  without.stop();
});

test("[EVS-11, JOI-5, SYN-9] a room that the stream is the first to tell of is read with a room initial sync", async () => {
  const [ann, bob] = await pair();
  const roomId = await bob.createRoom({ name: "News", joinRule: "PUBLIC" });
  const old = await bob.send(roomId, "before");
  const follow = await open(ann, {});
  const join = await ann.join(roomId);
  await follow.sees(join);
  const stream = await ann.streamToken([roomId]);
  const snapshot = await sync(ann, { stream });
  expect(snapshot.rooms.nodes.map(({ room }) => room.name)).toEqual(["News"]);
  expect(ids(snapshot.rooms.nodes[0]!.timeline)).toEqual(expect.arrayContaining([old, join]));
  // Its token goes on for this room alone; the scrollback event leads to the same history.
  const only = await open(ann, { stream: snapshot.stream });
  const news = await bob.send(roomId, "after");
  await only.sees(news);
  expect(only.events.map((event) => event.id)).toEqual([news]);
  const scrollback = follow.events.find((event) => event.type === "m.homeserver.scrollback");
  const page = await ann.do<{ scrollback: { events: { nodes: { id: string }[] } } }>(
    "query ($roomId: ID!, $before: ChunkToken) { scrollback(roomId: $roomId, before: $before, last: 1) { events { nodes { id } } } }",
    { roomId, before: scrollback!.content!["token"] },
  );
  expect(page.scrollback.events.nodes).toEqual([{ id: old }]);
  follow.stop();
  only.stop();
});

test("[EVS-2] the replay bound counts what the reader wants, and a search without end gives up", async () => {
  const [ann] = await pair();
  const roomId = await ann.createRoom();
  const { stream } = await sync(ann);
  const batch = async (count: number): Promise<void> => {
    const messages = Array.from({ length: count }, () => ({ content: { text: { body: "noise" } } }));
    await ann.do(
      "mutation ($roomId: ID!, $messages: [MessageInput!]!) { sendMessages(input: { roomId: $roomId, messages: $messages }) { room { id } } }",
      { roomId, messages },
    );
  };
  await batch(100);
  const wanted = await ann.setState(roomId, "m.room.topic", { topic: "wanted" });
  const filter = await ann.filter({ types: ["m.room.topic"] });
  const follow = await open(ann, { stream, filter });
  await follow.sees(wanted);
  expect(follow.chunks.some((chunk) => chunk.limited)).toBe(false);
  follow.stop();
  const all = await open(ann, { stream });
  expect([all.chunks[0]!.limited, all.events]).toEqual([true, []]);
  all.stop();
  for (let n = 0; n < 26; n++) await batch(100);
  const endless = await open(ann, { stream, filter });
  expect(endless.chunks[0]!.limited).toBe(true);
  endless.stop();
});

test("[STR-1, EVS-12] a token's rooms limit its stream, invites included; its users limit profile changes", async () => {
  const [ann, bob] = await pair();
  const [one, two] = [await ann.createRoom({ joinRule: "PUBLIC" }), await ann.createRoom({ joinRule: "PUBLIC" })];
  await bob.join(one);
  const stream = await ann.streamToken([one], [ann.userId]);
  const follow = await open(ann, { stream });
  await ann.send(two, "elsewhere");
  const invited = await bob.createRoom({ invite: [ann.userId] });
  const profile = await bob.setProfile("displayname", "Bob", one);
  const own = await ann.setProfile("displayname", "Ann", one);
  await follow.sees(own);
  expect(follow.events.map((event) => event.id)).toEqual([own]);
  // State events stay in timelines, whatever the users.
  const page = await sync(ann, { stream });
  expect(page.rooms.nodes.map((room) => room.room.id)).toEqual([one]);
  expect(ids(page.rooms.nodes[0]!.timeline)).toEqual(expect.arrayContaining([profile, own]));
  expect(page.invites).toEqual([]);
  expect(invited).toBeTruthy();
  const byFilter = await open(ann, { filter: await ann.filter({ users: ["-@ann*"] }) });
  await ann.setProfile("displayname", "Annie", one);
  const seen = await bob.setProfile("displayname", "Bobby", one);
  await byFilter.sees(seen);
  expect(byFilter.events.map((event) => event.id)).toEqual([seen]);
  follow.stop();
  byFilter.stop();
});

test("[EVS-6, SYN-2, SCR-3] insertions into the past come only when asked for, name their predecessor, and are no news", async () => {
  const [ann, bob] = await pair();
  const roomId = await ann.createRoom({ joinRule: "PUBLIC", historyVisibility: "JOINED" });
  const first = await ann.send(roomId, "first");
  await bob.join(roomId);
  const second = await ann.send(roomId, "second");
  const { stream } = await sync(ann);
  const asked = await open(ann, { outOfOrder: true });
  const plain = await open(ann, {});
  const late = await open(bob, { outOfOrder: true });
  const hidden = await insertAfter(server, ann, roomId, first, "between one and two");
  const shown = await insertAfter(server, ann, roomId, second, "after two");
  const live = await ann.send(roomId, "live");
  for (const follow of [asked, plain, late]) await follow.sees(live);
  expect(asked.events.map((event) => event.id)).toEqual([hidden, shown, live]);
  expect(asked.json.map((json) => json["inserted_after"])).toEqual([first, second, undefined]);
  expect(plain.events.map((event) => event.id)).toEqual([live]);
  // Bob wasn't in the room where the first one stands.
  expect(late.events.map((event) => event.id)).toEqual([shown, live]);
  const replayed = await open(ann, { stream, outOfOrder: true });
  await replayed.sees(live);
  expect(replayed.events.map((event) => event.id)).toEqual([hidden, shown, live]);
  const without = await open(ann, { stream });
  await without.sees(live);
  expect(without.events.map((event) => event.id)).toEqual([live]);
  const { rooms } = await sync(ann, { stream });
  expect(said(rooms.nodes[0]!.timeline)).toEqual(["live"]);
  expect(await ann.timeline(roomId)).toEqual(expect.arrayContaining([first, hidden, second, shown, live]));
  expect((await bob.timeline(roomId)).slice(-3)).toEqual([second, shown, live]);
  for (const follow of [asked, plain, late, replayed, without]) follow.stop();
});

test("[FIL-6] a bad filter ends the subscription before it begins", async () => {
  const [ann] = await pair();
  const follow = new Follow(ann.socket, null, { filter: "f1.bad" });
  await follow.until(({ failure }) => failure !== null).catch(() => undefined);
  expect(JSON.stringify(follow.failure)).toContain("BAD_TOKEN");
});
