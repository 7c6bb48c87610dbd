import { expect } from "vitest";
import { ids, lookInto, sorted, type Cell, type Json, type Page, type Path } from "./visibilityCell.ts";
import type { HistoryEvent } from "./visibilityOracle.ts";

/** The paths that give a room's events page by page. */
export const pagePaths: Record<string, Path> = {
  "scrollback backwards": (cell) => walk(cell, scrollback, "backwards", {}, cell.oracle.listed()),
  "scrollback forwards": (cell) => walk(cell, scrollback, "forwards", {}, cell.oracle.listed()),
  "scrollback of some types": (cell) => {
    const types = ["message:org.example.*", "m.reaction", "state:m.room.topic", "m.room.member"];
    const passes = ({ type }: HistoryEvent): boolean =>
      ["org.example.note", "m.reaction", "m.room.topic", "m.room.member"].includes(type);
    return walk(cell, scrollback, "backwards", { types }, cell.oracle.listed().filter(passes));
  },
  "scrollback of one sender": (cell) => {
    const alice = cell.oracle.events[0]!.sender;
    const listed = cell.oracle.listed().filter(({ sender }) => sender === alice);
    return walk(cell, scrollback, "forwards", { senders: [alice] }, listed);
  },
  "scrollback with edits on their own": (cell) => {
    const listed = cell.oracle.listed({ updates: false, relations: false });
    return walk(cell, scrollback, "backwards", { bundleUpdates: false }, listed);
  },
  "scrollback with children bundled": (cell) => {
    const listed = cell.oracle.listed({ updates: true, relations: true });
    return walk(cell, scrollback, "backwards", { bundleRelations: 2 }, listed);
  },
  "room.timeline backwards": (cell) => walk(cell, timeline, "backwards", null, cell.oracle.listed()),
  "room.timeline forwards": (cell) => walk(cell, timeline, "forwards", null, cell.oracle.listed()),
  "the bundles of edges.json and bundledReplies": bundles,
  pageOverview: overview,
  "room.lastMessage and lastActivityAt": lastMessage,
};

const page = "nodes { id } moreBefore pageInfo { hasPreviousPage hasNextPage startCursor endCursor }";
const scrollback = `query ($room: ID!, $first: Int, $after: ChunkToken, $last: Int, $before: ChunkToken, $tweak: FilterInput) {
  scrollback(roomId: $room, first: $first, after: $after, last: $last, before: $before, tweak: $tweak) {
    moreLocally events { ${page} }
  }
}`;
const timeline = `query ($room: ID!, $first: Int, $after: ChunkToken, $last: Int, $before: ChunkToken) {
  room(id: $room) { events: timeline(first: $first, after: $after, last: $last, before: $before) { ${page} } }
}`;
const size = 25;

/** Walks through all pages; every one of them must be as full and as sure of its ends as if nothing were hidden. */
async function walk(
  cell: Cell,
  document: string,
  direction: "backwards" | "forwards",
  tweak: Json | null,
  expected: HistoryEvent[],
): Promise<void> {
  const wanted = ids(expected);
  const backwards = direction === "backwards";
  let passed = 0;
  let token: string | null = null;
  for (;;) {
    const paging: Json = backwards ? { last: size, before: token } : { first: size, after: token };
    type Found = Record<string, { events: Page; moreLocally?: boolean }>;
    const found: Found | null = await lookInto<Found>(cell, document, { ...paging, ...(tweak && { tweak }) });
    if (found === null) return;
    const { events, moreLocally } = Object.values(found)[0]!;
    const [from, to] = backwards ? [wanted.length - passed - size, wanted.length - passed] : [passed, passed + size];
    expect(ids(events.nodes)).toEqual(wanted.slice(Math.max(0, from), to));
    const { hasPreviousPage, hasNextPage, startCursor, endCursor } = events.pageInfo;
    const more = backwards ? from > 0 : to < wanted.length;
    expect({ hasPreviousPage, hasNextPage }).toEqual(
      backwards
        ? { hasPreviousPage: more, hasNextPage: token !== null }
        : { hasPreviousPage: token !== null, hasNextPage: more },
    );
    expect(events.moreBefore).toBe(Math.max(0, from));
    if (moreLocally !== undefined) expect(moreLocally).toBe(hasPreviousPage);
    passed += events.nodes.length;
    token = backwards ? startCursor : endCursor;
    if (!more) break;
  }
  expect(passed).toBe(wanted.length);
}

async function bundles(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const found = await lookInto<{ scrollback: { events: Page } }>(
    cell,
    `query ($room: ID!) { scrollback(roomId: $room, last: 300, tweak: { bundleRelations: 2, children: true }) {
       events { edges { json node { id } bundledReplies { nodes { id } pageInfo { hasPreviousPage } } } }
     } }`,
  );
  if (found === null) return;
  const { edges } = found.scrollback.events;
  expect(edges.map(({ node }) => node.id)).toEqual(ids(oracle.listed()));
  for (const { json, node, bundledReplies } of edges) {
    const children = ids(oracle.children(node.id));
    const updates = ids(oracle.updates(node.id));
    const bundled = json as { updated_by?: Json[]; replies?: { start?: string; chunk: Json[] } };
    const eventIds = (list: Json[] | undefined): unknown[] => (list ?? []).map((each) => each["event_id"]);
    expect(eventIds(bundled.updated_by)).toEqual(updates);
    expect(eventIds(bundled.replies?.chunk)).toEqual(children.slice(-2));
    // Children come with their own edits, which obey the same rule; a token for earlier ones only where there are some.
    expect(bundled.replies?.start !== undefined).toBe(children.length > 2);
    expect("updated_by" in json).toBe(updates.length > 0);
    expect("replies" in json).toBe(children.length > 0);
    if (oracle.event(node.id).stateKey !== null) continue;
    expect(ids(bundledReplies!.nodes)).toEqual(children.slice(-2));
    expect(bundledReplies!.pageInfo.hasPreviousPage).toBe(children.length > 2);
  }
}

async function overview(cell: Cell): Promise<void> {
  const found = await lookInto<{
    pageOverview: { totalEvents: number; pages: { number: number; after: string | null }[] };
  }>(
    cell,
    `query ($room: ID!) { pageOverview(roomId: $room, perPage: ${size}) { totalEvents pages { number after } } }`,
  );
  if (found === null) return;
  const { totalEvents, pages } = found.pageOverview;
  const expected = ids(cell.oracle.listed());
  expect(totalEvents).toBe(expected.length);
  expect(pages.map(({ number }) => number)).toEqual(
    Array.from({ length: Math.ceil(expected.length / size) }, (_, n) => n + 1),
  );
  const contents = await Promise.all(
    pages.map(({ after }) => lookInto<{ scrollback: { events: Page } }>(cell, scrollback, { first: size, after })),
  );
  for (const [n, content] of contents.entries()) {
    expect(ids(content!.scrollback.events.nodes)).toEqual(expected.slice(size * n, size * n + size));
  }
}

async function lastMessage(cell: Cell): Promise<void> {
  const found = await lookInto<{ room: { lastMessage: { id: string } | null; lastActivityAt: string; newest: Page } }>(
    cell,
    `query ($room: ID!) { room(id: $room) { lastMessage { id } lastActivityAt
       newest: timeline(last: 300) { edges { node { id } json } } } }`,
  );
  if (found === null) return;
  const { lastMessage, lastActivityAt, newest } = found.room;
  const messages = cell.oracle
    .listed()
    .filter(({ type, stateKey }) => stateKey === null && type !== "m.room.redaction");
  expect(lastMessage?.id ?? null).toBe(messages.at(-1)?.id ?? null);
  // Each round ends with redactions, which are listed, so that the newest listed event is the newest of all.
  expect(sorted(ids(newest.edges.map(({ node }) => node)))).toEqual(sorted(ids(cell.oracle.listed())));
  expect(Date.parse(lastActivityAt)).toBe(newest.edges.at(-1)!.json["origin_server_ts"]);
}
