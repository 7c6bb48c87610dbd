import { expect } from "vitest";
import { ids, lookInto, sorted, type Cell, type Json, type Page, type Path } from "./visibilityCell.ts";
import type { HistoryEvent } from "./visibilityOracle.ts";
import type { Mark } from "./visibilityRooms.ts";

/** The paths that keep a client in step, and those that give a room's state. */
export const syncPaths: Record<string, Path> = {
  "initialSync, whole": wholeSync,
  "initialSync, compact": compactSync,
  "initialSync since a token": (cell) => eachMark(cell, syncSince),
  "scrollback since a token": (cell) => eachMark(cell, scrollbackSince),
  "changed, page by page": (cell) => eachMark(cell, changedByPages),
  "eventStream, live": (cell) => {
    const came = cell.streamed.filter(({ roomId, kind }) => roomId === cell.room.roomId && kind !== "EPHEMERAL");
    expect(ids(came)).toEqual(ids(cell.oracle.events.filter((event) => cell.oracle.isStreamed(event))));
    return Promise.resolve();
  },
  "eventStream, replayed from a token": (cell) => eachMark(cell, replay, 2),
  "room.state and scrollback.state": states,
  "room fields and members": fields,
};

interface SyncRoom {
  incremental: boolean;
  timeline: Page;
  state: Page;
  changed: Page;
  compact: { events: { id: string }[]; timeline: string[]; state: string[] };
}
interface Sync {
  rooms: { nodes: SyncRoom[]; totalCount: number };
  invites: { event: { id: string } }[];
  left: { roomId: string; event: { id: string } | null }[];
}

async function sync({ reader }: Cell, stream: string, limit: number, selection: string): Promise<Sync> {
  const { initialSync } = await reader.do<{ initialSync: Sync }>(
    `query ($stream: StreamToken, $limit: Int) { initialSync(stream: $stream, limit: $limit) {
       rooms { totalCount nodes { incremental ${selection} } } invites { event { id } } left { roomId event { id } }
     } }`,
    { stream, limit },
  );
  return initialSync;
}

/** A token that takes in the room alone and nothing of the past. */
async function unusedToken({ reader, room }: Cell): Promise<string> {
  const document = "query ($rooms: [String!]) { streamToken(rooms: $rooms) }";
  return (await reader.do<{ streamToken: string }>(document, { rooms: [room.roomId] })).streamToken;
}

async function wholeSync(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const stream = await unusedToken(cell);
  const page = "timeline { edges { node { id } json } nodes { id } moreBefore pageInfo { hasPreviousPage } }";
  for (const limit of [5, 300]) {
    const found = await sync(cell, stream, limit, `state { nodes { id } } changed { nodes { id } } ${page}`);
    const joined = oracle.membership === "join";
    expect([found.rooms.nodes.length, found.rooms.totalCount, found.left]).toEqual([
      joined ? 1 : 0,
      joined ? 1 : 0,
      [],
    ]);
    const invite = oracle.events.findLast(
      ({ type, stateKey }) => type === "m.room.member" && stateKey === cell.reader.userId,
    );
    expect(found.invites).toEqual(oracle.membership === "invite" ? [{ event: { id: invite!.id } }] : []);
    const [room] = found.rooms.nodes;
    if (room === undefined) continue;
    const listed = ids(oracle.listed());
    const hidden = Math.max(0, listed.length - limit);
    expect(ids(room.timeline.nodes)).toEqual(listed.slice(hidden));
    expect(room.timeline.pageInfo.hasPreviousPage).toBe(hidden > 0);
    expect(room.timeline.moreBefore).toBe(hidden);
    expect(sorted(ids(room.state.nodes))).toEqual(sorted(ids(oracle.stateAt(oracle.end))));
    expect([room.incremental, room.changed.nodes]).toEqual([false, []]);
    for (const { node, json } of room.timeline.edges) {
      const updates = ((json["updated_by"] as Json[] | undefined) ?? []).map((each) => each["event_id"]);
      expect(updates).toEqual(ids(oracle.updates(node.id)));
    }
  }
}

async function compactSync(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const found = await sync(cell, await unusedToken(cell), 300, "compact { events { id } timeline state }");
  expect(found.rooms.nodes.length).toBe(oracle.membership === "join" ? 1 : 0);
  const [room] = found.rooms.nodes;
  if (room === undefined) return;
  const [listed, state] = [ids(oracle.listed()), ids(oracle.stateAt(oracle.end))];
  expect(room.compact.timeline).toEqual(listed);
  expect(sorted(room.compact.state)).toEqual(sorted(state));
  expect(sorted(ids(room.compact.events))).toEqual(sorted([...new Set([...listed, ...state])]));
}

async function eachMark(
  cell: Cell,
  check: (cell: Cell, mark: Mark, place: number) => Promise<void>,
  most = Infinity,
): Promise<void> {
  await Promise.all(cell.room.marks.slice(0, most).map((mark) => check(cell, mark, cell.oracle.place(mark.eventId))));
}

async function syncSince(cell: Cell, { stream }: Mark, place: number): Promise<void> {
  const { oracle } = cell;
  const selection =
    "timeline { nodes { id } pageInfo { hasPreviousPage } } state { nodes { id } } changed { nodes { id } }";
  const found = await sync(cell, stream, 300, selection);
  const [before, now] = [oracle.membershipAfter(place), oracle.membership];
  const ended = oracle.events.findLast(
    ({ id, type, stateKey }) =>
      type === "m.room.member" &&
      stateKey === cell.reader.userId &&
      oracle.membershipAfter(oracle.place(id) - 1) === "join",
  );
  const left = before === "join" && now !== "join" ? [{ roomId: cell.room.roomId, event: { id: ended!.id } }] : [];
  expect(found.left).toEqual(left);
  expect(found.rooms.nodes.length).toBe(now === "join" ? 1 : 0);
  const [room] = found.rooms.nodes;
  if (room === undefined) return;
  const incremental = before === "join";
  expect(room.incremental).toBe(incremental);
  const listed = oracle.listed().filter(({ id }) => !incremental || oracle.place(id) > place);
  expect(ids(room.timeline.nodes)).toEqual(ids(listed));
  const state = incremental
    ? oracle.slotsAt(oracle.end).filter(({ id }) => oracle.place(id) > place)
    : oracle.stateAt(oracle.end);
  expect(sorted(ids(room.state.nodes))).toEqual(sorted(ids(state)));
  if (incremental) checkChanged(cell, place, ids(room.changed.nodes));
  else expect(room.changed.nodes).toEqual([]);
}

async function scrollbackSince(cell: Cell, { stream }: Mark, place: number): Promise<void> {
  const { oracle } = cell;
  const found = await lookInto<{ scrollback: { incremental: boolean; events: Page; changed: Page; state: Page } }>(
    cell,
    `query ($room: ID!, $stream: StreamToken) { scrollback(roomId: $room, stream: $stream, last: 300) {
       incremental events { nodes { id } } changed { nodes { id } } state { nodes { id } }
     } }`,
    { stream },
  );
  if (found === null) return;
  const { incremental, events, changed, state } = found.scrollback;
  expect(incremental).toBe(true);
  expect(ids(events.nodes)).toEqual(ids(oracle.listed().filter(({ id }) => oracle.place(id) > place)));
  expect(sorted(ids(state.nodes))).toEqual(sorted(ids(oracle.stateAt(oracle.end))));
  checkChanged(cell, place, ids(changed.nodes));
}

async function changedByPages(cell: Cell, { stream }: Mark, place: number): Promise<void> {
  const found: string[] = [];
  let after: string | null = null;
  for (;;) {
    const part: { scrollback: { changed: Page } } | null = await lookInto<{ scrollback: { changed: Page } }>(
      cell,
      `query ($room: ID!, $stream: StreamToken, $after: ChunkToken) { scrollback(roomId: $room, stream: $stream) {
         changed(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
       } }`,
      { stream, after },
    );
    if (part === null) return;
    const { nodes, pageInfo }: Page = part.scrollback.changed;
    found.push(...ids(nodes));
    if (!pageInfo.hasNextPage) break;
    // A page that promises more holds something itself; else it tells of hidden changes, and leads nowhere.
    expect(nodes.length, `a page of nothing after ${found.length} that promises more`).toBeGreaterThan(0);
    after = pageInfo.endCursor;
  }
  checkChanged(cell, place, found);
}

/** Messages from before a place that were edited or redacted after it where the reader may read. [SYN-11] */
function checkChanged({ oracle }: Cell, since: number, found: string[]): void {
  const news = (event: HistoryEvent | undefined): boolean => event !== undefined && oracle.place(event.id) > since;
  const redaction = ({ redactedById }: HistoryEvent): HistoryEvent | undefined =>
    redactedById === null ? undefined : oracle.event(redactedById);
  const old = oracle.listed().filter((event) => event.stateKey === null && oracle.place(event.id) <= since);
  const changed = (event: HistoryEvent, counts: (change: HistoryEvent) => boolean): boolean => {
    const updates = oracle.updates(event.id);
    const changes = [...updates, ...[event, ...updates].map(redaction)];
    return changes.some((change) => change !== undefined && news(change) && counts(change));
  };
  const visibly = ids(old.filter((event) => changed(event, (change) => oracle.mayRead(change))));
  // A redaction shows by the content that is gone, even where the reader may not see who did it and when.
  const perhaps = ids(
    old.filter((event) => changed(event, (change) => oracle.mayRead(change) || change.redactsId !== null)),
  );
  expect({ missing: visibly.filter((id) => !found.includes(id)) }).toEqual({ missing: [] });
  expect({ hints: found.filter((id) => !perhaps.includes(id)) }).toEqual({ hints: [] });
  expect(found).toEqual(perhaps.filter((id) => found.includes(id)));
}

async function replay(cell: Cell, { stream }: Mark, place: number): Promise<void> {
  const { oracle } = cell;
  const expected = oracle.events.filter((event) => oracle.isStreamed(event) && oracle.place(event.id) > place);
  const follow = await cell.reader.follow(stream);
  const came = () => ids(follow.events.filter(({ kind }) => kind !== "EPHEMERAL"));
  await follow.until(() => came().length >= expected.length);
  follow.stop();
  expect(came()).toEqual(ids(expected));
  expect(follow.chunks.some(({ limited }) => limited)).toBe(false);
  const rooms = new Set(follow.chunks.flatMap((chunk) => ids(chunk.rooms)));
  expect([...rooms].filter((id) => id !== cell.room.roomId || !oracle.exists)).toEqual([]);
}

async function states(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const list = "nodes { id prevContent } totalCount";
  const found = await lookInto<{
    room: { state: Page & { totalCount: number }; topics: Page };
    scrollback: { state: Page };
  }>(
    cell,
    `query ($room: ID!) {
       room(id: $room) { state { ${list} } topics: state(types: ["m.room.topic", "m.room.member"], first: 50) { nodes { id } } }
       scrollback(roomId: $room) { state { nodes { id } edges { json } } }
     }`,
  );
  if (found === null) return;
  const expected = oracle.stateAt(oracle.end);
  expect(sorted(ids(found.room.state.nodes))).toEqual(sorted(ids(expected)));
  expect(found.room.state.totalCount).toBe(expected.length);
  const named = expected.filter(({ type }) => type === "m.room.topic" || type === "m.room.member");
  expect(sorted(ids(found.room.topics.nodes))).toEqual(sorted(ids(named)));
  expect(sorted(ids(found.scrollback.state.nodes))).toEqual(sorted(ids(expected)));
  for (const { json } of found.scrollback.state.edges) expect(json).not.toHaveProperty("prev_content");
}

async function fields(cell: Cell): Promise<void> {
  const { oracle, reader } = cell;
  const [alice, bob] = [
    oracle.events[0]!.sender,
    oracle.events.find(({ sender }) => sender.startsWith("@bob"))!.sender,
  ];
  const member = "membership user { id } event { id }";
  const found = await lookInto<{ room: Json }>(
    cell,
    `query ($room: ID!, $reader: ID!) { room(id: $room) {
       topic historyVisibility viewerMembership memberCount topicEvent: stateEvent(type: "m.room.topic") { id }
       members(membership: [JOIN, INVITE, KNOCK, LEAVE, BAN]) { totalCount nodes { ${member} } }
       member(userId: $reader) { ${member} }
     } }`,
    { reader: reader.userId },
  );
  if (found === null) return;
  const state = oracle.stateAt(oracle.end);
  const holding = (type: string): HistoryEvent => state.find((event) => event.type === type)!;
  const members = [alice, bob, reader.userId].sort().flatMap((userId) => {
    const event = state.find(({ type, stateKey }) => type === "m.room.member" && stateKey === userId);
    const membership = String(event?.content?.["membership"]).toUpperCase();
    return event ? [{ membership, user: { id: userId }, event: { id: event.id } }] : [];
  });
  expect(found.room).toEqual({
    topic: (state.find(({ type }) => type === "m.room.topic")?.content?.["topic"] as string | undefined) ?? null,
    topicEvent: state.some(({ type }) => type === "m.room.topic") ? { id: holding("m.room.topic").id } : null,
    historyVisibility: String(holding("m.room.history_visibility").content!["history_visibility"]).toUpperCase(),
    // A rejected invite empties the slot, which reads as having left.
    viewerMembership: everMember(cell) ? (oracle.membership ?? "leave").toUpperCase() : null,
    memberCount: members.filter(({ membership }) => membership === "JOIN").length,
    members: { totalCount: members.length, nodes: members },
    member: members.find(({ user }) => user.id === reader.userId) ?? null,
  });
}

function everMember({ oracle, reader }: Cell): boolean {
  return oracle.events.some(({ type, stateKey }) => type === "m.room.member" && stateKey === reader.userId);
}
