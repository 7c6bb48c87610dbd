import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let carol: Client;
beforeAll(async () => {
  server = await startApp();
  [alice, bob, carol] = [await server.user("alice"), await server.user("bob"), await server.user("carol")];
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([alice, bob, carol].map((client) => client.close()));
  await server.close();
});

const join =
  "mutation ($target: JoinTarget!) { joinRoom(input: { target: $target }) { event { id } room { id viewerMembership } } }";
const act = (name: string): string =>
  `mutation ($roomId: ID!, $userId: ID!) { ${name}(input: { roomId: $roomId, userId: $userId }) { event { id } member { membership } } }`;
const leave = "mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { event { id } } }";
const knock = "mutation ($roomId: ID!) { knockRoom(input: { roomId: $roomId }) { event { id } } }";
const members =
  "query ($id: ID!) { room(id: $id) { members(membership: [INVITE, JOIN, LEAVE, BAN, KNOCK]) { totalCount nodes { user { id } membership powerLevel } } } }";

test("[CRE-1] a room is made with everything asked for, at once", async () => {
  const data = await alice.do<{ createRoom: { room: Record<string, unknown>; event: { type: string } } }>(
    `mutation ($input: CreateRoomInput!) { createRoom(input: $input) { event { type } room {
       name topic title joinRule historyVisibility published creatorId aliases viewerMembership
       memberCount invited: memberCount(membership: INVITE)
       stateEvent(type: "org.example.colour") { content stateKey }
       powerLevels { users usersDefault stateDefault kick }
     } } }`,
    {
      input: {
        ...{ name: "Fire", topic: "Warm", joinRule: "KNOCK", historyVisibility: "INVITED", published: true },
        ...{ alias: "#fire:localhost", invite: [bob.userId, bob.userId, alice.userId] },
        state: [{ type: "state:org.example.colour", content: { hex: "#f40" } }],
      },
    },
  );
  expect(data.createRoom.event.type).toBe("m.room.create");
  expect(data.createRoom.room).toEqual({
    ...{ name: "Fire", topic: "Warm", title: "Fire", joinRule: "KNOCK", historyVisibility: "INVITED", published: true },
    ...{ creatorId: alice.userId, aliases: ["#fire:localhost"], viewerMembership: "JOIN", memberCount: 1, invited: 1 },
    stateEvent: { content: { hex: "#f40" }, stateKey: "_" },
    powerLevels: { users: { [alice.userId]: 100 }, usersDefault: 0, stateDefault: 50, kick: 50 },
  });
});

test("[CRE-1] nothing is made when one part is refused", async () => {
  const before = await alice.do<{ viewer: { rooms: { totalCount: number } } }>("{ viewer { rooms { totalCount } } }");
  const create = "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
  await alice.createRoom({ alias: "#taken:localhost" });
  expect(await alice.code(create, { input: { alias: "#taken:localhost" } })).toBe("ALIAS_IN_USE");
  expect(await alice.code(create, { input: { invite: ["@nobody:localhost"] } })).toBe("NOT_FOUND");
  expect(await alice.code(create, { input: { state: [{ type: "x", stateKey: "odd", content: {} }] } })).toBe(
    "BAD_STATE_KEY",
  );
  expect(await alice.code(create, { input: { alias: "#elsewhere:example.org" } })).toBe("BAD_INPUT");
  const after = await alice.do<{ viewer: { rooms: { totalCount: number } } }>("{ viewer { rooms { totalCount } } }");
  expect(after.viewer.rooms.totalCount).toBe(before.viewer.rooms.totalCount + 1);
});

test("[CRE-2] a room without a name is titled by its other members", async () => {
  const roomId = await alice.createRoom({ invite: [bob.userId] });
  expect(await alice.do("query ($id: ID!) { room(id: $id) { title name } }", { id: roomId })).toEqual({
    room: { title: bob.userId, name: null },
  });
});

test("[JOI-1] public rooms are joined by id and by alias, twice without a second event [JOI-4]", async () => {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC", alias: "#open:localhost" });
  const first = await bob.do<{ joinRoom: { event: { id: string } } }>(join, { target: { alias: "#open:localhost" } });
  const second = await bob.do<{ joinRoom: { event: { id: string } } }>(join, { target: { roomId } });
  expect(second.joinRoom.event.id).toBe(first.joinRoom.event.id);
  expect(await bob.code(join, { target: { alias: "#closed:localhost" } })).toBe("NOT_FOUND");
  expect(await bob.code(join, { target: { roomId, alias: "#open:localhost" } })).toBe("BAD_INPUT");
});

test("[JOI-1] [ACT-4] any open invite lets its invitee in; used, taken back and foreign ones don't", async () => {
  const roomId = await alice.createRoom();
  const first = await alice.membership("invite", roomId, bob.userId);
  const second = await alice.membership("invite", roomId, bob.userId);
  expect(second).not.toBe(first);
  expect(await carol.code(join, { target: { inviteEventId: first } })).toBe("NOT_FOUND");
  expect(await bob.code(join, { target: { inviteEventId: first } })).toBeNull();
  await bob.leave(roomId);
  expect(await bob.code(join, { target: { inviteEventId: second } })).toBe("NOT_FOUND");
  const third = await alice.membership("invite", roomId, bob.userId);
  await alice.membership("kick", roomId, bob.userId);
  expect(await bob.code(join, { target: { inviteEventId: third } })).toBe("NOT_FOUND");
});

test("[ACT-4] rejecting an invite deletes the member's slot", async () => {
  const roomId = await alice.createRoom();
  const invite = await alice.membership("invite", roomId, bob.userId);
  const reject =
    "mutation ($eventId: ID!, $actionId: String) { rejectInvite(input: { eventId: $eventId, actionId: $actionId }) { roomId event { deleted content stateKey } } }";
  expect(await carol.code(reject, { eventId: invite })).toBe("NOT_FOUND");
  const rejected = { rejectInvite: { roomId, event: { deleted: true, content: null, stateKey: bob.userId } } };
  expect(await bob.do(reject, { eventId: invite, actionId: "no" })).toEqual(rejected);
  expect(await bob.do(reject, { eventId: invite, actionId: "no" })).toEqual(rejected);
  expect(await bob.code(reject, { eventId: invite })).toBe("NOT_FOUND");
  expect(
    await alice.do(
      'query ($id: ID!, $user: ID!) { room(id: $id) { member(userId: $user) { id } stateEvent(type: "m.room.member", stateKey: "@bob:localhost") { id } } }',
      { id: roomId, user: bob.userId },
    ),
  ).toEqual({
    room: { member: null, stateEvent: null },
  });
  expect(await bob.do("{ viewer { invites { id } } }")).not.toMatchObject({
    viewer: { invites: [{ event: { roomId } }] },
  });
});

test("[ACT-5] kick, ban and unban, each by whoever may", async () => {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await Promise.all([bob.join(roomId), carol.join(roomId)]);
  expect(await bob.code(act("kickUser"), { roomId, userId: carol.userId })).toBe("FORBIDDEN");
  expect(await alice.do(act("kickUser"), { roomId, userId: carol.userId })).toMatchObject({
    kickUser: { member: { membership: "LEAVE" } },
  });
  await carol.join(roomId);
  expect(await alice.do(act("banUser"), { roomId, userId: carol.userId })).toMatchObject({
    banUser: { member: { membership: "BAN" } },
  });
  expect(await carol.code(join, { target: { roomId } })).toBe("FORBIDDEN");
  expect(await alice.code(act("unbanUser"), { roomId, userId: bob.userId })).toBe("FORBIDDEN");
  expect(await alice.code(act("unbanUser"), { roomId, userId: carol.userId })).toBeNull();
  expect(await carol.code(join, { target: { roomId } })).toBeNull();
  expect(await bob.code(leave, { roomId })).toBeNull();
  expect(await bob.code(leave, { roomId })).toBe("FORBIDDEN");
  const data = await alice.do<{
    room: { members: { totalCount: number; nodes: { user: { id: string }; membership: string }[] } };
  }>(members, { id: roomId });
  expect(data.room.members.nodes.map((node) => [node.user.id, node.membership])).toEqual([
    [alice.userId, "JOIN"],
    [bob.userId, "LEAVE"],
    [carol.userId, "JOIN"],
  ]);
});

test("[ACT-6] knocking, where the join rule allows, and being let in", async () => {
  const roomId = await alice.createRoom({ joinRule: "KNOCK" });
  const first = await bob.do<{ knockRoom: { event: { id: string } } }>(knock, { roomId });
  const again = await bob.do<{ knockRoom: { event: { id: string } } }>(knock, { roomId });
  expect(again).toEqual(first);
  expect(await bob.code(join, { target: { roomId } })).toBe("FORBIDDEN");
  await alice.membership("invite", roomId, bob.userId);
  expect(await bob.code(join, { target: { roomId } })).toBeNull();
  const shut = await alice.createRoom({ joinRule: "INVITE" });
  expect(await carol.code(knock, { roomId: shut })).toBe("NOT_FOUND");
});

test("[ACT-3] an invite shows the invitee what may be seen of the room, while it holds [SYN-5]", async () => {
  const roomId = await alice.createRoom({ name: "Den", topic: "Quiet" });
  const invite = await alice.membership("invite", roomId, carol.userId);
  const see =
    "{ viewer { invites { id event { id } inviter { id } room { id name topic joinRule memberCount aliases } } } }";
  const data = await carol.do<{ viewer: { invites: { id: string; event: { id: string } }[] } }>(see);
  const mine = data.viewer.invites.find((each) => each.event.id === invite)!;
  expect(mine).toMatchObject({
    inviter: { id: alice.userId },
    room: { id: roomId, name: "Den", topic: "Quiet", joinRule: "INVITE", memberCount: 1, aliases: [] },
  });
  const node = "query ($id: ID!) { node(id: $id) { id ... on Invite { room { name } } } }";
  expect(await carol.do(node, { id: mine.id })).toEqual({ node: { id: mine.id, room: { name: "Den" } } });
  await alice.membership("kick", roomId, carol.userId);
  await alice.setState(roomId, "m.room.name", { name: "Secret" });
  expect(await carol.do(node, { id: mine.id })).toEqual({ node: null });
  expect(
    await carol.do("query ($id: ID!) { event(id: $id) { ... on StateEvent { invite { room { name } } } } }", {
      id: invite,
    }),
  ).toEqual({ event: { invite: null } });
});

test("members and state are Relay connections: paged, counted, searched [SYN-7]", async () => {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await Promise.all([bob.join(roomId), carol.join(roomId)]);
  const page =
    "query ($id: ID!, $after: ChunkToken) { room(id: $id) { members(first: 2, after: $after) { totalCount nodes { user { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";
  type Page = {
    room: {
      members: {
        totalCount: number;
        nodes: { user: { id: string } }[];
        pageInfo: { hasNextPage: boolean; endCursor: string };
      };
    };
  };
  const first = await alice.do<Page>(page, { id: roomId });
  expect(first.room.members).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true } });
  const second = await alice.do<Page>(page, { id: roomId, after: first.room.members.pageInfo.endCursor });
  expect(second.room.members).toMatchObject({
    nodes: [{ user: { id: carol.userId } }],
    pageInfo: { hasNextPage: false },
  });
  expect(
    await alice.do('query ($id: ID!) { room(id: $id) { members(search: "CAR") { nodes { user { id } } } } }', {
      id: roomId,
    }),
  ).toEqual({
    room: { members: { nodes: [{ user: { id: carol.userId } }] } },
  });
  expect(
    await alice.do(
      'query ($id: ID!) { room(id: $id) { state(types: ["m.room.name", "state:m.room.join_rules"]) { totalCount nodes { type } } } }',
      { id: roomId },
    ),
  ).toEqual({
    room: { state: { totalCount: 1, nodes: [{ type: "m.room.join_rules" }] } },
  });
  expect(await alice.code(page, { id: roomId, after: "c1.nonsense" })).toBe("BAD_TOKEN");
});
