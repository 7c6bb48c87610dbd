import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { ids, sync } from "./support/sync.ts";

// Faults that somebody found by trying to break the reading half; each stays mended.

let server: TestApp;
let ann: Client;
let bob: Client;
let roomId: string;
beforeAll(async () => {
  server = await startApp();
  ann = await server.user("ann");
  bob = await server.user("bob");
  roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const send = `mutation ($roomId: ID!, $message: MessageInput!) { sendMessage(input: { roomId: $roomId, message: $message }) { event { id } } }`;

test("[UPD-1] updates of updates go only so deep, and a document only so deep into them", async () => {
  let parent = await ann.send(roomId, "root");
  const root = parent;
  for (let n = 0; n < 20; n++) parent = await ann.edit(roomId, parent, `edit ${n}`);
  const message = { content: { text: { body: "one too deep" } }, updates: parent };
  expect(await ann.code(send, { roomId, message })).toBe("BAD_INPUT");
  const nested =
    "query ($id: ID!) { event(id: $id) { ... on MessageEvent { updatedBy { updatedBy { updatedBy { id } } } } } }";
  expect(await ann.code(nested, { id: root })).toBe("TOO_COMPLEX");
});

test("[ACT-14, UPD-2] redacting a message redacts its edits, and none can be added anywhere in it", async () => {
  const message = await ann.send(roomId, "secret 1");
  const edit = await ann.edit(roomId, message, "secret 2");
  await ann.redact(message);
  const data = await bob.do<{ event: { updatedBy: { content: object }[]; json: object } }>(
    "query ($id: ID!) { event(id: $id) { json ... on MessageEvent { updatedBy { content } } } }",
    { id: message },
  );
  expect(data.event.updatedBy).toEqual([{ content: {} }]);
  for (const updates of [message, edit]) {
    const again = { content: { text: { body: "secret 3" } }, updates };
    expect(await ann.code(send, { roomId, message: again })).toBe("BAD_INPUT");
  }
});

test("[FIL-3, SCR-3, FIL-7] a type that is named with its kind and without is looked for once", async () => {
  const room = await ann.createRoom();
  const sent = [await ann.send(room, "one"), await ann.send(room, "two"), await ann.send(room, "three")];
  const filter = await ann.filter({
    types: ["m.room.message", "message:m.room.message", "state:m.room.name", "m.room.name"],
  });
  const [found] = (await sync(ann, { filter, limit: 3, tweak: { rooms: [room] } })).rooms.nodes;
  expect(ids(found!.timeline)).toEqual(sent);
  expect(found!.timeline.pageInfo.hasPreviousPage).toBe(false);
});

test("[FIL-2] lists of fields are bounded wherever they are given", async () => {
  const id = await ann.send(roomId, "fields");
  const read = "query ($id: ID!, $fields: [String!]) { event(id: $id) { json(fields: $fields) } }";
  expect(await ann.code(read, { id, fields: Array.from({ length: 101 }, (_, n) => `k${n}`) })).toBe("BAD_INPUT");
  expect(await ann.code(read, { id, fields: ["a*".repeat(1000)] })).toBe("BAD_INPUT");
  expect(await ann.code(read, { id, fields: ["content.body"] })).toBeNull();
});

test("[REL-1] relation types are taken literally, and refused where they can be none", async () => {
  const parent = await ann.send(roomId, "parent");
  const child = await bob.reply(roomId, parent, "child");
  const relations = "query ($e: ID!, $t: String) { relations(eventId: $e, relType: $t) { nodes { id } } }";
  const replies =
    "query ($e: ID!, $t: String) { event(id: $e) { ... on MessageEvent { replies(last: 2, relType: $t) { nodes { id } } } } }";
  for (const document of [relations, replies]) {
    for (const t of ["a\u0000b", "", "x".repeat(256)])
      expect(await ann.code(document, { e: parent, t })).toBe("BAD_INPUT");
    expect(JSON.stringify(await ann.do(document, { e: parent, t: "*" }))).not.toContain(child);
    expect(JSON.stringify(await ann.do(document, { e: parent, t: "m.reference" }))).toContain(child);
  }
});

test("[STR-4] a bad token fails its own field, not its neighbours", async () => {
  const [one, two] = [await ann.send(roomId, "one"), await ann.send(roomId, "two")];
  for (const parent of [one, two]) for (const body of ["a", "b"]) await bob.reply(roomId, parent, body);
  const first = await ann.do<{ event: { replies: { pageInfo: { startCursor: string } } } }>(
    "query ($e: ID!) { event(id: $e) { ... on MessageEvent { replies(last: 1) { pageInfo { startCursor } } } } }",
    { e: one },
  );
  const token = first.event.replies.pageInfo.startCursor;
  const answer = await ann.ask(
    `query ($a: ID!, $b: ID!, $t: ChunkToken) {
       a: event(id: $a) { ... on MessageEvent { replies(last: 1, before: $t) { nodes { id } } } }
       b: event(id: $b) { ... on MessageEvent { replies(last: 1, before: $t) { nodes { id } } } } }`,
    { a: one, b: two, t: token },
  );
  expect(answer.errors!.map((error) => [error.path![0], error.extensions!["code"]])).toEqual([["b", "BAD_TOKEN"]]);
  expect(answer.data!["a"]).toMatchObject({ replies: { nodes: [{}] } });
});

test("[FIL-6] an empty token is no token", async () => {
  for (const document of [
    '{ initialSync(stream: "") { stream } }',
    '{ initialSync { rooms(after: "") { totalCount } } }',
    '{ initialSync { rooms { nodes { state(after: "") { totalCount } } } } }',
    `query ($id: ID!) { scrollback(roomId: $id, stream: "") { incremental } }`,
    `query ($id: ID!) { room(id: $id) { members(first: 1, after: "") { totalCount } } }`,
    '{ viewer { rooms(after: "") { totalCount } } }',
  ]) {
    expect(await ann.code(document, { id: roomId })).toBe("BAD_TOKEN");
  }
});

test("[SYN-11, REL-3] a difference tells of parents whose bundled children are new, edited or redacted", async () => {
  const room = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
  const [one, two, three] = [await ann.send(room, "1"), await ann.send(room, "2"), await ann.send(room, "3")];
  const [edited, redacted] = [await bob.reply(room, one, "reply"), await bob.reply(room, two, "reply")];
  const filter = await ann.filter({ bundleRelations: 3, types: ["m.room.message"] });
  const { stream } = await sync(ann, { filter });
  await bob.edit(room, edited, "reply, mended");
  await bob.redact(redacted);
  const fresh = await bob.reply(room, three, "a new one");
  const [found] = (await sync(ann, { filter, stream })).rooms.nodes;
  expect(found!.timeline.edges).toEqual([]);
  expect(ids(found!.changed)).toEqual([one, two, three]);
  const chunk = (found!.changed.edges[2]!.json["replies"] as { chunk: { event_id: string }[] }).chunk;
  expect(chunk.map((child) => child.event_id)).toEqual([fresh]);
  // Without bundling they are ordinary news.
  const [plain] = (await sync(ann, { stream })).rooms.nodes;
  expect(ids(plain!.timeline)).toContain(fresh);
  expect(ids(plain!.changed)).toEqual([edited, redacted]);
});

test("[SCR-2] what is younger than the token has nothing before it; a token near its bound has a successor", async () => {
  const token = await ann.streamToken(
    null,
    Array.from({ length: 60 }, (_, n) => `@user-${n}:localhost`),
  );
  const before = (await sync(ann)).stream;
  const room = await ann.createRoom();
  const read =
    "query ($id: ID!, $s: StreamToken) { scrollback(roomId: $id, stream: $s) { stream moreLocally events { pageInfo { hasPreviousPage } } } }";
  expect(await ann.do(read, { id: room, s: before })).toMatchObject({
    scrollback: { moreLocally: false, events: { pageInfo: { hasPreviousPage: false } } },
  });
  expect(await ann.code(read, { id: room, s: token })).toBeNull();
});

test("[EVS-1, EV-9] a stream over server-sent events is as fresh as one over a socket, whatever it accepts", async () => {
  const room = await ann.createRoom({ name: "Before" });
  const stop = new AbortController();
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    signal: stop.signal,
    headers: { "content-type": "application/json", authorization: `Bearer ${ann.token}`, accept: "*/*" },
    body: JSON.stringify({ query: "subscription { eventStream { events { type room { name } } } }" }),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const readUntil = async (wanted: string): Promise<void> => {
    while (!text.includes(wanted)) text += (await reader.read()).value ?? "";
  };
  await readUntil("eventStream");
  await ann.send(room, "one");
  await readUntil('"Before"');
  await ann.setState(room, "m.room.name", { name: "After" });
  await readUntil('"After"');
  stop.abort();
});

test("a large answer comes in the type that is accepted, or not at all", async () => {
  const room = await ann.createRoom();
  const messages = Array.from({ length: 100 }, () => ({ content: { text: { body: "x" } } }));
  for (let n = 0; n < 5; n++) {
    await ann.do(
      "mutation ($room: ID!, $messages: [MessageInput!]!) { sendMessages(input: { roomId: $room, messages: $messages }) { room { id } } }",
      { room, messages },
    );
  }
  const query =
    "query ($id: ID!) { scrollback(roomId: $id, last: 500) { events { nodes { id type kind senderId sentAt content order cursor qualifiedType roomId actionId } } } }";
  const read = (accept: string): Promise<Response> =>
    fetch(`${server.address}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ann.token}`, accept },
      body: JSON.stringify({ query, variables: { id: room } }),
    });
  for (const accept of ["application/json", "application/graphql-response+json"]) {
    const response = await read(accept);
    expect(response.headers.get("content-type")).toContain(accept);
    const body = (await response.json()) as { data: { scrollback: { events: { nodes: object[] } } } };
    expect(body.data.scrollback.events.nodes).toHaveLength(500);
  }
  expect((await read("image/png")).status).toBe(406);
});
