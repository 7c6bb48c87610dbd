import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let ann: Client;
let bob: Client;
beforeAll(async () => {
  server = await startApp();
  ann = await server.user("ann");
  bob = await server.user("bob");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const parts = `room { id } state { nodes { type } pageInfo { hasNextPage } }
  timeline { nodes { content } pageInfo { hasPreviousPage startCursor } }`;
const join = `mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { ${parts} } }`;

interface Entered {
  room: { id: string };
  state: { nodes: { type: string }[]; pageInfo: { hasNextPage: boolean } };
  timeline: { nodes: { content: { body?: string } }[]; pageInfo: { hasPreviousPage: boolean; startCursor: string } };
}

async function joined(roomId: string, input: Record<string, unknown>): Promise<Entered> {
  return (await bob.do<{ joinRoom: Entered }>(join, { input: { target: { roomId }, ...input } })).joinRoom;
}

test("[JOI-2] joining answers with the state and timeline that are asked for, and whether there is more", async () => {
  const roomId = await ann.createRoom({ name: "Den", joinRule: "PUBLIC" });
  for (let n = 1; n <= 40; n++) await ann.send(roomId, `m${n}`);
  const without = await joined(roomId, {});
  expect([without.state.nodes, without.timeline.nodes]).toEqual([[], []]);
  const whole = await joined(roomId, { response: {} });
  expect(whole.timeline.nodes).toHaveLength(30);
  expect(whole.timeline.pageInfo.hasPreviousPage).toBe(true);
  expect(whole.state.nodes.map((event) => event.type)).toContain("m.room.create");
  const filter = await bob.filter({ types: ["m.room.message"], limit: 2 });
  const stateFilter = await bob.filter({ types: ["m.room.name"] });
  const shaped = await joined(roomId, { response: { filter, stateFilter } });
  expect(shaped.timeline.nodes.map((event) => event.content.body)).toEqual(["m39", "m40"]);
  expect(shaped.state.nodes).toEqual([{ type: "m.room.name" }]);
  expect((await joined(roomId, { response: { filter, limit: 1 } })).timeline.nodes).toHaveLength(1);
});

test("[JOI-2, ACT-2] a bad response stops the action; the same action may ask for another one", async () => {
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  for (const [response, code] of [
    [{ filter: "f1.x" }, "BAD_TOKEN"],
    [{ limit: -1 }, "BAD_INPUT"],
    [{ limit: 501 }, "BAD_INPUT"],
  ]) {
    expect(await bob.code(join, { input: { target: { roomId }, response } })).toBe(code);
  }
  expect(await bob.code("query ($id: ID!) { room(id: $id) { id } }", { id: roomId })).toBe("NOT_FOUND");
  await joined(roomId, { actionId: "enter" });
  expect((await joined(roomId, { actionId: "enter", response: {} })).timeline.nodes.length).toBeGreaterThan(0);
});

test("[JOI-1, JOI-2] by id, alias and invite the answer is the same, and its cursors lead on", async () => {
  const alias = "#entering:localhost";
  const roomId = await ann.createRoom({ name: "Hall", joinRule: "PUBLIC", alias });
  const sent: string[] = [];
  for (let n = 1; n <= 5; n++) sent.push(await ann.send(roomId, `m${n}`));
  const filter = await bob.filter({ types: ["m.room.message"] });
  const enter = async (target: object): Promise<Entered & { more: { nodes: { type: string }[] } }> => {
    const document = `mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { ${parts}
      more: state(first: 2) { nodes { type } pageInfo { hasNextPage } } } }`;
    return (
      await bob.do<{ joinRoom: Entered & { more: { nodes: { type: string }[] } } }>(document, {
        input: { target, response: { filter, limit: 2 } },
      })
    ).joinRoom;
  };
  const invite = await ann.membership("invite", roomId, bob.userId);
  const byInvite = await enter({ inviteEventId: invite });
  expect(byInvite.timeline.nodes.map((event) => event.content.body)).toEqual(["m4", "m5"]);
  expect(byInvite.state.nodes.length).toBeGreaterThan(5);
  expect(byInvite.state.pageInfo.hasNextPage).toBe(false);
  expect(byInvite.more).toMatchObject({ nodes: byInvite.state.nodes.slice(0, 2), pageInfo: { hasNextPage: true } });
  // Joined already: the answer is what the room is now, whichever way leads there.
  expect(await enter({ alias })).toEqual(byInvite);
  expect(await enter({ roomId })).toEqual(byInvite);
  const { startCursor, hasPreviousPage } = byInvite.timeline.pageInfo;
  expect(hasPreviousPage).toBe(true);
  const data = await bob.do<{ scrollback: { events: { nodes: { id: string }[] } } }>(
    `query ($roomId: ID!, $before: ChunkToken, $filter: FilterToken) {
       scrollback(roomId: $roomId, last: 9, before: $before, filter: $filter) { events { nodes { id } } } }`,
    { roomId, before: startCursor, filter },
  );
  expect(data.scrollback.events.nodes.map((event) => event.id)).toEqual(sent.slice(0, 3));
});

test("[JOI-2, EV-9] the answer holds what the one who joins may see, and says that there is no more", async () => {
  const roomId = await ann.createRoom({ historyVisibility: "JOINED" });
  await ann.send(roomId, "hidden");
  await ann.membership("invite", roomId, bob.userId);
  const filter = await bob.filter({ types: ["m.room.message"] });
  const { timeline, state } = await joined(roomId, { response: { filter } });
  expect(timeline.nodes).toEqual([]);
  expect(timeline.pageInfo.hasPreviousPage).toBe(false);
  expect(state.nodes.map((event) => event.type)).toContain("m.room.create");
});

test("[CRE-1, JOI-2] creating answers with the new room's state and timeline", async () => {
  const data = await ann.do<{ createRoom: Entered }>(
    `mutation ($input: CreateRoomInput!) { createRoom(input: $input) { ${parts} } }`,
    { input: { name: "New", response: {} } },
  );
  const { state, timeline } = data.createRoom;
  expect(state.nodes.map((event) => event.type)).toEqual(expect.arrayContaining(["m.room.name", "m.room.member"]));
  expect(timeline.nodes).toHaveLength(6);
  expect(timeline.pageInfo.hasPreviousPage).toBe(false);
});

test("[ACT-10] patching one key of the power levels stores and emits the full event", async () => {
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  const document =
    "mutation ($input: PatchPowerLevelsInput!) { patchPowerLevels(input: $input) { event { id content } room { powerLevels { kick users } } } }";
  const patch = async (client: Client, path: string[], value: number | null) =>
    (
      await client.do<{ patchPowerLevels: { event: { id: string; content: Record<string, unknown> } } }>(document, {
        input: { roomId, path, value },
      })
    ).patchPowerLevels;
  const code = (client: Client, path: string[], value: number | null = 1) =>
    client.code(document, { input: { roomId, path, value } });
  const follow = await bob.follow();
  const kicks = await patch(ann, ["kick"], 40);
  expect(kicks).toMatchObject({ room: { powerLevels: { kick: 40, users: { "@ann:localhost": 100 } } } });
  expect((await follow.sees(kicks.event.id)).content).toMatchObject({
    kick: 40,
    ban: 50,
    users: { "@ann:localhost": 100 },
  });
  const named = await patch(ann, ["users", "@bob:localhost"], 60);
  expect(named.event.content["users"]).toEqual({ "@ann:localhost": 100, "@bob:localhost": 60 });
  expect((await patch(ann, ["users", "@bob:localhost"], 60)).event.id).toBe(named.event.id);
  expect((await patch(ann, ["events", "state:m.room.name"], 10)).event.content["events"]).toEqual({
    "m.room.name": 10,
  });
  expect((await patch(ann, ["kick"], null)).event.content).not.toHaveProperty("kick");
  // The rules are those of any change of power levels. [EV-9]
  expect(await code(bob, ["users", "@ann:localhost"], 0)).toBe("FORBIDDEN");
  expect(await code(bob, ["users", "@bob:localhost"], 61)).toBe("FORBIDDEN");
  for (const path of [
    [],
    ["users"],
    ["nothing"],
    ["users", "bob"],
    ["users", "@a:b", "c"],
    ["events", ""],
    ["__proto__"],
  ]) {
    expect(await code(ann, path)).toBe("BAD_INPUT");
  }
  expect(await server.user("carol").then((carol) => code(carol, ["kick"]))).toBe("NOT_FOUND");
  follow.stop();
});
