import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { countRows } from "../kit/rows.ts";

let server: TestApp;
let ann: Client;
let bob: Client;
let roomId: string;
let otherRoom: string;
/** Messages of the room: one by each, and one that was redacted; and one of another room. */
let annsMessage: string;
let bobsMessage: string;
let redacted: string;
let elsewhere: string;
beforeAll(async () => {
  server = await startApp();
  [ann, bob] = [await server.user("ann"), await server.user("bob")];
  roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  otherRoom = await ann.createRoom();
  await bob.join(roomId);
  [annsMessage, bobsMessage] = [await ann.send(roomId, "by ann"), await bob.send(roomId, "by bob")];
  redacted = await ann.send(roomId, "gone");
  await ann.redact(redacted);
  elsewhere = await ann.send(otherRoom, "elsewhere");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([ann, bob].map((client) => client.close()));
  await server.close();
});

const send =
  "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { actionId events { id actionId order } } }";
const set = "mutation ($input: SetStatesInput!) { setStates(input: $input) { actionId events { id actionId } } }";

interface Batch {
  actionId: string | null;
  events: { id: string; actionId: string | null; order: string }[];
}

type Message = Record<string, unknown>;

const plain = (body: string): Message => ({ content: { text: { body } } });

/** A hundred messages of every sort, which name events of the room. */
function mixed(): Message[] {
  return Array.from({ length: 100 }, (_, n): Message => {
    switch (n % 8) {
      case 0:
        return plain(`text ${n}`);
      case 1:
        return { content: { text: { body: `emote ${n}`, msgtype: "m.emote" } }, mentions: [bob.userId] };
      case 2:
        return { content: { media: { msgtype: "m.image", body: `${n}`, mxc: "mxc://localhost/x", width: n } } };
      case 3:
        return { content: { location: { body: `${n}`, geoUri: "geo:1,2" } }, mentions: [ann.userId, bob.userId] };
      case 4:
        return { type: "org.example.vote", content: { custom: { n, nested: { list: [n, null, "é"] } } } };
      case 5:
        return { content: { reaction: `key ${n}` }, relatesTo: [{ type: "m.annotation", eventId: bobsMessage }] };
      case 6:
        return {
          ...plain(`reply ${n}`),
          relatesTo: [
            { type: "m.thread", eventId: annsMessage },
            { type: "org.example.vote", eventId: bobsMessage, key: `vote ${n}` },
          ],
        };
      default:
        return { ...plain(`edit ${n}`), updates: annsMessage };
    }
  });
}

async function sent(input: object): Promise<Batch> {
  return (await ann.do<{ sendMessages: Batch }>(send, { input: { roomId, ...input } })).sendMessages;
}

async function refusal(document: string, input: object): Promise<Record<string, unknown> | undefined> {
  return (await ann.ask(document, { input: { roomId, ...input } })).errors?.[0]?.extensions;
}

async function positionsOf(eventIds: readonly string[]): Promise<number[]> {
  const rows = await sql<{ event_id: string; position: number }>(
    server.databaseUrl,
    "SELECT event_id, position::integer FROM event WHERE event_id = ANY ($1)",
    [eventIds],
  );
  const byId = new Map(rows.map((row) => [row.event_id, row.position]));
  return eventIds.map((eventId) => byId.get(eventId)!);
}

function consecutive(positions: readonly number[]): boolean {
  return positions.every((position, index) => position === positions[0]! + index);
}

describe("messages", () => {
  test("[ACT-8] a hundred of every sort come in order: in the answer, on the stream, in scrollback and by relation", async () => {
    const follow = await bob.follow();
    const messages = mixed();
    const { events } = await sent({ messages });
    const ids = events.map((event) => event.id);
    expect(new Set(ids).size).toBe(100);
    expect(consecutive(await positionsOf(ids))).toBe(true);
    expect(events.map((event) => event.order).toSorted()).toEqual(events.map((event) => event.order));
    await follow.sees(ids.at(-1)!);
    expect(follow.events.map((event) => event.id)).toEqual(ids);
    for (const [n, event] of follow.events.entries()) {
      const { type, content, mentions } = messages[n] as { type?: string; content: Message; mentions?: string[] };
      expect(event.type).toBe(type ?? ("reaction" in content ? "m.reaction" : "m.room.message"));
      expect(event.content?.["m.mentions"]).toEqual(mentions && { user_ids: mentions });
    }
    const flat = await bob.filter({
      types: ["m.room.message", "org.example.vote", "m.reaction"],
      bundleUpdates: false,
    });
    const data = await bob.do<{ scrollback: { events: { nodes: { id: string }[] } } }>(
      `query ($roomId: ID!, $filter: FilterToken) {
         scrollback(roomId: $roomId, last: 100, filter: $filter) { events { nodes { id } } } }`,
      { roomId, filter: flat },
    );
    expect(data.scrollback.events.nodes.map((node) => node.id)).toEqual(ids);
    const related = await bob.do<Record<string, { nodes: { id: string }[] }>>(
      `query ($ann: ID!, $bob: ID!) {
         thread: relations(eventId: $ann, relType: "m.thread", first: 100) { nodes { id } }
         votes: relations(eventId: $bob, relType: "org.example.vote", first: 100) { nodes { id } }
         reactions: relations(eventId: $bob, relType: "m.annotation", first: 100) { nodes { id } } }`,
      { ann: annsMessage, bob: bobsMessage },
    );
    const every = (rest: number): { nodes: { id: string }[] } => ({
      nodes: ids.filter((_, n) => n % 8 === rest).map((id) => ({ id })),
    });
    expect(related).toEqual({ thread: every(6), votes: every(6), reactions: every(5) });
    expect(
      await bob.do("query ($id: ID!) { event(id: $id) { ... on MessageEvent { updatedBy { id } } } }", {
        id: annsMessage,
      }),
    ).toEqual({ event: { updatedBy: every(7).nodes } });
    follow.stop();
  });

  const faults: [what: string, fault: () => Message, code: string, field: string][] = [
    ["a fraction", () => ({ content: { custom: { a: [0.5] } } }), "BAD_INPUT", "content.a.0"],
    ["too much nesting", () => ({ content: { custom: nested(65) } }), "BAD_INPUT", "content"],
    ["too large a content", () => plain("x".repeat(66_000)), "TOO_LARGE", "content"],
    ["no mxc address", () => media("https://x"), "BAD_INPUT", "content.media.mxc"],
    ["a state's type", () => ({ ...plain("x"), type: "state:x" }), "BAD_INPUT", "type"],
    ["the server's own type", () => ({ ...plain("x"), type: "m.room.redaction" }), "BAD_INPUT", "type"],
    ["a mention of nobody", () => ({ ...plain("x"), mentions: [bob.userId, "bob"] }), "BAD_INPUT", "mentions.1"],
    ["a relation to another room", () => related(elsewhere), "BAD_INPUT", "relatesTo.0.eventId"],
    ["a relation to nothing", () => related("$nothing"), "BAD_INPUT", "relatesTo.0.eventId"],
    ["the same relation twice", () => related(annsMessage, annsMessage), "BAD_INPUT", "relatesTo"],
    ["a reaction to nothing", () => ({ content: { reaction: "+" } }), "BAD_INPUT", "relatesTo"],
    ["an edit of another's message", () => ({ ...plain("x"), updates: bobsMessage }), "FORBIDDEN", "updates"],
    ["an edit of what is redacted", () => ({ ...plain("x"), updates: redacted }), "BAD_INPUT", "updates"],
    ["an action id of no form", () => ({ ...plain("x"), actionId: "" }), "BAD_INPUT", "actionId"],
  ];
  const nested = (levels: number): Message => (levels === 1 ? {} : { a: nested(levels - 1) });
  const media = (mxc: string): Message => ({ content: { media: { msgtype: "m.image", body: "b", mxc } } });
  const related = (...eventIds: string[]): Message => ({
    ...plain("x"),
    relatesTo: eventIds.map((eventId) => ({ type: "m.reference", eventId })),
  });

  test.each(faults)(
    "[ACT-8] the 57th has %s: none is stored, and the error names it",
    async (_what, fault, code, field) => {
      const before = await countRows(server.databaseUrl);
      const messages = mixed().with(56, fault());
      const extensions = await refusal(send, { messages, actionId: `bad ${field}` });
      expect(extensions).toMatchObject({ code });
      expect(`${String(extensions?.["field"])}.`).toMatch(
        new RegExp(`^messages\\.56\\.${field.replaceAll(".", "\\.")}`),
      );
      expect(await countRows(server.databaseUrl)).toEqual(before);
    },
  );

  test("[ACT-8, EV-9] the 57th is of a type that the sender may not send: none is stored, and the error names it", async () => {
    const patch = "mutation ($input: PatchPowerLevelsInput!) { patchPowerLevels(input: $input) { event { id } } }";
    await ann.do(patch, { input: { roomId, path: ["events", "org.example.solemn"], value: 60 } });
    const before = await countRows(server.databaseUrl);
    const messages = Array.from({ length: 100 }, (_, n) => plain(`${n}`));
    const input = { roomId, messages: messages.with(56, { ...plain("solemn"), type: "org.example.solemn" }) };
    const { errors } = await bob.ask(send, { input });
    expect(errors?.[0]?.extensions).toEqual({ code: "FORBIDDEN", field: "messages.56" });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test("[ACT-8] a batch has 1 to 100 messages", async () => {
    const before = await countRows(server.databaseUrl);
    const count = (length: number): Message[] => Array.from({ length }, (_, n) => plain(`${n}`));
    expect(await refusal(send, { messages: [] })).toEqual({ code: "BAD_INPUT", field: "messages" });
    expect(await refusal(send, { messages: count(101) })).toEqual({ code: "BAD_INPUT", field: "messages" });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test("[ACT-2, EVS-8] messages have the batch's action id or their own, on the stream of the acting device alone", async () => {
    const [own, other] = [await ann.follow(), await bob.follow()];
    const messages = Array.from({ length: 6 }, (_, n) => ({
      ...plain(`${n}`),
      ...(n % 2 === 0 ? { actionId: `own ${n}` } : {}),
    }));
    const expected = ["own 0", "the batch", "own 2", "the batch", "own 4", "the batch"];
    const batch = await sent({ messages, actionId: "the batch" });
    expect(batch.actionId).toBe("the batch");
    expect(batch.events.map((event) => event.actionId)).toEqual(expected);
    for (const [follow, seen] of [
      [own, expected],
      [other, expected.map(() => null)],
    ] as const) {
      await follow.sees(batch.events.at(-1)!.id);
      expect(follow.events.map((event) => event.actionId)).toEqual(seen);
      follow.stop();
    }
    const before = await countRows(server.databaseUrl);
    expect(await sent({ messages, actionId: "the batch" })).toEqual(batch);
    const others = messages.with(5, plain("another"));
    expect(await refusal(send, { messages: others, actionId: "the batch" })).toMatchObject({ code: "CONFLICT" });
    // Without an id of its own, the batch goes by the first of its messages; each of their ids is taken.
    const named = await sent({ messages: messages.map((message, n) => ({ ...message, actionId: `each ${n}` })) });
    expect(await sent({ messages: messages.map((message, n) => ({ ...message, actionId: `each ${n}` })) })).toEqual(
      named,
    );
    const after = await countRows(server.databaseUrl);
    expect([after["event"], after["action"]]).toEqual([before["event"]! + 6, before["action"]! + 6]);
  });
});

describe("states", () => {
  const slot = "org.example.slot";
  const state = (stateKey: string, value: unknown, type = slot): Message => ({ type, stateKey, content: { value } });

  test("[ACT-7] one slot set several times in a batch: each is an event that holds the one before, the last one counts", async () => {
    const before = await ann.setState(roomId, slot, { value: "before" }, "_a");
    const follow = await bob.follow();
    const states = [
      state("_a", 1),
      state("_b", 1),
      state("_a", 2),
      state(ann.userId, 1),
      state("_a", 3),
      state("_b", 2),
    ];
    const data = await ann.do<{ setStates: Batch }>(set, { input: { roomId, states, actionId: "slots" } });
    const ids = data.setStates.events.map((event) => event.id);
    expect(consecutive(await positionsOf(ids))).toBe(true);
    await follow.sees(ids.at(-1)!);
    expect(follow.events.map((event) => event.id)).toEqual(ids);
    expect((await bob.timeline(roomId)).slice(-6)).toEqual(ids);
    const replaced = [before, null, ids[0], null, ids[2], ids[1]];
    expect(follow.json.map((json) => json["replaces_state"] ?? null)).toEqual(replaced);
    for (const [n, id] of ids.entries()) {
      expect(await bob.do("query ($id: ID!) { event(id: $id) { ... on StateEvent { replacesId } } }", { id })).toEqual({
        event: { replacesId: replaced[n] },
      });
    }
    const held = await bob.do(
      `query ($id: ID!, $type: String!, $ann: String!) { room(id: $id) {
         a: stateEvent(type: $type, stateKey: "_a") { id } b: stateEvent(type: $type, stateKey: "_b") { id }
         own: stateEvent(type: $type, stateKey: $ann) { id } } }`,
      { id: roomId, type: slot, ann: ann.userId },
    );
    expect(held).toEqual({ room: { a: { id: ids[4] }, b: { id: ids[5] }, own: { id: ids[3] } } });
    expect(await ann.do(set, { input: { roomId, states, actionId: "slots" } })).toEqual(data);
    follow.stop();
  });

  test("[ACT-7, EV-9] each state is judged after those before it in the batch", async () => {
    const room = await ann.createRoom();
    const levels = (own: number): Message => ({
      ...{ type: "m.room.power_levels", stateKey: "_", content: { users: { [ann.userId]: own }, state_default: 50 } },
    });
    const before = await countRows(server.databaseUrl);
    const lowered = [state("_a", 1), levels(40), state("_a", 2)];
    expect(await refusal(set, { roomId: room, states: lowered })).toEqual({ code: "FORBIDDEN", field: "states.2" });
    expect(await countRows(server.databaseUrl)).toEqual(before);
    expect(await refusal(set, { roomId: room, states: [state("_a", 1), levels(50), state("_a", 2)] })).toBeUndefined();
  });

  test.each([
    ["a bad key", () => state("odd", 1), "BAD_STATE_KEY", "states.56.stateKey"],
    ["an empty key", () => state("", 1), "BAD_STATE_KEY", "states.56.stateKey"],
    ["a server's key", () => state("localhost", 1), "FORBIDDEN", "states.56"],
    ["a reserved type", () => state(ann.userId, 1, "m.room.member"), "BAD_INPUT", "states.56.type"],
    ["too large a content", () => state("_x", "x".repeat(66_000)), "TOO_LARGE", "states.56.content"],
    ["a fraction", () => state("_x", 0.5), "BAD_INPUT", "states.56.content.value"],
    ["a well-known type's bad content", () => state("_", 1, "m.room.name"), "BAD_INPUT", "states.56.content.name"],
  ] as const)("[ACT-7] the 57th has %s: none is stored, and the error names it", async (_what, fault, code, field) => {
    const before = await countRows(server.databaseUrl);
    const states = Array.from({ length: 100 }, (_, n) => state(`_${n % 30}`, n)).with(56, fault());
    expect(await refusal(set, { states, actionId: field })).toMatchObject({ code, field });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });
});
