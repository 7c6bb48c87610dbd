import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
let mallory: Client;
let stranger: Client;
beforeAll(async () => {
  server = await startApp();
  [alice, mallory] = [await server.user("alice"), await server.user("mallory")];
  stranger = server.stranger();
  // The first answer tells the session that it began.
  await mallory.do("{ server { name } }");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

/** Every way in that takes a room's or event's id, and the mutations that act on them. */
const ways: Record<string, string> = {
  room: "query ($room: ID!) { room(id: $room) { id name title members { nodes { user { id } } } } }",
  node: "query ($room: ID!) { node(id: $room) { id ... on Room { name } } }",
  nodes: "query ($room: ID!, $event: ID!) { nodes(ids: [$room, $event]) { id } }",
  scrollback: "query ($room: ID!) { scrollback(roomId: $room) { room { name } events { nodes { id } } stream } }",
  event: "query ($event: ID!) { event(id: $event) { id content room { name } sender { id } } }",
  eventNode:
    "query ($event: ID!) { node(id: $event) { id ... on MessageEvent { content } ... on StateEvent { content } } }",
  member: "query ($member: ID!) { node(id: $member) { id ... on Member { membership } } }",
  join: "mutation ($room: ID!) { joinRoom(input: { target: { roomId: $room } }) { event { id } } }",
  invite: "mutation ($event: ID!) { joinRoom(input: { target: { inviteEventId: $event } }) { event { id } } }",
  reject: "mutation ($event: ID!) { rejectInvite(input: { eventId: $event }) { roomId } }",
  knock: "mutation ($room: ID!) { knockRoom(input: { roomId: $room }) { event { id } } }",
  leave: "mutation ($room: ID!) { leaveRoom(input: { roomId: $room }) { event { id } } }",
  inviteUser:
    'mutation ($room: ID!) { inviteUser(input: { roomId: $room, userId: "@mallory:localhost" }) { displayName } }',
  kick: 'mutation ($room: ID!) { kickUser(input: { roomId: $room, userId: "@alice:localhost" }) { event { id } } }',
  ban: 'mutation ($room: ID!) { banUser(input: { roomId: $room, userId: "@alice:localhost" }) { event { id } } }',
  unban: 'mutation ($room: ID!) { unbanUser(input: { roomId: $room, userId: "@alice:localhost" }) { event { id } } }',
  send: 'mutation ($room: ID!) { sendMessage(input: { roomId: $room, message: { content: { text: { body: "x" } } } }) { event { id } } }',
  state:
    'mutation ($room: ID!) { setState(input: { roomId: $room, type: "m.room.name", content: { name: "x" } }) { event { id } } }',
  deleteState: 'mutation ($room: ID!) { deleteState(input: { roomId: $room, type: "m.room.name" }) { event { id } } }',
  type: "mutation ($room: ID!) { setTyping(input: { roomId: $room, typing: true }) { room { id } } }",
  call: 'mutation ($room: ID!) { placeCall(input: { roomId: $room, offer: { type: "offer", sdp: "x" } }) { event { id } } }',
  redact: "mutation ($event: ID!) { redactEvent(input: { eventId: $event }) { event { id } } }",
};

const memberOf = (room: string): string =>
  `member_${Buffer.from(JSON.stringify([room, "@alice:localhost"])).toString("base64url")}`;
const nothing = { room: "!nothing:localhost", event: "$nothing", member: memberOf("!nothing:localhost") };

test.each(Object.entries(ways))("[EV-9] by %s, a hidden room is told from none by nothing", async (_name, document) => {
  const room = await alice.createRoom({ name: "Secret" });
  const event = await alice.send(room, "secret");
  const hidden = { room, event, member: memberOf(room) };
  for (const outsider of [mallory, stranger]) {
    const answer = JSON.stringify(await outsider.ask(document, hidden));
    const blank = JSON.stringify(await outsider.ask(document, nothing));
    expect(answer).toBe(blank);
    expect(answer).not.toContain("ecret");
  }
});

test("[EV-9] a user who was only invited reads nothing, and one who rejected or was kicked no more than that", async () => {
  const room = await alice.createRoom({ name: "Secret" });
  const event = await alice.send(room, "secret");
  const invite = await alice.membership("invite", room, mallory.userId);
  expect(await mallory.code(ways["room"]!, { room })).toBe("NOT_FOUND");
  expect(await mallory.code(ways["event"]!, { event })).toBe("NOT_FOUND");
  expect(
    await mallory.do("query ($event: ID!) { event(id: $event) { id room { id } senderMember { powerLevel } } }", {
      event: invite,
    }),
  ).toEqual({
    event: { id: invite, room: null, senderMember: null },
  });
  await alice.membership("kick", room, mallory.userId);
  expect(await mallory.code(ways["room"]!, { room })).toBe("NOT_FOUND");
});

test("[EV-9] who has left sees the room as they left it, in every field", async () => {
  const room = await alice.createRoom({ name: "Before", topic: "Old", joinRule: "PUBLIC" });
  const seen = await alice.send(room, "for all");
  await mallory.join(room);
  await mallory.leave(room);
  await alice.setState(room, "m.room.name", { name: "After" });
  await alice.setState(room, "m.room.topic", { topic: "Newer than that" });
  const bob = await server.user("bob");
  await bob.join(room);
  const unseen = await alice.send(room, "after");
  const see = `query ($room: ID!) { room(id: $room) {
    name topic title viewerMembership memberCount lastMessage { id }
    state { nodes { type stateKey content } } members { nodes { user { id } } totalCount }
    member(userId: "@bob:localhost") { id } mine: member(userId: "@mallory:localhost") { membership }
    timeline { nodes { id type } pageInfo { hasNextPage } }
  } }`;
  const text = JSON.stringify(await mallory.ask(see, { room }));
  const { room: left } = (JSON.parse(text) as { data: { room: Record<string, unknown> } }).data;
  expect(left).toMatchObject({
    ...{ name: "Before", topic: "Old", title: "Before", viewerMembership: "LEAVE", memberCount: 1 },
    ...{ lastMessage: { id: seen }, member: null, mine: { membership: "LEAVE" }, members: { totalCount: 1 } },
  });
  for (const secret of ["After", "Newer", "@bob", unseen]) expect(text).not.toContain(secret);
  expect(await mallory.code("query ($id: ID!) { event(id: $id) { id } }", { id: unseen })).toBe("NOT_FOUND");
});

test.each([
  ["WORLD_READABLE", { before: true, outsider: true }],
  ["SHARED", { before: true, outsider: false }],
  ["INVITED", { before: false, outsider: false }],
  ["JOINED", { before: false, outsider: false }],
])("[EV-9] %s history, read by a later member and by an outsider", async (historyVisibility, expected) => {
  const room = await alice.createRoom({ joinRule: "PUBLIC", historyVisibility });
  const early = await alice.send(room, "early");
  const member = await server.user(`member-${historyVisibility.toLowerCase()}`);
  await member.join(room);
  const late = await alice.send(room, "late");
  const see = async (client: Client, id: string): Promise<boolean> =>
    (await client.code("query ($id: ID!) { event(id: $id) { id } }", { id })) === null;
  expect(await see(member, early)).toBe(expected.before);
  expect(await see(member, late)).toBe(true);
  expect(await see(mallory, late)).toBe(expected.outsider);
  expect((await member.timeline(room, 2)).includes(early)).toBe(expected.before);
  const context = await member.do<{ room: { timeline: { nodes: { id: string }[] } } }>(
    "query ($room: ID!) { room(id: $room) { timeline(first: 50) { nodes { id } } } }",
    { room },
  );
  expect(context.room.timeline.nodes.some((node) => node.id === early)).toBe(expected.before);
});

test("[EV-9] previous content that the reader may not see stays out of the event that replaced it", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC", historyVisibility: "JOINED", topic: "hidden past" });
  const late = await server.user("late");
  await late.join(room);
  const changed = await alice.setState(room, "m.room.topic", { topic: "present" });
  const text = JSON.stringify(
    await late.ask("query ($id: ID!) { event(id: $id) { json ... on StateEvent { prevContent } } }", { id: changed }),
  );
  expect(text).not.toContain("hidden past");
});

test("[EV-9] what needs a token is UNAUTHENTICATED without one", async () => {
  for (const document of [
    '{ room(id: "!x:localhost") { id } }',
    '{ user(id: "@alice:localhost") { id } }',
    '{ node(id: "@alice:localhost") { id } }',
    "{ streamToken }",
  ]) {
    expect(await stranger.code(document)).toBe("UNAUTHENTICATED");
  }
});

test("[EV-9] a member who joined late under strict visibility sees the present state, as events too", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC", historyVisibility: "JOINED", name: "Present" });
  const renamed = await alice.setState(room, "m.room.name", { name: "Renamed" });
  const early = await alice.send(room, "early");
  const late = await server.user("latecomer");
  await late.join(room);
  const see = `query ($room: ID!) { room(id: $room) { name members { nodes { user { id } event { id type } } } state { nodes { id type } } } }`;
  const { room: seen } = await late.do<{ room: { name: string; state: { nodes: { id: string; type: string }[] } } }>(
    see,
    { room },
  );
  expect(seen.name).toBe("Renamed");
  const ids = seen.state.nodes.map((node) => node.id);
  expect(await late.do("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids })).toEqual({
    nodes: ids.map((id) => ({ id })),
  });
  expect(ids).toContain(renamed);
  await alice.setState(room, "m.room.name", { name: "Again" });
  for (const id of [early, renamed])
    expect(await late.code("query ($id: ID!) { event(id: $id) { id } }", { id })).toBe("NOT_FOUND");
});

test("[SYN-5] [EV-9] an invite that was taken back shows nothing of the room when the stream is replayed", async () => {
  const before = await mallory.follow();
  const room = await alice.createRoom({ name: "Den", invite: [mallory.userId] });
  await before.until(({ chunks }) => chunks.some((chunk) => chunk.invites.some((each) => each.room.name === "Den")));
  await alice.membership("kick", room, mallory.userId);
  await alice.setState(room, "m.room.name", { name: "Secret" });
  const replayed = await mallory.follow(before.chunks[0]!.stream);
  await replayed.until(({ events }) => events.filter((event) => event.roomId === room).length === 2);
  expect(JSON.stringify(replayed.chunks)).not.toContain("Secret");
  await mallory.close();
});

test("[EV-9] searching members tells who left no name that was taken after they left", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const carol = await server.user("carol");
  await Promise.all([carol.join(room), mallory.join(room)]);
  await carol.setProfile("displayname", "Oldname", room);
  await mallory.leave(room);
  await carol.setProfile("displayname", "Secretnew", room);
  const find = async (client: Client, search: string): Promise<number> => {
    const document =
      "query ($room: ID!, $search: String!) { room(id: $room) { members(search: $search) { totalCount } } }";
    return (await client.do<{ room: { members: { totalCount: number } } }>(document, { room, search })).room.members
      .totalCount;
  };
  expect([await find(mallory, "secretn"), await find(mallory, "oldname")]).toEqual([0, 1]);
  expect([await find(alice, "secretn"), await find(alice, "oldname")]).toEqual([1, 0]);
});
