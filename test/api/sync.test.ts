import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { ids, said, sync, syncCode } from "./support/sync.ts";

let server: TestApp;
beforeAll(async () => (server = await startApp()));
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

let users = 0;
/** Two users who know nobody else. */
async function pair(): Promise<[Client, Client]> {
  users += 1;
  return [await server.user(`ann${users}`), await server.user(`bob${users}`)];
}

async function many(client: Client, roomId: string, count: number, word = "m"): Promise<string[]> {
  const sent = [];
  for (let n = 1; n <= count; n++) sent.push(await client.send(roomId, `${word}${n}`));
  return sent;
}

describe("a full sync", () => {
  test("[SYN-1, SYN-10] gives each joined room with its state, newest events and a token to scroll further back", async () => {
    const [ann, bob] = await pair();
    const roomId = await ann.createRoom({
      name: "Den",
      topic: "Quiet",
      alias: `#den${users}:localhost`,
      joinRule: "PUBLIC",
    });
    await bob.join(roomId);
    await many(bob, roomId, 4);
    const rename = await ann.setState(roomId, "m.room.name", { name: "Lair" });
    const full = await sync(ann, { limit: 3 });
    expect(full).toMatchObject({ incremental: false, invites: [], left: [], presence: [] });
    expect(full.rooms.totalCount).toBe(1);
    const [room] = full.rooms.nodes;
    expect(room!.room).toMatchObject({
      id: roomId,
      name: "Lair",
      topic: "Quiet",
      memberCount: 2,
      aliases: [`#den${users}:localhost`],
    });
    expect(room!.room.lastMessage).toEqual({ id: ids(room!.timeline)[1] });
    expect(room!.incremental).toBe(false);
    expect(said(room!.timeline)).toEqual(["m3", "m4", "state:m.room.name"]);
    expect(room!.timeline.edges[2]!.json["prev_content"]).toEqual({ name: "Den" });
    const name = room!.state.edges.find((edge) => edge.node.id === rename);
    expect(name!.json).toMatchObject({ content: { name: "Lair" }, state_key: "_" });
    expect(name!.json).not.toHaveProperty("prev_content");
    const types = room!.state.edges.map((edge) => String(edge.json["type"]));
    expect(types.filter((type) => type === "state:m.room.member")).toHaveLength(2);
    expect(types).toContain("state:m.room.create");
    const before = room!.timeline.pageInfo.startCursor;
    const earlier = await ann.do<{ scrollback: { events: { nodes: { content: object }[] } } }>(
      "query ($roomId: ID!, $before: ChunkToken) { scrollback(roomId: $roomId, before: $before, last: 2) { events { nodes { content } } } }",
      { roomId, before },
    );
    expect(earlier.scrollback.events.nodes.map((node) => node.content)).toMatchObject([{ body: "m1" }, { body: "m2" }]);
  });

  test("[SYN-3] limit 0 gives no timeline but a place to scroll from; a state filter that matches nothing, no state", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom();
    const [last] = await many(ann, roomId, 1);
    const nothing = await ann.filter({ types: [] });
    const [room] = (await sync(ann, { limit: 0, stateFilter: nothing })).rooms.nodes;
    expect([room!.timeline.edges, room!.state.edges]).toEqual([[], []]);
    const page = await ann.do<{ scrollback: { events: { nodes: { id: string }[] } } }>(
      "query ($roomId: ID!, $before: ChunkToken) { scrollback(roomId: $roomId, before: $before, last: 1) { events { nodes { id } } } }",
      { roomId, before: room!.timeline.pageInfo.startCursor },
    );
    expect(page.scrollback.events.nodes).toEqual([{ id: last }]);
  });

  test("[SYN-1, FIL-7] the filter applies before the limit, the state filter to state alone", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom({ name: "A" });
    await many(ann, roomId, 3);
    await ann.setState(roomId, "m.room.topic", { topic: "later" });
    const filter = await ann.filter({ types: ["m.room.message"], limit: 2 });
    const stateFilter = await ann.filter({ types: ["m.room.na*"] });
    const [room] = (await sync(ann, { filter, stateFilter })).rooms.nodes;
    expect(said(room!.timeline)).toEqual(["m2", "m3"]);
    expect(room!.state.edges.map((edge) => edge.json["content"])).toEqual([{ name: "A" }]);
    const [tweaked] = (await sync(ann, { filter, stateFilter, tweak: { limit: 1 } })).rooms.nodes;
    expect(said(tweaked!.timeline)).toEqual(["m3"]);
  });

  test("[SYN-5] invites come with what the invitee may see of the room, and its history doesn't", async () => {
    const [ann, bob] = await pair();
    const roomId = await ann.createRoom({ name: "Den", topic: "Quiet", invite: [bob.userId] });
    await many(ann, roomId, 2);
    const { invites, rooms } = await sync(bob);
    expect(rooms.nodes).toEqual([]);
    expect(invites).toMatchObject([
      { room: { id: roomId, name: "Den", topic: "Quiet", memberCount: 1, joinRule: "INVITE" } },
    ]);
    const newer = await ann.membership("invite", roomId, bob.userId);
    expect((await sync(bob)).invites.map((invite) => invite.event.id)).toEqual([newer]);
  });

  test("[SYN-8] the compact form has every event once", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom({ name: "A" });
    const topic = await ann.setState(roomId, "m.room.topic", { topic: "t" });
    const [message] = await many(ann, roomId, 1);
    const [room] = (await sync(ann, { limit: 2 })).rooms.nodes;
    const { compact, state, timeline } = room!;
    expect(compact.timeline).toEqual([topic, message]);
    expect(compact.timeline).toEqual(ids(timeline));
    expect(compact.state).toEqual(ids(state));
    const all = compact.events.map((event) => event.id);
    expect(new Set(all).size).toBe(all.length);
    expect(new Set(all)).toEqual(new Set([...compact.timeline, ...compact.state]));
  });

  test("[SYN-7] a room's state is paged", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom({ name: "A" });
    const document = `query ($first: Int, $after: ChunkToken) { initialSync { rooms { nodes { state(first: $first, after: $after) {
      totalCount nodes { id } pageInfo { hasNextPage endCursor } } } } } }`;
    interface Page {
      totalCount: number;
      nodes: { id: string }[];
      pageInfo: { hasNextPage: boolean; endCursor: string };
    }
    const walked: string[] = [];
    let after: string | null = null;
    for (;;) {
      const data: { initialSync: { rooms: { nodes: [{ state: Page }] } } } = await ann.do(document, {
        first: 2,
        after,
      });
      const page: Page = data.initialSync.rooms.nodes[0].state;
      walked.push(...page.nodes.map((node) => node.id));
      expect(page.totalCount).toBe(6);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    const [room] = (await sync(ann)).rooms.nodes;
    expect(walked).toEqual(ids(room!.state));
    expect(room!.room.id).toBe(roomId);
  });

  test("[SYN-9] a filter or a stream token that names one room gives that room alone", async () => {
    const [ann, bob] = await pair();
    const [one, two] = [await ann.createRoom({ name: "one" }), await ann.createRoom({ name: "two" })];
    const invited = await bob.createRoom({ invite: [ann.userId] });
    expect((await sync(ann)).rooms.totalCount).toBe(2);
    const byFilter = await sync(ann, { filter: await ann.filter({ rooms: [one] }) });
    const byToken = await sync(ann, { stream: await ann.streamToken([two]) });
    expect([byFilter, byToken].map((each) => each.rooms.nodes.map(({ room }) => room.id))).toEqual([[one], [two]]);
    expect([byFilter.invites, byToken.invites]).toEqual([[], []]);
    expect((await sync(ann, { stream: await ann.streamToken([invited]) })).invites).toHaveLength(1);
  });
});

describe("a difference", () => {
  test("[SYN-2] holds only rooms with news, their new events and the slots that changed", async () => {
    const [ann, bob] = await pair();
    const quiet = await ann.createRoom({ name: "quiet" });
    const busy = await ann.createRoom({
      name: "busy",
      invite: [bob.userId],
      state: [{ type: "org.example.x", content: { on: true } }],
    });
    await bob.join(busy);
    const { stream } = await sync(ann);
    expect(await sync(ann, { stream })).toMatchObject({ incremental: true, rooms: { nodes: [], totalCount: 0 } });
    const sent = await many(bob, busy, 2);
    const topic = await ann.setState(busy, "m.room.topic", { topic: "new" });
    const gone = await ann.do<{ deleteState: { event: { id: string } } }>(
      'mutation ($roomId: ID!) { deleteState(input: { roomId: $roomId, type: "org.example.x" }) { event { id } } }',
      { roomId: busy },
    );
    const next = await sync(ann, { stream });
    const [room] = next.rooms.nodes;
    expect(next.rooms.nodes.map((each) => each.room.id)).toEqual([busy]);
    expect(room).toMatchObject({ incremental: true });
    expect(ids(room!.timeline)).toEqual([...sent, topic, gone.deleteState.event.id]);
    expect(ids(room!.state).sort()).toEqual([topic, gone.deleteState.event.id].sort());
    const deleted = room!.state.edges.find((edge) => edge.node.id === gone.deleteState.event.id);
    expect(deleted!.json).not.toHaveProperty("content");
    expect(quiet).not.toBe(busy);
    // The token given stays as it was, and its successor knows all of this.
    expect(ids((await sync(ann, { stream })).rooms.nodes[0]!.timeline)).toEqual(ids(room!.timeline));
    expect((await sync(ann, { stream: next.stream })).rooms.nodes).toEqual([]);
  });

  test("[SYN-2, SYN-5] is the same from a process that has begun since, and remembers nothing of it", async () => {
    const [ann, bob] = await pair();
    const roomId = await ann.createRoom({ invite: [bob.userId] });
    await bob.join(roomId);
    const left = await bob.createRoom({ invite: [ann.userId] });
    await ann.join(left);
    const invited = await bob.createRoom({ invite: [ann.userId] });
    const { stream } = await sync(ann);
    const sent = await many(bob, roomId, 2);
    await ann.leave(left);
    const second = await startApp({ databaseUrl: server.databaseUrl });
    const expected = {
      rooms: {
        nodes: [{ room: { id: roomId }, incremental: true, timeline: { edges: sent.map((id) => ({ node: { id } })) } }],
      },
      left: [{ roomId: left }],
      invites: [{ room: { id: invited } }],
    };
    for (const { address } of [server, second]) {
      const there = new Client(address, ann.token, ann.userId, ann.deviceId);
      expect(await sync(there, { stream })).toMatchObject(expected);
    }
    await second.close();
  });

  test("[SYN-2] more than limit new events give a fresh page with whole state; exactly limit don't", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom({ name: "A" });
    const { stream } = await sync(ann);
    const sent = await many(ann, roomId, 3);
    const [exact] = (await sync(ann, { stream, limit: 3 })).rooms.nodes;
    expect([exact!.incremental, ids(exact!.timeline), ids(exact!.state)]).toEqual([true, sent, []]);
    const [fresh] = (await sync(ann, { stream, limit: 2 })).rooms.nodes;
    expect([fresh!.incremental, ids(fresh!.timeline)]).toEqual([false, sent.slice(1)]);
    expect(fresh!.state.edges).toHaveLength(6);
    // What the filter leaves out doesn't count.
    const filter = await ann.filter({ types: ["m.room.topic"] });
    await ann.setState(roomId, "m.room.topic", { topic: "t" });
    const [filtered] = (await sync(ann, { stream, limit: 1, filter })).rooms.nodes;
    expect([filtered!.incremental, said(filtered!.timeline)]).toEqual([true, ["state:m.room.topic"]]);
  });

  test("[SYN-2] new rooms come whole, rooms left since are listed, invites are always complete", async () => {
    const [ann, bob] = await pair();
    const old = await bob.createRoom({ name: "old", invite: [ann.userId] });
    const leaving = await bob.createRoom({ name: "leaving", joinRule: "PUBLIC" });
    const brief = await bob.createRoom({ name: "brief", joinRule: "PUBLIC" });
    await ann.join(leaving);
    const { stream } = await sync(ann);
    await ann.join(brief);
    await ann.leave(brief);
    const left = await ann.leave(leaving);
    const fresh = await bob.createRoom({ name: "fresh", joinRule: "PUBLIC" });
    await many(bob, fresh, 3);
    await ann.join(fresh);
    const next = await sync(ann, { stream });
    expect(next.left).toEqual([{ roomId: leaving, event: { id: left } }]);
    expect(next.rooms.nodes.map((each) => [each.room.id, each.incremental])).toEqual([[fresh, false]]);
    expect(next.rooms.nodes[0]!.state.edges.length).toBeGreaterThan(6);
    expect(next.invites.map((invite) => invite.room.id)).toEqual([old]);
    // Kicked and invited again: left, and invited.
    await bob.membership("kick", fresh, ann.userId);
    await bob.membership("invite", fresh, ann.userId);
    const last = await sync(ann, { stream: next.stream });
    expect(last.left.map(({ roomId }) => roomId)).toEqual([fresh]);
    expect(last.invites.map((invite) => invite.room.id)).toEqual([fresh, old]);
  });

  test("[SYN-11] tells of older messages that were edited or redacted, with a fresh page, too", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom();
    const [first, second, third] = (await many(ann, roomId, 3)) as [string, string, string];
    const edit = await ann.edit(roomId, first, "m1, mended");
    const { stream } = await sync(ann);
    expect((await sync(ann, { stream })).rooms.nodes).toEqual([]);
    const again = await ann.edit(roomId, edit, "m1, mended again");
    await ann.redact(second);
    const young = await ann.send(roomId, "young");
    await ann.edit(roomId, young, "younger");
    for (const limit of [20, 0]) {
      const [room] = (await sync(ann, { stream, limit })).rooms.nodes;
      expect(room!.incremental).toBe(limit === 20);
      expect(ids(room!.changed)).toEqual([first, second]);
      const [edited, redacted] = room!.changed.edges;
      expect((edited!.json["updated_by"] as { event_id: string }[]).map((child) => child.event_id)).toEqual([
        edit,
        again,
      ]);
      expect(redacted!.json["content"]).toEqual({});
    }
    const unbundled = await ann.filter({ bundleUpdates: false });
    const [room] = (await sync(ann, { stream, filter: unbundled })).rooms.nodes;
    expect(ids(room!.changed)).toEqual([first, second, edit]);
    expect(third).toBeTruthy();
  });

  test("[SYN-2, ACT-14] a redacted slot is among those that changed", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom({ name: "secret" });
    const named = await ann.setState(roomId, "m.room.topic", { topic: "oops" });
    const { stream } = await sync(ann);
    await ann.redact(named);
    const [room] = (await sync(ann, { stream })).rooms.nodes;
    expect(room!.state.edges).toMatchObject([{ node: { id: named }, json: { content: {} } }]);
  });

  test("[SCR-2, STR-1] an unused token gives the newest, a used one differences", async () => {
    const [ann] = await pair();
    const roomId = await ann.createRoom();
    const unused = await ann.streamToken();
    const full = await sync(ann, { stream: unused });
    expect([full.incremental, full.rooms.nodes.length]).toEqual([false, 1]);
    await many(ann, roomId, 1);
    expect((await sync(ann, { stream: unused })).incremental).toBe(false);
    expect((await sync(ann, { stream: full.stream })).rooms.nodes[0]!.incremental).toBe(true);
  });
});

describe("paging by room", () => {
  test("[SYN-6] the most recently active come first; the cursor pins list and position", async () => {
    const [ann, bob] = await pair();
    const roomIds: string[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) roomIds.push(await ann.createRoom({ name, invite: [bob.userId] }));
    for (const roomId of roomIds) await bob.join(roomId);
    await ann.send(roomIds[1]!, "b is the latest");
    const first = await sync(ann, { first: 2, limit: 2 });
    expect(first.rooms.nodes.map(({ room }) => room.name)).toEqual(["b", "e"]);
    expect(first.rooms).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: true } });
    // What happens meanwhile moves nothing between the pages, and comes by the first page's token.
    const late = await ann.send(roomIds[2]!, "c wakes up");
    await ann.send(roomIds[0]!, "a wakes up");
    await ann.leave(roomIds[3]!);
    const second = await sync(ann, { first: 2, limit: 2, after: first.rooms.pageInfo.endCursor });
    expect(second.rooms.nodes.map(({ room }) => room.name)).toEqual(["d", "c"]);
    expect(second.rooms.nodes.flatMap(({ timeline }) => ids(timeline))).not.toContain(late);
    const third = await sync(ann, { first: 2, limit: 2, after: second.rooms.pageInfo.endCursor });
    expect(third.rooms.nodes.map(({ room }) => room.name)).toEqual(["a"]);
    expect(third.rooms).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: false } });
    const next = await sync(ann, { stream: first.stream });
    expect(next.rooms.nodes.map(({ room }) => room.name)).toEqual(["a", "c"]);
    expect(next.left.map(({ roomId }) => roomId)).toEqual([roomIds[3]]);
    const page = await sync(ann, { stream: first.stream, first: 1 });
    const rest = await sync(ann, { stream: first.stream, first: 1, after: page.rooms.pageInfo.endCursor });
    expect([page, rest].map((each) => each.rooms.nodes[0]!.room.name)).toEqual(["a", "c"]);
  });

  test("[STR-4, FIL-6] cursors of other lists, and tokens that don't fit together, are refused", async () => {
    const [ann, bob] = await pair();
    const roomId = await ann.createRoom();
    await ann.createRoom();
    const { rooms, stream } = await sync(ann, { first: 1 });
    const after = rooms.pageInfo.endCursor;
    expect(await syncCode(ann, { stream, after })).toBe("BAD_INPUT");
    expect(await syncCode(bob, { after })).toBe("BAD_TOKEN");
    expect(await syncCode(ann, { after: rooms.nodes[0]!.timeline.pageInfo.startCursor })).toBe("BAD_TOKEN");
    expect(await syncCode(bob, { stream })).toBe("BAD_TOKEN");
    const other = await ann.code(
      "query ($id: ID!, $t: ChunkToken) { scrollback(roomId: $id, before: $t) { moreLocally } }",
      { id: roomId, t: after },
    );
    expect(other).toBe("BAD_TOKEN");
  });

  test("[SYN-3] limits out of range are refused", async () => {
    const [ann] = await pair();
    for (const wrong of [{ limit: -1 }, { limit: 501 }, { first: -1 }, { first: 501 }]) {
      expect(await syncCode(ann, wrong)).toBe("BAD_INPUT");
    }
  });
});

test("[SYN-2] takes as many statements for a hundred rooms as for five", async () => {
  const [ann, bob] = await pair();
  // The least of a few tries: now and then the head asks for the newest position by the same connections.
  const least = async (work: () => Promise<unknown>): Promise<number> => {
    const counts = [];
    for (let n = 0; n < 3; n++) {
      const before = server.database.statements();
      await work();
      counts.push(server.database.statements() - before);
    }
    return Math.min(...counts);
  };
  const statements = (variables: Record<string, unknown>): Promise<number> => least(() => sync(ann, variables));
  const grow = async (count: number): Promise<string[]> => {
    const made = [];
    for (let n = 0; n < count; n++) {
      const roomId = await bob.createRoom({ joinRule: "PUBLIC", name: `room ${n}` });
      await ann.join(roomId);
      await many(bob, roomId, 2);
      made.push(roomId);
    }
    return made;
  };
  const wild = await ann.filter({ types: ["m.room.*"], bundleRelations: 2 });
  const five = await grow(5);
  const { stream } = await sync(ann);
  await sync(ann, { filter: wild });
  // Rooms of both sorts: known ones with news, and new ones.
  await grow(1);
  for (const roomId of five) await bob.edit(roomId, await bob.send(roomId, "news"), "mended");
  const few = [await statements({}), await statements({ filter: wild }), await statements({ stream })];
  const more = await grow(95);
  for (const roomId of more) await bob.edit(roomId, await bob.send(roomId, "news"), "mended");
  const deep = (): Promise<number> =>
    least(() =>
      ann.do(`{ initialSync { rooms { nodes { timeline { nodes {
        sender { displayName } senderMember { displayName powerLevel }
        ... on MessageEvent { replyCount reactions { key } current { raw } }
      } } state { nodes { sender { id } } } compact { events { json } } } } } }`),
    );
  const lots = [await statements({}), await statements({ filter: wild }), await statements({ stream })];
  expect(lots).toEqual(few);
  const deepLots = await deep();
  expect(deepLots).toBeLessThan(20);
  for (const roomId of more) await ann.leave(roomId);
  expect(await deep()).toBe(deepLots);
}, 60_000);
