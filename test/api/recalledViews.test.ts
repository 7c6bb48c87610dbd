import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";

/** Readers ask `server`; what changes under them is done in another process, of which memory can't know yet. */
let server: TestApp;
let other: TestApp;
let root: Client;
beforeAll(async () => {
  const config = { admins: ["root"] };
  server = await startApp({ config });
  other = await startApp({ config, databaseUrl: server.databaseUrl });
  root = elsewhere(await server.user("root"));
});
afterAll(async () => {
  expect([...server.errors, ...other.errors]).toEqual([]);
  await other.close();
  await server.close();
});

function elsewhere({ token, userId, deviceId }: Client): Client {
  return new Client(other.address, token, userId, deviceId);
}

let users = 0;
/** A room of ann's that bob has joined; ann acts in the other process. */
async function pair(input: Record<string, unknown> = {}): Promise<{ ann: Client; bob: Client; roomId: string }> {
  users += 1;
  const ann = elsewhere(await server.user(`ann${users}`));
  const bob = await server.user(`bob${users}`);
  const roomId = await ann.createRoom({ joinRule: "PUBLIC", ...input });
  await ann.send(roomId, "before");
  return { ann, bob, roomId };
}

const document = `query ($roomId: ID!, $filter: FilterToken) { scrollback(roomId: $roomId, last: 50, filter: $filter) {
  events { nodes { id type content room { id } } } } }`;

/** The texts of a room's messages that somebody reads; null where there is no such room for them. */
async function texts(reader: Client, roomId: string, filter: string | null = null): Promise<string[] | null> {
  const { data, errors } = await reader.ask(document, { roomId, filter });
  if (errors) {
    expect(errors[0]!.extensions).toMatchObject({ code: "NOT_FOUND" });
    return null;
  }
  const { nodes } = (data!["scrollback"] as { events: { nodes: { content: { body?: string } }[] } }).events;
  return nodes.flatMap(({ content }) => content.body ?? []);
}

test("[SCR-1] a page of a room that was read before takes a statement less, and what it shows of the room none", async () => {
  const { bob, roomId } = await pair();
  await bob.join(roomId);
  const wild = await bob.filter({ types: ["m.room.*"] });
  const statements = async (filter: string | null): Promise<number> => {
    const before = server.database.statements();
    expect(await texts(bob, roomId, filter)).toEqual(["before"]);
    return server.database.statements() - before;
  };
  const first = await statements(null);
  const later = [await statements(null), await statements(null), await statements(null)];
  // Now and then the head asks for the newest position by the same connections.
  expect(Math.min(...later)).toBe(first - 1);
  expect(Math.min(await statements(wild), await statements(wild))).toBe(first);
});

test("[EV-9] who was kicked reads on until the kick, and no further", async () => {
  const { ann, bob, roomId } = await pair();
  await bob.join(roomId);
  expect(await texts(bob, roomId)).toEqual(["before"]);
  await ann.membership("kick", roomId, bob.userId);
  await ann.send(roomId, "behind their back");
  await server.app.domain.reading.head.reached(other.app.domain.reading.head.position, 5000);
  expect(await texts(bob, roomId)).toEqual(["before"]);
});

test("[EV-9] who joins, and who may see more, sees it at once", async () => {
  const { ann, bob, roomId } = await pair({ historyVisibility: "WORLD_READABLE" });
  expect(await texts(bob, roomId)).toEqual(["before"]);
  await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
  await ann.send(roomId, "among us");
  await elsewhere(bob).join(roomId);
  await ann.send(roomId, "welcome");
  await server.app.domain.reading.head.reached(other.app.domain.reading.head.position, 5000);
  expect(await texts(bob, roomId)).toEqual(["before", "welcome"]);
});

test("[EV-9, EVS-7] who joined by an event that was rejected sees nothing more of what that let them see", async () => {
  const { bob, roomId } = await pair();
  const join = await bob.join(roomId);
  expect(await texts(bob, roomId)).toEqual(["before"]);
  await root.do("mutation ($input: RejectEventInput!) { rejectEvent(input: $input) { redaction { id } } }", {
    input: { eventId: join },
  });
  expect(await texts(bob, roomId)).toBe(null);
});

test("[EV-9] a room that was deleted is gone at once", async () => {
  const { bob, roomId } = await pair();
  await bob.join(roomId);
  expect(await texts(bob, roomId)).toEqual(["before"]);
  await root.do("mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }", { input: { roomId } });
  expect(await texts(bob, roomId)).toBe(null);
});

test("[EV-9] nobody reads by what is remembered of another", async () => {
  const { ann, bob, roomId } = await pair({ joinRule: "INVITE" });
  expect(await texts(new Client(server.address, ann.token, ann.userId, ann.deviceId), roomId)).toEqual(["before"]);
  expect(await texts(bob, roomId)).toBe(null);
});
