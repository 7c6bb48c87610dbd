import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { ids, said, type Edge, type EventPage } from "./support/sync.ts";

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

const page =
  "edges { node { id } json bundledReplies { nodes { id } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";

interface BundlingPage extends EventPage {
  edges: (Edge & { bundledReplies: { nodes: { id: string }[] } | null })[];
}

async function relations(eventId: string, args: Record<string, unknown> = {}): Promise<EventPage> {
  const data = await ann.do<{ relations: EventPage }>(
    `query ($eventId: ID!, $relType: String, $eventType: String, $first: Int, $after: ChunkToken, $last: Int, $before: ChunkToken, $filter: FilterToken) {
       relations(eventId: $eventId, relType: $relType, eventType: $eventType, first: $first, after: $after, last: $last, before: $before, filter: $filter) { ${page} } }`,
    { eventId, ...args },
  );
  return data.relations;
}

async function newest(definition: Record<string, unknown>, last = 100): Promise<BundlingPage> {
  const data = await ann.do<{ scrollback: { events: BundlingPage } }>(
    `query ($roomId: ID!, $last: Int, $filter: FilterToken) { scrollback(roomId: $roomId, last: $last, filter: $filter) { events { ${page} } } }`,
    { roomId, last, filter: await ann.filter(definition) },
  );
  return data.scrollback.events;
}

async function thread(count: number, word = "reply"): Promise<{ parent: string; children: string[] }> {
  const parent = await ann.send(roomId, "parent");
  const children = [];
  for (let n = 1; n <= count; n++) children.push(await bob.reply(roomId, parent, `${word} ${n}`));
  return { parent, children };
}

describe("relations", () => {
  test("[REL-1] children are paged from the newest to earlier ones, and forwards", async () => {
    const { parent, children } = await thread(7);
    const last = await relations(parent, { last: 3 });
    expect([ids(last), last.pageInfo.hasPreviousPage]).toEqual([children.slice(4), true]);
    const before = await relations(parent, { last: 3, before: last.pageInfo.startCursor });
    expect([ids(before), before.pageInfo.hasNextPage]).toEqual([children.slice(1, 4), true]);
    const first = await relations(parent, { last: 3, before: before.pageInfo.startCursor });
    expect([ids(first), first.pageInfo.hasPreviousPage]).toEqual([children.slice(0, 1), false]);
    const forwards = await relations(parent, { first: 4 });
    expect([ids(forwards), forwards.pageInfo.hasNextPage]).toEqual([children.slice(0, 4), true]);
    expect(ids(await relations(parent, { after: forwards.pageInfo.endCursor }))).toEqual(children.slice(4));
    expect(ids(await relations(parent))).toEqual(children);
    expect(ids(await relations(parent, { first: 0 }))).toEqual([]);
  });

  test("[REL-1] an event may relate to several parents, by several types, and is listed once by each", async () => {
    const [one, two] = [await ann.send(roomId, "one"), await ann.send(roomId, "two")];
    const child = await bob.message(roomId, {
      content: { text: { body: "both" } },
      relatesTo: [
        { type: "org.example.answers", eventId: one },
        { type: "m.reference", eventId: one },
        { type: "m.reference", eventId: two, key: "k" },
      ],
    });
    expect(ids(await relations(one))).toEqual([child]);
    expect(ids(await relations(two, { relType: "m.reference" }))).toEqual([child]);
    expect(ids(await relations(two, { relType: "org.*" }))).toEqual([]);
    const data = await ann.do<{ event: Record<string, unknown> }>(
      "query ($id: ID!) { event(id: $id) { ... on MessageEvent { relatesTo { type eventId key event { id } } json } } }",
      { id: child },
    );
    expect(data.event["relatesTo"]).toEqual([
      { type: "org.example.answers", eventId: one, key: null, event: { id: one } },
      { type: "m.reference", eventId: one, key: null, event: { id: one } },
      { type: "m.reference", eventId: two, key: "k", event: { id: two } },
    ]);
    expect((data.event["json"] as Record<string, unknown>)["relates_to"]).toContainEqual({
      type: "m.reference",
      event_id: two,
      key: "k",
    });
  });

  test("[REL-1] children are chosen by relation type, event type and filter", async () => {
    const { parent, children } = await thread(2);
    const reaction = await bob.react(roomId, parent, "👍");
    const custom = await bob.message(roomId, {
      type: "org.example.vote",
      content: { custom: {} },
      relatesTo: [{ type: "m.reference", eventId: parent }],
    });
    expect(ids(await relations(parent, { relType: "m.annotation" }))).toEqual([reaction]);
    expect(ids(await relations(parent, { eventType: "message:org.example.vote" }))).toEqual([custom]);
    expect(ids(await relations(parent, { filter: await ann.filter({ types: ["m.room.message"] }) }))).toEqual(children);
    expect(
      ids(await relations(parent, { filter: await ann.filter({ relationTypes: ["-m.annotation"], limit: 2 }) })),
    ).toEqual([children[1], custom]);
    const reversed = await relations(parent, { last: 2, filter: await ann.filter({ relationOrder: "NEWEST_FIRST" }) });
    expect(ids(reversed)).toEqual([custom, reaction]);
    // Earlier ones are before the start, whatever the order in the chunk.
    expect(ids(await relations(parent, { before: reversed.pageInfo.startCursor }))).toEqual(children);
  });

  test("[STR-4] relation tokens are none of the room's, and no other parent's", async () => {
    const { parent } = await thread(2);
    const other = await ann.send(roomId, "other");
    const { startCursor } = (await relations(parent)).pageInfo;
    const ask = (eventId: string, before: unknown) =>
      ann.code("query ($e: ID!, $b: ChunkToken) { relations(eventId: $e, before: $b) { nodes { id } } }", {
        e: eventId,
        b: before,
      });
    expect(await ask(parent, startCursor)).toBeNull();
    expect(await ask(other, startCursor)).toBe("BAD_TOKEN");
    expect(await ask(parent, (await newest({})).pageInfo.startCursor)).toBe("BAD_TOKEN");
    expect(await ask("$nothing", null)).toBe("NOT_FOUND");
  });
});

describe("bundling", () => {
  test("[REL-2, REL-3] parents bundle their newest children, which aren't listed on their own then", async () => {
    const { parent, children } = await thread(4);
    const quiet = await ann.send(roomId, "quiet");
    const bundled = await newest({ bundleRelations: 3, types: ["m.room.message"] });
    const listed = ids(bundled);
    expect(listed).toEqual(expect.arrayContaining([parent, quiet]));
    for (const child of children) expect(listed).not.toContain(child);
    const edge = bundled.edges[listed.indexOf(parent)]!;
    const { start, chunk } = edge.json["replies"] as { start: string; chunk: { event_id: string }[] };
    expect(chunk.map((child) => child.event_id)).toEqual(children.slice(1));
    expect(edge.bundledReplies!.nodes.map((node) => node.id)).toEqual(children.slice(1));
    expect(ids(await relations(parent, { before: start }))).toEqual(children.slice(0, 1));
    const alone = bundled.edges[listed.indexOf(quiet)]!;
    expect(alone.json).not.toHaveProperty("replies");
    expect(alone.bundledReplies!.nodes).toEqual([]);
    const all = await newest({ bundleRelations: 9 });
    const whole = all.edges.find((each) => each.node.id === parent)!.json["replies"];
    expect(whole).not.toHaveProperty("start");
    const both = await newest({ bundleRelations: 1, children: true });
    expect(ids(both)).toEqual(expect.arrayContaining([parent, ...children]));
    const plain = await newest({});
    expect(ids(plain)).toEqual(expect.arrayContaining([parent, ...children]));
    expect(plain.edges.find((each) => each.node.id === parent)!.bundledReplies).toBeNull();
    expect(ids(await newest({ children: false }))).not.toContain(children[0]);
  });

  test("[REL-2, REL-3] only children of the filter's relation types are bundled, whatever their type, the rest is listed", async () => {
    const parent = await ann.send(roomId, "parent");
    const reaction = await bob.react(roomId, parent, "👍");
    const vote = await bob.message(roomId, {
      type: "org.example.vote",
      content: { custom: {} },
      relatesTo: [{ type: "org.example.poll", eventId: parent }],
    });
    const events = await newest(
      { bundleRelations: 5, relationTypes: ["org.*"], types: ["m.room.message", "m.reaction"] },
      3,
    );
    expect(ids(events)).toContain(reaction);
    const edge = events.edges.find((each) => each.node.id === parent)!;
    expect((edge.json["replies"] as { chunk: { event_id: string }[] }).chunk.map((child) => child.event_id)).toEqual([
      vote,
    ]);
  });

  test("[REL-2, UPD-1] bundling a page is the same number of statements for one parent as for thirty", async () => {
    const filter = await ann.filter({ bundleRelations: 3, types: ["m.room.message"] });
    const ask = async (last: number): Promise<number> => {
      const before = server.database.statements();
      await ann.do(
        `query ($roomId: ID!, $last: Int, $filter: FilterToken) { scrollback(roomId: $roomId, last: $last, filter: $filter) {
           events { edges { json bundledReplies { nodes { id } } node { ... on MessageEvent { replyCount reactions { key count } updatedBy { id } } } } } } }`,
        { roomId, last, filter },
      );
      return server.database.statements() - before;
    };
    for (let n = 0; n < 30; n++) {
      const parent = await ann.send(roomId, `parent ${n}`);
      await bob.reply(roomId, parent, "reply");
      await ann.edit(roomId, parent, "mended");
    }
    await ask(1);
    expect(await ask(30)).toBe(await ask(1));
  });

  test("[REL-4] reactions are counted by key, without redacted ones, and name the viewer's own", async () => {
    const parent = await ann.send(roomId, "parent");
    const carol = await server.user("carol");
    await carol.join(roomId);
    await bob.react(roomId, parent, "👍");
    const own = await ann.react(roomId, parent, "👍");
    await bob.react(roomId, parent, "🎉");
    const taken = await carol.react(roomId, parent, "🎉");
    await carol.redact(taken);
    await bob.reply(roomId, parent, "a comment");
    const data = await ann.do<{ event: Record<string, unknown> }>(
      `query ($id: ID!) { event(id: $id) { ... on MessageEvent { reactions { key count viewerEvent { id typed { ... on ReactionContent { key } } } } replyCount comments: replyCount(relType: "m.reference")
         none: replies { nodes { id } pageInfo { hasPreviousPage } } replies(last: 1, relType: "m.reference") { nodes { id } } } } }`,
      { id: parent },
    );
    expect(data.event).toMatchObject({
      reactions: [
        { key: "👍", count: 2, viewerEvent: { id: own, typed: { key: "👍" } } },
        { key: "🎉", count: 1, viewerEvent: null },
      ],
      replyCount: 5,
      comments: 1,
      none: { nodes: [], pageInfo: { hasPreviousPage: true } },
    });
  });
});

describe("updates", () => {
  interface Message {
    updatedBy: { id: string }[];
    current: { body: string };
    editedAt: string | null;
    updatesId: string | null;
    updates: { id: string } | null;
  }
  async function message(id: string): Promise<Message> {
    const data = await ann.do<{ event: Message }>(
      "query ($id: ID!) { event(id: $id) { ... on MessageEvent { updatedBy { id } current { ... on TextContent { body } } editedAt updatesId updates { id } } } }",
      { id },
    );
    return data.event;
  }

  test("[UPD-1] all descendants come inside their parent, flat and in order, and are not listed on their own", async () => {
    const parent = await ann.send(roomId, "one");
    const edit = await ann.edit(roomId, parent, "two");
    await bob.send(roomId, "between");
    const nested = await ann.edit(roomId, edit, "three");
    const third = await ann.edit(roomId, parent, "four");
    expect(await message(parent)).toMatchObject({
      updatedBy: [{ id: edit }, { id: nested }, { id: third }],
      current: { body: "four" },
      updatesId: null,
    });
    expect(await message(nested)).toMatchObject({ updatesId: edit, updates: { id: edit }, updatedBy: [] });
    expect((await message(parent)).editedAt).toMatch(/^\d{4}-.*Z$/);
    const events = await newest({});
    expect(said(events).slice(-2)).toEqual(["one", "between"]);
    const edge = events.edges.at(-2)!;
    expect((edge.json["updated_by"] as { event_id: string }[]).map((child) => child.event_id)).toEqual([
      edit,
      nested,
      third,
    ]);
    expect(ids(await newest({ bundleUpdates: false }, 5))).toEqual([
      parent,
      edit,
      events.edges.at(-1)!.node.id,
      nested,
      third,
    ]);
    await ann.redact(third);
    expect((await message(parent)).current).toEqual({ body: "three" });
    await ann.redact(parent);
    expect((await message(parent)).current).not.toMatchObject({ body: expect.any(String) as string });
  });

  test("[UPD-1] live streams deliver children on their own", async () => {
    const parent = await ann.send(roomId, "live");
    const follow = await ann.follow();
    const edit = await ann.edit(roomId, parent, "edited");
    const reply = await bob.reply(roomId, parent, "reply");
    await follow.sees(edit);
    await follow.sees(reply);
    follow.stop();
  });

  test("[UPD-2] only the sender may update, and only what is in the room", async () => {
    const parent = await ann.send(roomId, "mine");
    const elsewhere = await ann.createRoom();
    const foreign = await ann.send(elsewhere, "elsewhere");
    const state = await ann.setState(roomId, "m.room.topic", { topic: "t" });
    const code = (client: Client, message: Record<string, unknown>) =>
      client.code(
        "mutation ($roomId: ID!, $message: MessageInput!) { sendMessage(input: { roomId: $roomId, message: $message }) { event { id } } }",
        {
          roomId,
          message: { content: { text: { body: "x" } }, ...message },
        },
      );
    expect(await code(bob, { updates: parent })).toBe("FORBIDDEN");
    for (const unknown of [foreign, "$unknown", state]) {
      expect(await code(ann, { updates: unknown })).toBe("BAD_INPUT");
      expect(await code(ann, { relatesTo: [{ type: "m.reference", eventId: unknown }] })).toBe("BAD_INPUT");
    }
    await ann.redact(parent);
    expect(await code(ann, { updates: parent })).toBe("BAD_INPUT");
    const twice = { type: "m.reference", eventId: state };
    expect(await code(ann, { relatesTo: [twice, twice] })).toBe("BAD_INPUT");
    expect(await code(ann, { content: { reaction: "👍" } })).toBe("BAD_INPUT");
    expect(
      await code(ann, { content: { reaction: "👍" }, relatesTo: [{ type: "m.reference", eventId: foreign }] }),
    ).toBe("BAD_INPUT");
  });
});
