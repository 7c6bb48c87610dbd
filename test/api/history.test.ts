import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { ids, said, type EventPage } from "./support/sync.ts";

let server: TestApp;
let ann: Client;
beforeAll(async () => {
  server = await startApp();
  ann = await server.user("ann");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const page = "edges { node { id } json } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";

interface Scrollback {
  events: EventPage & { moreBefore: number };
  state: EventPage;
  changed: EventPage;
  incremental: boolean;
  stream: string;
  moreLocally: boolean;
  moreRemotely: boolean;
}

const scrollbackDocument = `query ($roomId: ID!, $first: Int, $after: ChunkToken, $last: Int, $before: ChunkToken, $stream: StreamToken, $filter: FilterToken, $stateFilter: FilterToken) {
  scrollback(roomId: $roomId, first: $first, after: $after, last: $last, before: $before, stream: $stream, filter: $filter, stateFilter: $stateFilter, backfill: true) {
    events { ${page} moreBefore } state { edges { node { id } json } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
    changed { ${page} } incremental stream moreLocally moreRemotely
  }
}`;

async function scrollback(roomId: string, args: Record<string, unknown> = {}): Promise<Scrollback> {
  return (await ann.do<{ scrollback: Scrollback }>(scrollbackDocument, { roomId, ...args })).scrollback;
}

async function talk(roomId: string, count: number, word = "m"): Promise<string[]> {
  const sent = [];
  for (let n = 1; n <= count; n++) sent.push(await ann.send(roomId, `${word}${n}`));
  return sent;
}

describe("scrollback", () => {
  test("[SCR-1] gives pages through a filter, with current state through a state filter", async () => {
    const roomId = await ann.createRoom({ name: "A" });
    const sent = await talk(roomId, 5);
    const filter = await ann.filter({ types: ["m.room.message"] });
    const stateFilter = await ann.filter({ types: ["m.room.name", "m.room.topic"] });
    const newest = await scrollback(roomId, { last: 2, filter, stateFilter });
    expect(ids(newest.events)).toEqual(sent.slice(3));
    expect(newest.state.edges.map((edge) => edge.json["content"])).toEqual([{ name: "A" }]);
    expect(newest).toMatchObject({ incremental: false, moreLocally: true });
    const before = await scrollback(roomId, { last: 3, before: newest.events.pageInfo.startCursor, filter });
    expect(ids(before.events)).toEqual(sent.slice(0, 3));
    expect(before.moreLocally).toBe(false);
    expect(ids((await scrollback(roomId, { first: 2, filter })).events)).toEqual(sent.slice(0, 2));
  });

  test("[SCR-2] with a used stream token gives what is new, or a fresh page", async () => {
    const roomId = await ann.createRoom();
    const other = await ann.createRoom();
    const old = await ann.send(roomId, "old");
    const { stream } = await scrollback(roomId);
    const sent = await talk(roomId, 3);
    await ann.edit(roomId, old, "mended");
    await ann.send(other, "elsewhere");
    const news = await scrollback(roomId, { stream, last: 3 });
    expect([news.incremental, ids(news.events), ids(news.changed)]).toEqual([true, sent, [old]]);
    const fresh = await scrollback(roomId, { stream, last: 2 });
    expect([fresh.incremental, ids(fresh.events), ids(fresh.changed)]).toEqual([false, sent.slice(1), [old]]);
    expect(ids((await scrollback(roomId, { last: 2, before: fresh.events.pageInfo.startCursor })).events)).toEqual([
      old,
      sent[0],
    ]);
    // The successor is for this room alone; the one given stays valid.
    expect((await scrollback(roomId, { stream: news.stream })).events.edges).toEqual([]);
    expect(await ann.code(scrollbackDocument, { roomId: other, stream: news.stream })).toBe("BAD_INPUT");
    expect((await scrollback(roomId, { stream })).incremental).toBe(true);
  });

  test("[SCR-2] arguments that contradict each other, and limits out of range, are refused", async () => {
    const roomId = await ann.createRoom();
    const { stream, events } = await scrollback(roomId);
    const { startCursor: token } = events.pageInfo;
    for (const args of [
      ...[
        { stream, after: token },
        { stream, before: token },
        { first: 1, last: 1 },
        { after: token, before: token },
      ],
      ...[{ first: -1 }, { last: -1 }, { first: 501 }, { last: 501 }],
    ]) {
      expect(await ann.code(scrollbackDocument, { roomId, ...args })).toBe("BAD_INPUT");
    }
    const bob = await server.user("bob");
    for (const stolen of [stream, "s1.x", token])
      expect(await bob.code(scrollbackDocument, { roomId, stream: stolen })).not.toBeNull();
    expect(await ann.code(scrollbackDocument, { roomId, stream: token })).toBe("BAD_TOKEN");
  });

  test("[SCR-4] there is no other server to ask", async () => {
    expect((await scrollback(await ann.createRoom())).moreRemotely).toBe(false);
  });

  test("[SCR-5] tells about how many events lie before the chunk: exactly for a few, roughly for many", async () => {
    const roomId = await ann.createRoom();
    const filter = await ann.filter({ types: ["m.room.message"] });
    for (let n = 0; n < 6; n++) {
      const messages = Array.from({ length: 100 }, (_, m) => ({ content: { text: { body: `${n * 100 + m}` } } }));
      await ann.do(
        "mutation ($roomId: ID!, $messages: [MessageInput!]!) { sendMessages(input: { roomId: $roomId, messages: $messages }) { room { id } } }",
        { roomId, messages },
      );
    }
    const few = await scrollback(roomId, { first: 50, filter });
    expect(few.events.moreBefore).toBe(0);
    expect(
      (await scrollback(roomId, { first: 20, after: few.events.pageInfo.endCursor, filter })).events.moreBefore,
    ).toBe(50);
    const { moreBefore } = (await scrollback(roomId, { last: 100, filter })).events;
    expect(Math.abs(moreBefore - 500)).toBeLessThan(50);
  });
});

describe("the context of an event", () => {
  interface Window {
    event: { id: string };
    events: EventPage;
    state: EventPage;
  }
  const document = `query ($eventId: ID!, $before: Int!, $after: Int!, $filter: FilterToken, $stateFilter: FilterToken) {
    contextWindow(eventId: $eventId, before: $before, after: $after, filter: $filter, stateFilter: $stateFilter) {
      event { id } events { ${page} } state { edges { node { id } json } }
    }
  }`;
  async function window(
    eventId: string,
    before: number,
    after: number,
    args: Record<string, unknown> = {},
  ): Promise<Window> {
    return (await ann.do<{ contextWindow: Window }>(document, { eventId, before, after, ...args })).contextWindow;
  }

  test("[CTX-1] is N before and M after, with tokens either way, and the state at its end", async () => {
    const roomId = await ann.createRoom({ name: "first" });
    const early = await talk(roomId, 4, "early");
    await ann.setState(roomId, "m.room.name", { name: "second" });
    const late = await talk(roomId, 4, "late");
    await ann.setState(roomId, "m.room.name", { name: "third" });
    const stateFilter = await ann.filter({ types: ["m.room.name"] });
    const filter = await ann.filter({ types: ["m.room.message"] });
    const names = ({ state }: Window): unknown[] =>
      state.edges.map((edge) => (edge.json["content"] as { name: string }).name);
    const around = await window(early[3]!, 2, 2, { filter, stateFilter });
    expect(ids(around.events)).toEqual([early[1], early[2], early[3], late[0], late[1]]);
    expect([around.event.id, names(around)]).toEqual([early[3], ["second"]]);
    expect(around.events.pageInfo).toMatchObject({ hasPreviousPage: true, hasNextPage: true });
    expect(ids((await scrollback(roomId, { filter, before: around.events.pageInfo.startCursor })).events)).toEqual(
      early.slice(0, 1),
    );
    expect(ids((await scrollback(roomId, { filter, after: around.events.pageInfo.endCursor })).events)).toEqual(
      late.slice(2),
    );
    expect(names(await window(early[3]!, 2, 0, { stateFilter }))).toEqual(["first"]);
    expect(ids((await window(early[3]!, 0, 0)).events)).toEqual([early[3]]);
    // The event is in it even when the filter would leave it out.
    const [create] = (await window(early[0]!, 100, 0)).events.edges;
    expect(ids((await window(create!.node.id, 5, 1, { filter })).events)).toEqual([create!.node.id, early[0]]);
  });

  test("[CTX-1] of an update is its parent's window", async () => {
    const roomId = await ann.createRoom();
    const [one, two, three] = (await talk(roomId, 3)) as [string, string, string];
    const edit = await ann.edit(roomId, two, "mended");
    const nested = await ann.edit(roomId, edit, "mended again");
    const around = await window(nested, 1, 1);
    expect(ids(around.events)).toEqual([one, two, three]);
    expect(said(around.events)).toEqual(["m1", "m2", "m3"]);
    const filter = await ann.filter({ bundleUpdates: false });
    expect(ids((await window(nested, 1, 1, { filter })).events)).toEqual([edit, nested]);
  });

  test("[CTX-1] refuses limits out of range and events that aren't there", async () => {
    const [eventId] = await talk(await ann.createRoom(), 1);
    for (const [before, after] of [
      [-1, 0],
      [0, -1],
      [501, 0],
      [0, 501],
    ]) {
      expect(await ann.code(document, { eventId, before, after })).toBe("BAD_INPUT");
    }
    for (const missing of ["$nothing", "no id", ""]) {
      expect(await ann.code(document, { eventId: missing, before: 1, after: 1 })).toBe("NOT_FOUND");
    }
  });
});

describe("the overview of pages", () => {
  const document = `query ($roomId: ID!, $perPage: Int!, $filter: FilterToken, $tweak: FilterInput) {
    pageOverview(roomId: $roomId, perPage: $perPage, filter: $filter, tweak: $tweak) { totalEvents pages { number after } } }`;
  interface Overview {
    totalEvents: number;
    pages: { number: number; after: string | null }[];
  }
  async function overview(roomId: string, perPage: number, args: Record<string, unknown> = {}): Promise<Overview> {
    return (await ann.do<{ pageOverview: Overview }>(document, { roomId, perPage, ...args })).pageOverview;
  }

  test("[OVR-1] gives a token for every page, which stays where it is while events arrive", async () => {
    const roomId = await ann.createRoom();
    const sent = await talk(roomId, 7);
    const filter = await ann.filter({ types: ["m.room.message"] });
    const { pages, totalEvents } = await overview(roomId, 3, { filter });
    expect([totalEvents, pages.map((each) => each.number), pages[0]!.after]).toEqual([7, [1, 2, 3], null]);
    await talk(roomId, 2, "later");
    const read = [];
    for (const { after } of pages) read.push(ids((await scrollback(roomId, { first: 3, after, filter })).events));
    expect(read.slice(0, 2)).toEqual([sent.slice(0, 3), sent.slice(3, 6)]);
    expect(read[2]![0]).toBe(sent[6]);
    expect((await overview(roomId, 9, { filter })).pages).toEqual([{ number: 1, after: null }]);
    expect((await overview(roomId, 3, { tweak: { types: [] } })).pages).toEqual([]);
    expect((await overview(roomId, 3, { filter: await ann.filter({ rooms: ["!other*"] }) })).totalEvents).toBe(0);
  });

  test("[OVR-1] refuses page sizes out of range", async () => {
    const roomId = await ann.createRoom();
    for (const perPage of [0, -1, 501]) expect(await ann.code(document, { roomId, perPage })).toBe("BAD_INPUT");
    expect(await ann.code(document, { roomId: "!none:localhost", perPage: 5 })).toBe("NOT_FOUND");
  });
});
