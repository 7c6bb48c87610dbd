import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

const messages = 60;

let server: TestApp;
let alice: Client;
let room: string;
let middle: string;
let popular: string;
beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
  const others = await Promise.all(Array.from({ length: 6 }, (_, index) => server.user(`user${index}`)));
  room = await alice.createRoom({ joinRule: "PUBLIC", name: "Room" });
  for (const other of others) await other.join(room);
  const ids: string[] = [];
  // Every page of ten has some of each kind: what is edited, answered, reacted to and redacted, and state.
  for (let n = 0; n < messages; n++) {
    const sender = others[n % others.length]!;
    const id = await sender.send(room, `message ${n}`);
    ids.push(id);
    if (n % 5 === 1) await sender.edit(room, id, "edited");
    if (n % 5 === 2) await alice.reply(room, id, "reply", "m.thread");
    if (n % 5 === 3) await alice.react(room, id, "+1");
    if (n % 5 === 4) await sender.redact(id);
    if (n % 5 === 0) await alice.setState(room, "m.room.topic", { topic: `topic ${n}` });
  }
  middle = ids[messages / 2]!;
  popular = ids[0]!;
  for (let n = 0; n < messages; n++) {
    const reply = await others[n % others.length]!.reply(room, popular, `reply ${n}`, "m.thread");
    if (n % 5 === 0) await alice.react(room, reply, "+1");
    if (n % 5 === 1) await others[n % others.length]!.edit(room, reply, "edited");
  }
  await others[0]!.mark(middle);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const person = "displayName avatarMxc";
const event = `id type kind content typed { __typename } json order cursor actionId
  sender { id ${person} signingKeys { keyId } } senderMember { ${person} powerLevel membership event { id } user { id } }
  room { id name title memberCount powerLevels { kick } viewerMembership unread { count highlight } }
  redactedBy { id sender { ${person} } }
  ... on MessageEvent {
    updates { id } updatedBy { id sender { ${person} } } current { __typename } editedAt
    relatesTo { event { id sender { ${person} } } }
    reactions { key count viewerEvent { id } } replyCount threads: replyCount(relType: "m.thread")
    replies(last: 3) { nodes { id sender { ${person} } ... on MessageEvent { reactions { count } current { __typename } } } }
  }
  ... on StateEvent { prevContent profile { ${person} } invite { id } }`;
const list = `edges { cursor json bundledReplies { nodes { id } } node { ${event} } } pageInfo { startCursor } moreBefore`;

/** As much of it as the limit of complexity leaves for a sync. */
const less = `nodes { id json sender { ${person} } senderMember { ${person} powerLevel } redactedBy { id }
  ... on MessageEvent { current { __typename } reactions { key viewerEvent { id } } replyCount relatesTo { event { id } } } }`;

/** What is listed by pages of any size, each with the number of events that it gives. */
const documents: Record<string, { query: string; variables: (size: number) => Record<string, unknown> }> = {
  scrollback: {
    query: `query ($room: ID!, $size: Int!, $filter: FilterToken) {
      scrollback(roomId: $room, last: $size, filter: $filter) { events { ${list} } } }`,
    variables: (size) => ({ room, size }),
  },
  "a room's timeline": {
    query: `query ($room: ID!, $size: Int!, $filter: FilterToken) {
      room(id: $room) { timeline(last: $size, filter: $filter) { ${list} } } }`,
    variables: (size) => ({ room, size }),
  },
  "a context window": {
    query: `query ($event: ID!, $size: Int!, $filter: FilterToken) {
      contextWindow(eventId: $event, before: $size, after: $size, filter: $filter) { events { ${list} } state { nodes { id } } } }`,
    variables: (size) => ({ event: middle, size: size / 2 }),
  },
  relations: {
    query: `query ($event: ID!, $size: Int!, $filter: FilterToken) {
      relations(eventId: $event, last: $size, filter: $filter) { ${list} } }`,
    variables: (size) => ({ event: popular, size }),
  },
  "an initial sync": {
    query: `query ($size: Int!, $filter: FilterToken) {
      initialSync(limit: $size, filter: $filter) { rooms(first: 1) { nodes { room { unread { count } } timeline { ${less} } state { nodes { id } } } } } }`,
    variables: (size) => ({ size }),
  },
};

test.each(Object.keys(documents))(
  "%s with all that hangs on events takes no more statements for 50 than for 10",
  async (name) => {
    const { query, variables } = documents[name]!;
    const filter = await alice.filter({ bundleRelations: 3, children: true });
    const counted = async (size: number): Promise<{ events: number; statements: number }> => {
      const before = server.database.statements();
      const data = await alice.do(query, { ...variables(size), filter });
      const events = JSON.stringify(data).split('"senderMember"').length - 1;
      return { events, statements: server.database.statements() - before };
    };
    const ten = await counted(10);
    const fifty = await counted(50);
    expect(ten.events).toBeGreaterThanOrEqual(10);
    expect(fifty.events).toBeGreaterThanOrEqual(4 * ten.events);
    expect(fifty.statements).toBeLessThanOrEqual(ten.statements);
    expect(fifty.statements).toBeLessThanOrEqual(30);
  },
);
