import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { Client as AnyClient } from "../kit/client.ts";
import { sql } from "../kit/database.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let roomId: string;
beforeAll(async () => {
  server = await startApp();
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
  roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const send = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id actionId } actionId } }";
const setState = "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }";
const text = (body: string, extra: object = {}): object => ({
  roomId,
  message: { content: { text: { body } }, ...extra },
});
const eventCount = async (): Promise<number> =>
  (await sql<{ count: number }>(server.databaseUrl, "SELECT count(*)::integer AS count FROM event"))[0]!.count;

test("[EV-1] [EV-4] [EV-7] an event tells its kind, type, sender and time, in every form", async () => {
  const before = Date.now();
  const eventId = await alice.send(roomId, "hello");
  const { event } = await bob.do<{
    event: Record<string, unknown> & { sentAt: string; json: Record<string, unknown> };
  }>(
    `query ($id: ID!) { event(id: $id) { __typename kind type qualifiedType roomId senderId sender { id } sentAt content json
       picked: json(fields: ["type", "content.body"]) } }`,
    { id: eventId },
  );
  expect(event).toMatchObject({
    ...{ __typename: "MessageEvent", kind: "MESSAGE", type: "m.room.message", qualifiedType: "message:m.room.message" },
    ...{ roomId, senderId: alice.userId, sender: { id: alice.userId }, content: { msgtype: "m.text", body: "hello" } },
    picked: { type: "message:m.room.message", content: { body: "hello" } },
  });
  expect(event.sentAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(event.sentAt)).toBeGreaterThanOrEqual(before);
  expect(event.json).toMatchObject({ type: "message:m.room.message", origin_server_ts: Date.parse(event.sentAt) });
});

test("[EV-1] a prefix of the wrong kind is BAD_INPUT that names the field", async () => {
  const answer = await alice.ask(send, { input: text("x", { type: "state:m.room.message" }) });
  expect(answer.errors![0]!.extensions).toEqual({ code: "BAD_INPUT", field: "message.type" });
  expect(await alice.code(setState, { input: { roomId, type: "message:x", content: {} } })).toBe("BAD_INPUT");
  expect(await alice.code(send, { input: text("x", { type: "message:m.room.message" }) })).toBeNull();
});

test("[ACT-8] a batch comes whole and in order, at neighbouring places", async () => {
  const messages = ["one", "two", "three"].map((body) => ({ content: { text: { body } } }));
  const data = await alice.do<{
    sendMessages: { events: { id: string; order: string }[]; compact: object[]; previousEventId: string };
  }>(
    "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id order } compact stream previousEventId } }",
    { input: { roomId, messages } },
  );
  const { events, compact } = data.sendMessages;
  const timeline = await bob.timeline(roomId);
  expect(timeline.slice(-3)).toEqual(events.map((event) => event.id));
  expect(timeline.at(-4)).toBe(data.sendMessages.previousEventId);
  expect([...events].sort((a, b) => (a.order < b.order ? -1 : 1))).toEqual(events);
  expect(compact[0]).toMatchObject({ event_id: events[0]!.id });
  expect(compact[0]).not.toHaveProperty("content");
});

test("[ACT-8] one bad message of a batch, and none is stored", async () => {
  const before = await eventCount();
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  const messages = [{ content: { text: { body: "fine" } } }, { content: { custom: { half: 0.5 } } }];
  const answer = await alice.ask(batch, { input: { roomId, messages } });
  expect(answer.errors![0]!.extensions).toEqual({ code: "BAD_INPUT", field: "messages.1.content.half" });
  expect(await eventCount()).toBe(before);
});

test("[ACT-2] the same action id again gives the first outcome; with other content it is CONFLICT", async () => {
  const before = await eventCount();
  const first = await alice.do(send, { input: text("once", { actionId: "a1" }) });
  expect(await alice.do(send, { input: text("once", { actionId: "a1" }) })).toEqual(first);
  expect(await alice.code(send, { input: text("other", { actionId: "a1" }) })).toBe("CONFLICT");
  expect(await alice.code(setState, { input: { roomId, type: "x", content: {}, actionId: "a1" } })).toBe("CONFLICT");
  const many = await Promise.all(
    Array.from({ length: 20 }, () => alice.do(send, { input: text("at once", { actionId: "a2" }) })),
  );
  expect(new Set(many.map((each) => JSON.stringify(each))).size).toBe(1);
  expect(await eventCount()).toBe(before + 2);
});

test("[ACT-2] action ids belong to a device: another device's are its own", async () => {
  const tablet = await AnyClient.login(server.address, "alice", "tablet");
  const first = await alice.send(roomId, "from the phone", "same");
  const second = await tablet.send(roomId, "from the tablet", "same");
  expect(second).not.toBe(first);
});

test("[ACT-2] an action that can't be done again still gives its first outcome", async () => {
  const carol = await server.user("carol");
  await carol.join(roomId);
  const leave = "mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { event { id } } }";
  const first = await carol.do(leave, { input: { roomId, actionId: "bye" } });
  expect(await carol.do(leave, { input: { roomId, actionId: "bye" } })).toEqual(first);
  const create = "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } event { id } } }";
  const created = await carol.do(create, { input: { name: "Mine", actionId: "make" } });
  expect(await carol.do(create, { input: { name: "Mine", actionId: "make" } })).toEqual(created);
});

test("[EVS-8] the action id appears only to the device that acted", async () => {
  const eventId = await alice.send(roomId, "mine", "secret-id");
  const tablet = await AnyClient.login(server.address, "alice", "tablet2");
  const see = "query ($id: ID!) { event(id: $id) { actionId json } }";
  expect(await alice.do(see, { id: eventId })).toMatchObject({
    event: { actionId: "secret-id", json: { action_id: "secret-id" } },
  });
  for (const other of [tablet, bob]) {
    const data = await other.do<{ event: { actionId: null; json: object } }>(see, { id: eventId });
    expect(data.event.actionId).toBeNull();
    expect(data.event.json).not.toHaveProperty("action_id");
  }
});

test("[ACT-7] [EV-2] state is set in slots, each holding what came before", async () => {
  const first = await alice.setState(roomId, "org.example.x", { a: 1 });
  const second = await alice.setState(roomId, "org.example.x", { a: 2 });
  expect(
    await bob.do(
      "query ($id: ID!) { event(id: $id) { ... on StateEvent { stateKey replacesId prevContent deleted } } }",
      { id: second },
    ),
  ).toEqual({
    event: { stateKey: "_", replacesId: first, prevContent: { a: 1 }, deleted: false },
  });
});

test("[ACT-7] a batch of state is all or nothing", async () => {
  const before = await eventCount();
  const batch = "mutation ($input: SetStatesInput!) { setStates(input: $input) { events { id } } }";
  const states = [
    { type: "org.example.y", content: {} },
    { type: "org.example.y", stateKey: "odd key", content: {} },
  ];
  expect(await alice.code(batch, { input: { roomId, states } })).toBe("BAD_STATE_KEY");
  expect(await eventCount()).toBe(before);
});

test("[ACT-9] deleting state empties the slot; the event has no content", async () => {
  await alice.setState(roomId, "org.example.z", { a: 1 });
  const remove =
    "mutation ($input: DeleteStateInput!) { deleteState(input: $input) { event { deleted content prevContent json } } }";
  const data = await alice.do<{ deleteState: { event: { json: object } } }>(remove, {
    input: { roomId, type: "org.example.z" },
  });
  expect(data.deleteState.event).toMatchObject({ deleted: true, content: null, prevContent: { a: 1 } });
  expect(data.deleteState.event.json).not.toHaveProperty("content");
  expect(
    await bob.do('query ($id: ID!) { room(id: $id) { stateEvent(type: "org.example.z") { id } } }', { id: roomId }),
  ).toEqual({ room: { stateEvent: null } });
  expect(await alice.code(remove, { input: { roomId, type: "org.example.z" } })).toBe("NOT_FOUND");
});

test("[ACT-14] redaction empties the content, keeps the place and tells who did it", async () => {
  const eventId = await bob.send(roomId, "regretted");
  const redact =
    "mutation ($input: RedactEventInput!) { redactEvent(input: $input) { event { id typed { ... on RedactionContent { redactsId reason } } } redacted { id content redactedBy { id senderId } } } }";
  const carol = await server.user("dora");
  await carol.join(roomId);
  expect(await carol.code(redact, { input: { eventId } })).toBe("FORBIDDEN");
  const data = await alice.do<{ redactEvent: { event: { id: string } } }>(redact, {
    input: { eventId, reason: "spam" },
  });
  expect(data.redactEvent).toMatchObject({
    event: { typed: { redactsId: eventId, reason: "spam" } },
    redacted: { id: eventId, content: {}, redactedBy: { id: data.redactEvent.event.id, senderId: alice.userId } },
  });
  expect(await bob.timeline(roomId)).toContain(eventId);
  expect(await alice.do(redact, { input: { eventId } })).toMatchObject({
    redactEvent: { event: { id: data.redactEvent.event.id } },
  });
  const stored = await sql<{ content: string }>(server.databaseUrl, "SELECT content FROM event WHERE event_id = $1", [
    eventId,
  ]);
  expect(stored).toEqual([{ content: "{}" }]);
});

test("[ACT-14] a redacted state event keeps its slot; what authorises can't be redacted", async () => {
  const topic = await alice.setState(roomId, "m.room.topic", { topic: "rude" });
  await alice.do("mutation ($id: ID!) { redactEvent(input: { eventId: $id }) { event { id } } }", { id: topic });
  const see =
    'query ($id: ID!) { room(id: $id) { topic stateEvent(type: "m.room.topic") { id content } powers: stateEvent(type: "m.room.power_levels") { id } member: stateEvent(type: "m.room.member", stateKey: "@bob:localhost") { id } } }';
  const data = await alice.do<{ room: { powers: { id: string }; member: { id: string } } }>(see, { id: roomId });
  expect(data.room).toMatchObject({ topic: null, stateEvent: { id: topic, content: {} } });
  for (const id of [data.room.powers.id, data.room.member.id]) {
    const redact = "mutation ($id: ID!) { redactEvent(input: { eventId: $id }) { event { id } } }";
    expect(await alice.code(redact, { id })).toBe("FORBIDDEN");
  }
});

test("[EV-8] an event beyond 64 KiB is TOO_LARGE, and nothing is stored", async () => {
  const before = await eventCount();
  expect(await alice.code(send, { input: text("x".repeat(66_000)) })).toBe("TOO_LARGE");
  expect(await alice.code(send, { input: text("x".repeat(64_000)) })).toBeNull();
  expect(await eventCount()).toBe(before + 1);
});

test("[SCR-3] [EV-8] content comes back as it was given, whatever its keys are called", async () => {
  const custom = JSON.parse(
    '{"__proto__":{"a":1},"constructor":[],"é":"\\ud83d\\ude00","":0,"big":9007199254740991,"n":null}',
  ) as object;
  const data = await alice.do<{ sendMessage: { event: { id: string } } }>(send, {
    input: { roomId, message: { type: "org.example", content: { custom } } },
  });
  const { event } = await bob.do<{ event: { content: object } }>("query ($id: ID!) { event(id: $id) { content } }", {
    id: data.sendMessage.event.id,
  });
  expect(JSON.stringify(Object.entries(event.content).sort())).toBe(JSON.stringify(Object.entries(custom).sort()));
});

test("[EV-1] well-known contents are typed, and what isn't valid is UnknownContent", async () => {
  const cases: [object, object][] = [
    [{ text: { body: "b", msgtype: "m.emote" } }, { __typename: "TextContent", body: "b", mentions: [bob.userId] }],
    [
      { media: { msgtype: "m.image", body: "i", mxc: "mxc://localhost/x", width: 3 } },
      { __typename: "MediaContent", mxc: "mxc://localhost/x", width: 3 },
    ],
    [{ location: { body: "l", geoUri: "geo:1,2" } }, { __typename: "LocationContent", geoUri: "geo:1,2" }],
    [{ custom: { msgtype: "m.text", body: 5 } }, { __typename: "UnknownContent" }],
  ];
  for (const [content, expected] of cases) {
    const input = { roomId, message: { content, mentions: [bob.userId] } };
    const data = await alice.do<{ sendMessage: { event: { id: string } } }>(send, { input });
    const { event } = await bob.do<{ event: { typed: object } }>(
      "query ($id: ID!) { event(id: $id) { typed { __typename ... on TextContent { body mentions } ... on MediaContent { mxc width } ... on LocationContent { geoUri } } } }",
      { id: data.sendMessage.event.id },
    );
    expect(event.typed).toMatchObject(expected);
  }
});

test("[EV-2] memberships, creation, aliases and markers aren't set as plain state", async () => {
  for (const type of ["m.room.member", "m.room.create", "m.room.aliases", "m.room.marker.read"]) {
    expect(
      await alice.code(setState, { input: { roomId, type, stateKey: alice.userId, content: { membership: "join" } } }),
    ).toBe("BAD_INPUT");
  }
  expect(await alice.code(send, { input: text("x", { type: "m.room.redaction" }) })).toBe("BAD_INPUT");
  expect(
    await alice.code(setState, { input: { roomId, type: "m.room.join_rules", content: { join_rule: "maybe" } } }),
  ).toBe("BAD_INPUT");
});

test("[EV-5] what the server sets itself has the server's name as sender and looks like other events", async () => {
  const room = await alice.createRoom({ alias: "#generated:localhost" });
  const see = `query ($room: ID!) { room(id: $room) {
    stateEvent(type: "m.room.aliases", stateKey: "localhost") {
      senderId sender { id } senderMember { id } typed { ... on AliasesContent { aliases } } json
    }
  } }`;
  const { room: seen } = await alice.do<{ room: { stateEvent: { json: object } } }>(see, { room });
  expect(seen.stateEvent).toMatchObject({
    ...{ senderId: "localhost", sender: null, senderMember: null, typed: { aliases: ["#generated:localhost"] } },
    json: { type: "state:m.room.aliases", sender: "localhost", state_key: "localhost" },
  });
});

test("[EV-5] types that only the server makes are sent by nobody else, as messages or as state", async () => {
  for (const type of ["m.homeserver.scrollback", "m.typing", "m.presence", "m.room.redaction"]) {
    const input = { roomId, message: { type, content: { custom: { token: "evil" } } } };
    expect(await alice.code(send, { input })).toBe("BAD_INPUT");
    expect(await alice.code(setState, { input: { roomId, type, content: {} } })).toBe("BAD_INPUT");
  }
});

test("[EV-8] content may nest 64 levels deep, and no deeper", async () => {
  const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) });
  const input = (levels: number): object => ({ roomId, message: { type: "x", content: { custom: nested(levels) } } });
  expect(await alice.code(send, { input: input(64) })).toBeNull();
  expect(await alice.code(send, { input: input(65) })).toBe("BAD_INPUT");
});
