import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let number = 0;

beforeAll(async () => {
  server = await startApp();
});
afterAll(() => server.close());

/** A public room of ann's that bob has joined. */
async function pair(): Promise<{ ann: Client; bob: Client; roomId: string }> {
  const n = number++;
  const [ann, bob] = await Promise.all([server.user(`ann${n}`), server.user(`bob${n}`)]);
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  return { ann, bob, roomId };
}

interface Standing {
  viewerMarker: { eventId: string; private: boolean } | null;
  unread: { count: number; highlight: number };
}

async function standing(client: Client, roomId: string): Promise<Standing> {
  const { room } = await client.do<{ room: Standing }>(
    "query ($roomId: ID!) { room(id: $roomId) { viewerMarker { eventId private } unread { count highlight } } }",
    { roomId },
  );
  return room;
}

async function unread(client: Client, roomId: string): Promise<[number, number]> {
  const { count, highlight } = (await standing(client, roomId)).unread;
  return [count, highlight];
}

/** Markers of the room by user, as one of them sees the list. */
async function markers(client: Client, roomId: string): Promise<Record<string, string>> {
  const { room } = await client.do<{ room: { markers: { nodes: { user: { id: string }; eventId: string }[] } } }>(
    "query ($roomId: ID!) { room(id: $roomId) { markers(kind: READ) { nodes { user { id } eventId } } } }",
    { roomId },
  );
  return Object.fromEntries(room.markers.nodes.map(({ user, eventId }) => [user.id, eventId]));
}

/** Markers among the room's state, as `type of user: event`. */
async function markersInState(client: Client, roomId: string, args = ""): Promise<string[]> {
  const { room } = await client.do<{
    room: { state: { nodes: { type: string; stateKey: string; content: { event_id: string } }[] } };
  }>(`query ($roomId: ID!) { room(id: $roomId) { state(first: 100 ${args}) { nodes { type stateKey content } } } }`, {
    roomId,
  });
  return room.state.nodes
    .filter(({ type }) => type.startsWith("m.room.marker."))
    .map(({ type, stateKey, content }) => `${type} of ${stateKey}: ${content.event_id}`);
}

describe("[ACT-11] a marker", () => {
  it("moves forward to an event, inclusive, and never back", async () => {
    const { ann, bob, roomId } = await pair();
    const sent = [];
    for (const body of ["one", "two", "three"]) sent.push(await ann.send(roomId, body));
    expect(await standing(bob, roomId)).toMatchObject({ viewerMarker: null, unread: { count: 3, highlight: 0 } });
    expect(await bob.mark(sent[1]!)).toMatchObject({ eventId: sent[1], private: false });
    expect(await unread(bob, roomId)).toEqual([1, 0]);
    expect(await bob.mark(sent[0]!)).toMatchObject({ eventId: sent[1] });
    expect(await bob.mark(sent[1]!)).toMatchObject({ eventId: sent[1] });
    expect(await unread(bob, roomId)).toEqual([1, 0]);
    expect(await bob.mark(sent[2]!)).toMatchObject({ eventId: sent[2] });
    expect(await unread(bob, roomId)).toEqual([0, 0]);
  });

  it("is one per user, kind and room, and doesn't grow the room", async () => {
    const { ann, bob, roomId } = await pair();
    const rows = () => sql(server.databaseUrl, "SELECT event_id FROM event WHERE room_id = $1", [roomId]);
    const sent = await Promise.all(Array.from({ length: 10 }, (_, n) => ann.send(roomId, `message ${n}`)));
    const before = await rows();
    for (const eventId of sent) {
      await bob.mark(eventId);
      await bob.mark(eventId, { kind: "DELIVERED" });
    }
    expect(await rows()).toHaveLength(before.length);
    expect(await sql(server.databaseUrl, "SELECT kind FROM marker WHERE room_id = $1", [roomId])).toHaveLength(2);
    const last = (await ann.timeline(roomId)).at(-1)!;
    expect(await markersInState(ann, roomId)).toEqual([
      `m.room.marker.delivered of ${bob.userId}: ${last}`,
      `m.room.marker.read of ${bob.userId}: ${last}`,
    ]);
  });

  it("of several that are set at once ends at the furthest", async () => {
    const { ann, bob, roomId } = await pair();
    const sent = [];
    for (let n = 0; n < 8; n++) sent.push(await ann.send(roomId, `message ${n}`));
    await Promise.all(
      sent.toReversed().flatMap((eventId) => [bob.mark(eventId), bob.mark(eventId, { private: true })]),
    );
    expect((await standing(bob, roomId)).viewerMarker).toEqual({ eventId: sent.at(-1), private: false });
  });

  it("appears in state, paged and by type, and in no timeline, window or overview", async () => {
    const { ann, bob, roomId } = await pair();
    const sent = await ann.send(roomId, "one");
    await bob.mark(sent);
    await ann.mark(sent, { kind: "DELIVERED" });
    const listed = [
      `m.room.marker.delivered of ${ann.userId}: ${sent}`,
      `m.room.marker.read of ${bob.userId}: ${sent}`,
    ];
    expect(await markersInState(ann, roomId)).toEqual(listed);
    expect(await markersInState(ann, roomId, 'types: ["m.room.marker.read"]')).toEqual(listed.slice(1));
    expect(await markersInState(ann, roomId, 'types: ["m.room.name"]')).toEqual([]);
    // One by one, with all the other state around them.
    const paged: string[] = [];
    let after: string | null = null;
    for (;;) {
      const data: {
        room: {
          state: {
            totalCount: number;
            nodes: { type: string; stateKey: string }[];
            pageInfo: { hasNextPage: boolean; endCursor: string };
          };
        };
      } = await ann.do(
        `query ($roomId: ID!, $after: ChunkToken) { room(id: $roomId) { state(first: 1, after: $after) {
           totalCount nodes { type stateKey } pageInfo { hasNextPage endCursor } } } }`,
        { roomId, after },
      );
      const { nodes, pageInfo, totalCount } = data.room.state;
      expect(totalCount).toBe(8);
      paged.push(...nodes.map(({ type, stateKey }) => `${type} ${stateKey}`));
      after = pageInfo.endCursor;
      if (!pageInfo.hasNextPage) break;
    }
    expect(paged).toEqual([...new Set(paged)].sort());
    expect(paged).toHaveLength(8);
    const read = await ann.do<Record<string, unknown>>(
      `query ($roomId: ID!, $eventId: ID!) {
         scrollback(roomId: $roomId, last: 100) { events { nodes { type } } }
         contextWindow(eventId: $eventId, before: 50, after: 50) { events { nodes { type } } state { nodes { type } } }
         pageOverview(roomId: $roomId) { totalEvents }
         room(id: $roomId) {
           stateEvent(type: "m.room.marker.read", stateKey: "${bob.userId}") { order cursor sender { id } typed { __typename ... on MarkerContent { markedEventId markerKind } } }
         }
       }`,
      { roomId, eventId: sent },
    );
    expect(JSON.stringify([read["scrollback"], read["contextWindow"]])).not.toContain("m.room.marker");
    expect(read["pageOverview"]).toEqual({ totalEvents: (await ann.timeline(roomId)).length });
    expect(read["room"]).toEqual({
      stateEvent: {
        ...{ order: null, cursor: null, sender: { id: bob.userId } },
        typed: { __typename: "MarkerContent", markedEventId: sent, markerKind: "READ" },
      },
    });
  });

  it("comes down the stream, live and replayed, and in a sync's difference", async () => {
    const { ann, bob, roomId } = await pair();
    const { initialSync } = await ann.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
    const live = await ann.follow();
    const sent = await ann.send(roomId, "one");
    await bob.mark(sent, { actionId: "m1" });
    await live.until(({ events }) => events.some(({ type }) => type === "m.room.marker.read"));
    const event = live.events.at(-1)!;
    expect(event).toMatchObject({
      ...{ kind: "STATE", roomId, senderId: bob.userId, stateKey: bob.userId, actionId: null },
      content: { event_id: sent },
    });
    const replayed = await ann.follow(initialSync.stream);
    await replayed.sees(event.id);
    expect(replayed.events.map(({ id }) => id)).toEqual(live.events.map(({ id }) => id));
    const sync = `query ($stream: StreamToken, $stateFilter: FilterToken) { initialSync(stream: $stream, stateFilter: $stateFilter) {
      rooms { nodes { incremental timeline { nodes { id } } state { nodes { id } } compact { timeline state } } } } }`;
    const difference = await ann.do(sync, {
      stream: live.chunks.find(({ events }) => events.some(({ id }) => id === sent))!.stream,
    });
    expect(difference).toEqual({
      initialSync: {
        rooms: {
          nodes: [
            {
              ...{ incremental: true, timeline: { nodes: [] }, state: { nodes: [{ id: event.id }] } },
              compact: { timeline: [], state: [event.id] },
            },
          ],
        },
      },
    });
    // Who wants no markers hears of no room because of one.
    const stateFilter = await ann.filter({ types: ["-m.room.marker.*"] });
    expect(await ann.do(sync, { stream: live.chunks.at(-2)!.stream, stateFilter })).toEqual({
      initialSync: { rooms: { nodes: [] } },
    });
    // The event can be fetched by its id as long as it says where the marker stands.
    const byId = "query ($id: ID!) { event(id: $id) { id type } }";
    expect(await ann.do(byId, { id: event.id })).toEqual({ event: { id: event.id, type: "m.room.marker.read" } });
    await bob.mark(await ann.send(roomId, "two"));
    expect(await ann.code(byId, { id: event.id })).toBe("NOT_FOUND");
    live.stop();
    replayed.stop();
  });

  it("[EVS-10] that is private reaches its user's devices alone, and keeps their counts in step", async () => {
    const { ann, bob, roomId } = await pair();
    const other = await Client.login(server.address, bob.userId, "phone");
    const sent: string[] = [];
    for (const body of ["one", "two", "three"]) sent.push(await ann.send(roomId, body));
    const [atAnn, atPhone] = [await ann.follow(), await other.follow()];
    const { initialSync } = await ann.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
    await bob.mark(sent[0]!);
    await bob.mark(sent[2]!, { private: true });
    expect(await standing(other, roomId)).toEqual({
      ...{ viewerMarker: { eventId: sent[2], private: true }, unread: { count: 0, highlight: 0 } },
    });
    // What others see may move behind it, without bringing the user back.
    await bob.mark(sent[1]!);
    expect(await standing(other, roomId)).toMatchObject({ viewerMarker: { eventId: sent[2] }, unread: { count: 0 } });
    const end = await ann.send(roomId, "end");
    for (const follow of [atAnn, atPhone]) await follow.sees(end);
    const marked = (events: { type: string; content: Record<string, unknown> | null }[]): unknown[] =>
      events.filter(({ type }) => type === "m.room.marker.read").map(({ content }) => content!["event_id"]);
    expect(marked(atAnn.events)).toEqual([sent[0], sent[1]]);
    expect(marked(atPhone.events)).toEqual([sent[0], sent[2]]);
    expect(await markers(ann, roomId)).toEqual({ [bob.userId]: sent[1] });
    expect(await markers(other, roomId)).toEqual({ [bob.userId]: sent[2] });
    expect(await markersInState(ann, roomId)).toEqual([`m.room.marker.read of ${bob.userId}: ${sent[1]}`]);
    expect(await markersInState(bob, roomId)).toEqual([`m.room.marker.read of ${bob.userId}: ${sent[2]}`]);
    const replayed = await ann.follow(initialSync.stream);
    await replayed.sees(end);
    expect(marked(replayed.events)).toEqual([sent[1]]);
    // Of the private one's node and event nobody else learns.
    const { setMarker } = await bob.do<{ setMarker: { marker: { id: string } } }>(
      `mutation { setMarker(input: { eventId: "${sent[2]}", kind: READ, private: true }) { marker { id } } }`,
    );
    const node = "query ($id: ID!) { node(id: $id) { id } }";
    expect(await bob.do(node, setMarker.marker)).toEqual({ node: { id: setMarker.marker.id } });
    expect(await ann.do(node, setMarker.marker)).toEqual({ node: null });
    const own = atPhone.events.find(({ content }) => content?.["event_id"] === sent[2])!.id;
    expect(await ann.code("query ($id: ID!) { event(id: $id) { id } }", { id: own })).toBe("NOT_FOUND");
    for (const follow of [atAnn, atPhone, replayed]) follow.stop();
  });

  it("[ACT-2] is idempotent by its action id, and takes another request for a conflict", async () => {
    const { ann, bob, roomId } = await pair();
    const [first, second] = [await ann.send(roomId, "one"), await ann.send(roomId, "two")];
    await bob.mark(first, { actionId: "a" });
    expect(await bob.mark(first, { actionId: "a" })).toMatchObject({ eventId: first });
    const set = "mutation ($input: SetMarkerInput!) { setMarker(input: $input) { actionId } }";
    expect(await bob.code(set, { input: { eventId: second, kind: "READ", actionId: "a" } })).toBe("CONFLICT");
    expect((await standing(bob, roomId)).viewerMarker).toMatchObject({ eventId: first });
  });

  it("[EV-9] is set by members only, on events that they may see", async () => {
    const { ann, bob, roomId } = await pair();
    const sent = await ann.send(roomId, "one");
    const stranger = await server.user(`stranger${number++}`);
    const set = "mutation ($input: SetMarkerInput!) { setMarker(input: $input) { actionId } }";
    const input = { eventId: sent, kind: "READ" };
    expect(await stranger.code(set, { input })).toBe("NOT_FOUND");
    expect(await stranger.code(set, { input: { ...input, eventId: "$nothing" } })).toBe("NOT_FOUND");
    await bob.leave(roomId);
    expect(await bob.code(set, { input })).toBe("FORBIDDEN");
    expect(await bob.code(set, { input: { ...input, eventId: "nonsense" } })).toBe("BAD_INPUT");
    expect(await sql(server.databaseUrl, "SELECT kind FROM marker WHERE room_id = $1", [roomId])).toEqual([]);
    // Nor by setting state.
    const content = { event_id: sent };
    await expect(ann.setState(roomId, "m.room.marker.read", content, ann.userId)).rejects.toThrow("BAD_INPUT");
  });
});

describe("[ACT-11] unread counts", () => {
  it("are of messages by others: no state, no edits, reactions or redactions, nothing redacted", async () => {
    const { ann, bob, roomId } = await pair();
    const read = await ann.send(roomId, "read");
    await bob.mark(read);
    await ann.setState(roomId, "m.room.topic", { topic: "none" });
    await bob.send(roomId, "my own");
    const message = await ann.send(roomId, "unread");
    await ann.edit(roomId, message, "unread, edited");
    await ann.react(roomId, message, "+1");
    await ann.reply(roomId, message, "unread as well");
    await ann.redact(await ann.send(roomId, "gone"));
    expect(await unread(bob, roomId)).toEqual([2, 0]);
    expect(await unread(ann, roomId)).toEqual([1, 0]);
  });

  it("highlight what mentions the user, and begin at the join", async () => {
    const { ann, bob, roomId } = await pair();
    await ann.message(roomId, { content: { text: { body: "bob!" } }, mentions: [bob.userId] });
    await ann.message(roomId, { content: { text: { body: bob.userId } }, mentions: [ann.userId] });
    await ann.message(roomId, {
      type: "org.example.note",
      content: { custom: { text: `"m.mentions" of ${bob.userId}` } },
    });
    expect(await unread(bob, roomId)).toEqual([3, 1]);
    const carol = await server.user(`carol${number++}`);
    await carol.join(roomId);
    expect(await unread(carol, roomId)).toEqual([0, 0]);
    await ann.message(roomId, { content: { text: { body: "all" } }, mentions: [bob.userId, carol.userId] });
    expect(await unread(carol, roomId)).toEqual([1, 1]);
    expect(await unread(bob, roomId)).toEqual([4, 2]);
    await carol.leave(roomId);
    expect(await unread(carol, roomId)).toEqual([0, 0]);
  });

  it("are read for all rooms of a list in one statement", async () => {
    const { ann, bob } = await pair();
    const rooms = [];
    for (let n = 0; n < 5; n++) {
      const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
      await bob.join(roomId);
      for (let m = 0; m < n; m++) await ann.send(roomId, `message ${m}`);
      rooms.push(roomId);
    }
    const list = "{ viewer { rooms(first: 10) { nodes { id unread { count } viewerMarker { id } } } } }";
    const data = await bob.do<{ viewer: { rooms: { nodes: { id: string; unread: { count: number } }[] } } }>(list);
    const counts = new Map(data.viewer.rooms.nodes.map(({ id, unread }) => [id, unread.count]));
    expect(rooms.map((roomId) => counts.get(roomId))).toEqual([0, 1, 2, 3, 4]);
    const before = server.database.statements();
    await bob.do(list);
    expect(server.database.statements() - before).toBeLessThan(8);
  });

  it("tell the stream which rooms changed for their reader", async () => {
    const { ann, bob, roomId } = await pair();
    const follow = await bob.follow();
    const sent = await ann.send(roomId, "one");
    await follow.sees(sent);
    await ann.mark(sent, { kind: "READ" });
    await bob.mark(sent);
    await until(() => follow.events.filter(({ type }) => type === "m.room.marker.read").length === 2);
    const ofMarker = (userId: string): string[] =>
      follow.chunks
        .find(({ events }) => events.some(({ type, senderId }) => type.includes("marker") && senderId === userId))!
        .rooms.map(({ id }) => id);
    expect(ofMarker(bob.userId)).toEqual([roomId]);
    expect(ofMarker(ann.userId)).toEqual([]);
    follow.stop();
  });
});
