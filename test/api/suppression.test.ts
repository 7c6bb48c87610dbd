import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { everyAction, madeUnder, mutationsThatTake, request, type Made } from "../kit/everyAction.ts";
import type { Follow } from "../kit/follow.ts";

const names = Object.keys(everyAction);

let server: TestApp;
let alice: Client;
let tablet: Client;
let bob: Client;
/** A room of both, for telling that a stream has come so far. */
let meeting: string;
beforeAll(async () => {
  server = await startApp({ config: { admins: ["alice", "bob"] } });
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
  tablet = await Client.login(server.address, "alice", "tablet");
  meeting = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(meeting);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([alice, tablet, bob].map((client) => client.close()));
  await server.close();
});

/** Performs the action on Alice's first device, while all follow; gives what it made and what the streams brought. */
async function watch(name: string, suppressOnStream: boolean, why = "") {
  const actionId = `${suppressOnStream ? "quiet" : "loud"}${why}-${name}`;
  const input = await everyAction[name]!.prepare({ actor: alice, other: bob });
  const follows = { own: await alice.follow(), device: await tablet.follow(), other: await bob.follow() };
  const { query, variables } = request(name, input, { actionId, suppressOnStream });
  await alice.do(query, variables);
  const end = await tablet.send(meeting, `after ${actionId}`);
  const begun = follows.own.chunks[0]!.stream;
  for (const follow of Object.values(follows)) await follow.sees(end);
  const replayed = await alice.follow(begun);
  await replayed.sees(end);
  for (const follow of [...Object.values(follows), replayed]) follow.stop();
  const { made } = await madeUnder(server.databaseUrl, actionId, alice);
  expect(made.length).toBeGreaterThan(0);
  return { actionId, made, begun, ...follows, replayed };
}

/** The action ids that a stream told of events, by both forms of the event. */
function toldActionIds(follow: Follow, made: readonly Made[]): unknown[] {
  const ids = made.map((event) => event.id);
  return [
    ...follow.events.filter((event) => ids.includes(event.id)).map((event) => event.actionId),
    ...follow.json
      .filter((event) => ids.includes(String(event["event_id"])))
      .map((event) => event["action_id"] ?? null),
  ];
}

function broughtOf(follow: Follow, made: readonly Made[]): string[] {
  const ids = made.map((event) => event.id);
  return follow.events.map((event) => event.id).filter((id) => ids.includes(id));
}

const all = (made: readonly Made[]): string[] => made.map((event) => event.id);

const fields = "id actionId json";
interface ReadEvent {
  id: string;
  actionId: string | null;
  json: Record<string, unknown>;
}
interface SyncedRoom {
  room: { id: string };
  timeline: { nodes: ReadEvent[] };
  state: { nodes: ReadEvent[] };
}

/** Signals of calls are listed on their own, too. */
const listAll = "tweak: { bundleUpdates: false }";

async function synced(client: Client, roomId: string, stream: string | null): Promise<SyncedRoom | null> {
  const { initialSync } = await client.do<{ initialSync: { rooms: { nodes: SyncedRoom[] } } }>(
    `query ($stream: StreamToken) { initialSync(stream: $stream, limit: 50, ${listAll}) {
       rooms(first: 100) { nodes { room { id } timeline { nodes { ${fields} } } state { nodes { ${fields} } } } }
     } }`,
    { stream },
  );
  const room = initialSync.rooms.nodes.find((each) => each.room.id === roomId);
  return room ?? null;
}

/** Every way to read stored events: what of the action's is found so. A room that isn't seen shows nothing. */
const reads: Record<string, (client: Client, made: readonly Made[], since: string) => Promise<ReadEvent[]>> = {
  sync: async (client, [made]) => (await synced(client, made!.roomId, null))?.timeline.nodes ?? [],
  async difference(client, [made], since) {
    const room = await synced(client, made!.roomId, client === alice ? since : null);
    return room?.timeline.nodes ?? [];
  },
  async scrollback(client, [made]) {
    const query = `query ($id: ID!) { scrollback(roomId: $id, last: 50, ${listAll}) { events { nodes { ${fields} } } } }`;
    const { data } = await client.ask(query, { id: made!.roomId });
    return (data?.["scrollback"] as { events: { nodes: ReadEvent[] } } | null)?.events.nodes ?? [];
  },
  async contextWindow(client, made) {
    const query = `query ($id: ID!) { contextWindow(eventId: $id, before: 50, after: 50, ${listAll}) { events { nodes { ${fields} } } } }`;
    const { data } = await client.ask(query, { id: made.at(-1)!.id });
    return (data?.["contextWindow"] as { events: { nodes: ReadEvent[] } } | null)?.events.nodes ?? [];
  },
  async event(client, made) {
    const asked = made.map(({ id }) => client.ask(`query ($id: ID!) { event(id: $id) { ${fields} } }`, { id }));
    return (await Promise.all(asked)).flatMap(({ data }) => (data?.["event"] as ReadEvent | null) ?? []);
  },
  async nodes(client, made) {
    const { data } = await client.ask(`query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Event { ${fields} } } }`, {
      ids: all(made),
    });
    return (data!["nodes"] as (ReadEvent | null)[]).flatMap((event) => event ?? []);
  },
};

/** Those of them that are given the ids. */
const byId = new Set(["event", "nodes"]);

test("[ACT-15] every mutation that takes suppressOnStream is in the table", () => {
  expect(mutationsThatTake("suppressOnStream")).toEqual([...names].sort());
});

describe.each(names)("[ACT-15] [EVS-8] %s", (name) => {
  test("asked to, it stays off the acting device's stream and of no other's; its id is that device's alone", async () => {
    const loud = await watch(name, false);
    const quiet = await watch(name, true);
    expect(quiet.made).toHaveLength(loud.made.length);

    // What is loud reaches all devices of the user alike, now and replayed.
    const seen = broughtOf(loud.device, loud.made);
    expect(seen.length).toBeGreaterThan(0);
    expect(broughtOf(loud.own, loud.made)).toEqual(seen);
    expect(broughtOf(loud.replayed, loud.made)).toEqual(seen);
    expect(new Set(toldActionIds(loud.own, loud.made))).toEqual(new Set([loud.actionId]));
    expect(new Set(toldActionIds(loud.replayed, loud.made))).toEqual(new Set([loud.actionId]));

    // What is quiet reaches the others as if it were loud.
    expect(broughtOf(quiet.own, quiet.made)).toEqual([]);
    expect(broughtOf(quiet.replayed, quiet.made)).toEqual([]);
    expect(broughtOf(quiet.device, quiet.made)).toHaveLength(seen.length);
    expect(broughtOf(quiet.other, quiet.made)).toHaveLength(broughtOf(loud.other, loud.made).length);
    for (const { device, other, made } of [loud, quiet]) {
      expect(toldActionIds(device, made).filter((actionId) => actionId !== null)).toEqual([]);
      expect(toldActionIds(other, made).filter((actionId) => actionId !== null)).toEqual([]);
    }

    // What a chunk tells of rooms, invites and leaving goes by its events; what is derived from a join does not.
    for (const follow of [quiet.own, quiet.replayed]) {
      const told = follow.chunks.flatMap(({ rooms, invites, left }) => [
        ...rooms.map((room) => room.id),
        ...invites.map((invite) => invite.room.id),
        ...left.map((room) => room.roomId),
      ]);
      expect(told).not.toContain(quiet.made[0]!.roomId);
      expect(scrollbacks(follow)).toEqual(scrollbacks(quiet.device));
    }
    expect(scrollbacks(quiet.device)).toHaveLength(scrollbacks(loud.device).length);
    expect(leftRooms(quiet.device)).toHaveLength(leftRooms(loud.device).length);
  });

  test("no read leaves its events out, and only the acting device is told the action id", async () => {
    const quiet = await watch(name, true, "read");
    const joined = (await reads["sync"]!(alice, quiet.made, quiet.begun)).length > 0;
    // Markers are in no list but that of state. [ACT-11]
    const listed = all(quiet.made.filter((each) => !each.moved));
    for (const [way, ask] of Object.entries(reads)) {
      const found = async (client: Client): Promise<ReadEvent[]> => {
        const events = await ask(client, quiet.made, quiet.begun);
        return events.filter((event) => all(quiet.made).includes(event.id));
      };
      const own = await found(alice);
      if (joined)
        expect([way, ...own.map((event) => event.id)]).toEqual([way, ...(byId.has(way) ? all(quiet.made) : listed)]);
      for (const { actionId, json } of own) {
        expect([way, actionId, json["action_id"]]).toEqual([way, quiet.actionId, quiet.actionId]);
      }
      const device = await found(tablet);
      expect(device.map((event) => event.id)).toEqual(own.map((event) => event.id));
      for (const { actionId, json } of [...device, ...(await found(bob))]) {
        expect([way, actionId, "action_id" in json]).toEqual([way, null, false]);
      }
    }
    const inState = async (client: Client): Promise<(string | null)[]> => {
      const room = await synced(client, quiet.made[0]!.roomId, null);
      const mine = (room?.state.nodes ?? []).filter((event) => all(quiet.made).includes(event.id));
      return mine.flatMap(({ actionId, json }) => [actionId, (json["action_id"] as string | undefined) ?? null]);
    };
    const own = await inState(alice);
    expect(own).toEqual(own.map(() => quiet.actionId));
    if (listed.length < quiet.made.length) expect(own).not.toEqual([]);
    expect(await inState(tablet)).toEqual(own.map(() => null));
    expect((await inState(bob)).filter((actionId) => actionId !== null)).toEqual([]);
  });
});

/** Rooms that the stream said where to scroll back from. [EVS-9] */
function scrollbacks(follow: Follow): string[] {
  return follow.events.filter((event) => event.type === "m.homeserver.scrollback").map((event) => event.roomId);
}

function leftRooms(follow: Follow): string[] {
  return follow.chunks.flatMap((chunk) => chunk.left).map((room) => room.roomId);
}

test("[EVS-9] [ACT-15] a join that is kept off the stream still tells the device where to scroll back from", async () => {
  for (const name of ["createRoom", "joinRoom"]) {
    const quiet = await watch(name, true, "derived");
    for (const follow of [quiet.own, quiet.replayed, quiet.device]) {
      expect(scrollbacks(follow)).toEqual([quiet.made[0]!.roomId]);
    }
  }
});
