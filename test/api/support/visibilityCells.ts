import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { looksLikeNone, noEvent, noRoom, type Cell, type Path } from "./visibilityCell.ts";
import { eventPaths } from "./visibilityEvents.ts";
import { Oracle } from "./visibilityOracle.ts";
import { pagePaths } from "./visibilityPages.ts";
import { histories, liveRoom, storedEvents, type LivedRoom, type People } from "./visibilityRooms.ts";
import { syncPaths } from "./visibilitySync.ts";

const paths: Record<string, Path> = {
  ...pagePaths,
  ...eventPaths,
  ...syncPaths,
  "all at once, where nothing is to be seen": hidden,
};
const more = { streamReplay: 100_000, streamBacklog: 100_000 };

/** Declares a test of every path for every membership history under these visibilities, each room being made once. */
export function testCells(visibilities: string[][]): void {
  const cells = new Map<string, Cell>();
  let server: TestApp;
  beforeAll(async () => {
    server = await startApp({ config: more });
    const [alice, bob, reader] = await Promise.all(["alice", "bob", "reader"].map((name) => server.user(name)));
    const people = { alice: alice!, bob: bob!, reader: reader! };
    const follow = await people.reader.follow();
    const names = visibilities.flatMap((list) => histories.map((history) => ({ list, history })));
    const rooms = await Promise.all(names.map(({ list, history }) => liveRoom(people, history, list)));
    const stored = await storedEvents(server);
    await caughtUp(people, (id) => follow.sees(id));
    follow.stop();
    for (const [n, { list, history }] of names.entries()) {
      const oracle = new Oracle(stored.get(rooms[n]!.roomId)!, people.reader.userId);
      const room: LivedRoom = { ...rooms[n]!, oracle };
      cells.set(nameOf(history.name, list), { room, oracle, reader: people.reader, streamed: follow.events });
    }
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
  });

  describe.each(visibilities.map((list) => ({ list, title: list.join(" → ") })))("[EV-9] $title", ({ list }) => {
    describe.each(histories)("$name", ({ name }) => {
      test.each(Object.keys(paths))("[EV-9] %s", async (path) => {
        await paths[path]!(cells.get(nameOf(name, list))!);
      });
    });
  });
}

function nameOf(history: string, visibilities: string[]): string {
  return `${history}: ${visibilities.join(" ")}`;
}

/** The stream keeps the order of all rooms: when it brings the newest event, nothing earlier is still to come. */
async function caughtUp({ reader }: People, sees: (id: string) => Promise<unknown>): Promise<void> {
  await sees(await reader.send(await reader.createRoom(), "the end"));
}

/** Every way in at once, for rooms that hide all of themselves, and for the events that others hide. */
async function hidden(cell: Cell): Promise<void> {
  const { oracle, room, reader } = cell;
  const event = oracle.events.find((each) => !oracle.maySee(each))?.id;
  if (event !== undefined)
    await Promise.all(eventWays.map((way) => looksLikeNone(cell, way, { event }, { event: noEvent })));
  if (oracle.exists) return;
  await Promise.all(roomWays.map((way) => looksLikeNone(cell, way, { room: room.roomId }, { room: noRoom })));
  expect(await roomsOf(reader)).not.toContain(room.roomId);
}

const eventWays = [
  "query ($event: ID!) { event(id: $event) { id } }",
  "query ($event: ID!) { node(id: $event) { id } }",
  "query ($event: ID!) { nodes(ids: [$event]) { id } }",
  "query ($event: ID!) { contextWindow(eventId: $event) { events { nodes { id } } state { nodes { id } } } }",
  "query ($event: ID!) { relations(eventId: $event) { nodes { id } } }",
];
const roomWays = [
  "query ($room: ID!) { room(id: $room) { id name } }",
  "query ($room: ID!) { node(id: $room) { id } }",
  "query ($room: ID!) { nodes(ids: [$room]) { id } }",
  "query ($room: ID!) { scrollback(roomId: $room) { events { nodes { id } } } }",
  "query ($room: ID!) { pageOverview(roomId: $room) { totalEvents } }",
];

async function roomsOf(reader: Client): Promise<string[]> {
  const { viewer } = await reader.do<{ viewer: { rooms: { nodes: { id: string }[] } } }>(
    "{ viewer { rooms(first: 300, membership: [JOIN, INVITE, KNOCK, LEAVE, BAN]) { nodes { id } } } }",
  );
  return viewer.rooms.nodes.map(({ id }) => id);
}
