import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
const rooms: string[] = [];
beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
  const others = await Promise.all(Array.from({ length: 12 }, (_, index) => server.user(`user${index}`)));
  for (let count = 0; count < 3; count++) {
    const room = await alice.createRoom({ joinRule: "PUBLIC", name: `Room ${count}` });
    rooms.push(room);
    for (const other of others.slice(0, 4 * (count + 1))) {
      await other.join(room);
      for (let message = 0; message < 5; message++) await other.send(room, `message ${message}`);
    }
  }
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

/** Statements that an operation takes, the lookup of the access token being remembered. */
async function statements(query: string, variables: object = {}): Promise<number> {
  await alice.do("{ viewer { admin } }");
  const before = server.database.statements();
  await alice.do(query, variables as Record<string, unknown>);
  return server.database.statements() - before;
}

test("[SCR-1] a page with sender profiles is a fixed number of statements, whatever its size", async () => {
  const page = `query ($room: ID!, $last: Int) { scrollback(roomId: $room, last: $last) { events { nodes {
    id content sender { displayName avatarMxc } senderMember { displayName powerLevel }
    redactedBy { id } ... on StateEvent { prevContent profile { displayName } } room { name }
  } } } }`;
  const room = rooms[2]!;
  const small = await statements(page, { room, last: 10 });
  const large = await statements(page, { room, last: 50 });
  // View; page; senders, members; profiles and state; what state events replaced, with access to it.
  expect(large).toBeLessThanOrEqual(10);
  expect(large).toBeLessThanOrEqual(small + 2);
});

test("a list of rooms with their names, counts and last messages is a fixed number of statements", async () => {
  const list = `query ($first: Int!) { viewer { rooms(first: $first) { totalCount nodes {
    title topic joinRule memberCount viewerMembership powerLevels { kick } lastActivityAt
    lastMessage { id content sender { displayName } senderMember { powerLevel } }
  } } } }`;
  const one = await statements(list, { first: 1 });
  const three = await statements(list, { first: 3 });
  expect(three).toBe(one);
  expect(three).toBeLessThanOrEqual(10);
});

test("nodes of all kinds are loaded together", async () => {
  const { viewer } = await alice.do<{ viewer: { rooms: { nodes: { timeline: { nodes: { id: string }[] } }[] } } }>(
    "{ viewer { rooms { nodes { timeline(last: 5) { nodes { id } } } } } }",
  );
  const ids = [
    ...rooms,
    ...viewer.rooms.nodes.flatMap((room) => room.timeline.nodes.map((node) => node.id)),
    "@user1:localhost",
  ];
  expect(await statements("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids })).toBeLessThanOrEqual(4);
});

test("[ACT-8] sending takes one statement once the room is known", async () => {
  await alice.send(rooms[0]!, "warm");
  const send =
    'mutation ($room: ID!) { sendMessage(input: { roomId: $room, message: { content: { text: { body: "x" } } } }) { event { id sentAt } compact } }';
  expect(await statements(send, { room: rooms[0] })).toBe(1);
});
