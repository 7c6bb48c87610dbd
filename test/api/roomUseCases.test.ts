import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let ann: Client;
let bob: Client;
let carol: Client;
beforeAll(async () => {
  server = await startApp();
  [ann, bob, carol] = [await server.user("ann"), await server.user("bob"), await server.user("carol")];
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const title = "query ($id: ID!) { room(id: $id) { title joinRule memberCount published } }";
const join = "mutation ($target: JoinTarget!) { joinRoom(input: { target: $target }) { room { id } } }";

async function inviteOf(client: Client, roomId: string): Promise<string> {
  const data = await client.do<{ viewer: { invites: { event: { id: string; roomId: string } }[] } }>(
    "{ viewer { invites { event { id roomId } } } }",
  );
  return data.viewer.invites.find(({ event }) => event.roomId === roomId)!.event.id;
}

test("[CRE-2] a 1:1 chat: two talk, each sees the other as title, and nobody else learns of it", async () => {
  const roomId = await ann.createRoom({ invite: [bob.userId] });
  await bob.do(join, { target: { inviteEventId: await inviteOf(bob, roomId) } });
  const said = [await ann.send(roomId, "hi"), await bob.send(roomId, "hi yourself")];
  for (const [client, other] of [
    [ann, bob],
    [bob, ann],
  ] as const) {
    expect((await client.timeline(roomId)).slice(-2)).toEqual(said);
    expect(await client.do(title, { id: roomId })).toMatchObject({
      room: { title: other.userId, joinRule: "INVITE", memberCount: 2, published: false },
    });
  }
  expect(await carol.code(title, { id: roomId })).toBe("NOT_FOUND");
  expect(await carol.code(join, { target: { roomId } })).toBe("NOT_FOUND");
});

test("[CRE-2] a private group: who is invited comes in and reads from their invite on, nobody else", async () => {
  const input = { name: "Family", historyVisibility: "INVITED", invite: [bob.userId] };
  const roomId = await ann.createRoom(input);
  const early = await ann.send(roomId, "before carol was invited");
  await bob.do(join, { target: { roomId } });
  expect(await carol.code(join, { target: { roomId } })).toBe("NOT_FOUND");
  await ann.membership("invite", roomId, carol.userId);
  const late = await ann.send(roomId, "after");
  await carol.do(join, { target: { inviteEventId: await inviteOf(carol, roomId) } });
  expect(await bob.timeline(roomId)).toContain(early);
  const seen = await carol.timeline(roomId);
  expect([seen.includes(early), seen.includes(late)]).toEqual([false, true]);
  expect(await carol.do(title, { id: roomId })).toMatchObject({ room: { title: "Family", memberCount: 3 } });
});

test("[CRE-2] a public group: whoever knows its alias comes in and reads it from the beginning", async () => {
  const roomId = await ann.createRoom({ name: "Market", published: true, alias: "#market:localhost" });
  const early = await ann.send(roomId, "welcome");
  expect(await carol.do(join, { target: { alias: "#market:localhost" } })).toEqual({
    joinRoom: { room: { id: roomId } },
  });
  expect(await carol.timeline(roomId)).toContain(early);
  expect(await carol.do(title, { id: roomId })).toMatchObject({ room: { joinRule: "PUBLIC", published: true } });
});

test("[CRE-2] a forum: topics are messages, answers relate to them, and a page shows topics with their newest answers", async () => {
  const forum = { name: "Forum", published: true, alias: "#forum:localhost" };
  const roomId = await ann.createRoom({ ...forum, state: [{ type: "org.example.view", content: { as: "forum" } }] });
  await Promise.all([bob.join(roomId), carol.join(roomId)]);
  const topics = [await bob.send(roomId, "How do I light it?"), await carol.send(roomId, "Where is the wood?")];
  const answers: string[] = [];
  for (const n of [1, 2, 3]) answers.push(await ann.reply(roomId, topics[0]!, `answer ${n}`, "m.thread"));
  const filter = await carol.filter({ types: ["m.room.message"], bundleRelations: 2, relationTypes: ["m.thread"] });
  const data = await carol.do(
    `query ($roomId: ID!, $filter: FilterToken) { scrollback(roomId: $roomId, last: 10, filter: $filter) {
         events { edges { node { id } bundledReplies { nodes { id } pageInfo { hasPreviousPage } } } } } }`,
    { roomId, filter },
  );
  const bundled = { nodes: answers.slice(1).map((id) => ({ id })), pageInfo: { hasPreviousPage: true } };
  expect(data).toMatchObject({
    scrollback: {
      events: { edges: [{ node: { id: topics[0] }, bundledReplies: bundled }, { node: { id: topics[1] } }] },
    },
  });
});
