import { afterEach, beforeEach, expect, test } from "vitest";
import { Subscription } from "../guide/support/subscription.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

// The worked examples of the drafts S2 (four kinds of clients) and S1 (updates and relations), request by request and
// with the numbers that the drafts have.

interface Event {
  id: string;
  type: string;
  roomId: string;
}
interface Page {
  nodes: Event[];
  pageInfo: { hasPreviousPage: boolean; startCursor: string };
}
interface SyncRoom {
  incremental: boolean;
  room: { id: string; name: string | null };
  state: { nodes: { id: string; type: string; stateKey: string }[] };
  timeline: Page;
}
interface Sync {
  stream: string;
  incremental: boolean;
  presence: unknown[];
  left: { roomId: string }[];
  invites: { room: { id: string } }[];
  rooms: { nodes: SyncRoom[] };
}

const everyType = ["m.room.message", "m.room.topic", "m.room.name", "m.room.member"];
const shownState = ["m.room.name", "m.room.topic", "m.room.member"];

let server: TestApp;
let alice: Client;
/** Makes the rooms and says what alice reads. */
let bob: Client;
beforeEach(async () => {
  server = await startApp();
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});
afterEach(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([alice.close(), bob.close()]);
  await server.close();
});

// Requests of the client.

async function streamToken(client: Client, rooms: string[], users: string[]): Promise<string> {
  const query = "query ($rooms: [String!], $users: [String!]) { streamToken(rooms: $rooms, users: $users) }";
  return (await client.do<{ streamToken: string }>(query, { rooms, users })).streamToken;
}

async function filterToken(client: Client, definition: object): Promise<string> {
  const query = "query ($definition: FilterInput!) { filter(definition: $definition) { token } }";
  return (await client.do<{ filter: { token: string } }>(query, { definition })).filter.token;
}

interface SyncArguments {
  stream: string;
  limit: number;
  filter?: string;
  stateFilter?: string;
}

async function sync(client: Client, args: SyncArguments): Promise<Sync> {
  const { initialSync } = await client.do<{ initialSync: Sync }>(
    `query ($stream: StreamToken, $limit: Int, $filter: FilterToken, $stateFilter: FilterToken) {
       initialSync(stream: $stream, limit: $limit, filter: $filter, stateFilter: $stateFilter) {
         stream incremental
         presence { user { id } }
         left { roomId }
         invites { room { id } }
         rooms { nodes {
           incremental
           room { id name }
           state { nodes { id type stateKey } }
           timeline { nodes { id type roomId } pageInfo { hasPreviousPage startCursor } }
         } }
       }
     }`,
    { ...args },
  );
  return initialSync;
}

function roomOf({ rooms }: Sync, roomId: string): SyncRoom {
  return rooms.nodes.find(({ room }) => room.id === roomId)!;
}

/** The client's open event stream; its first chunk tells that it is live. */
class Stream extends Subscription<{ eventStream: { stream: string; events: Event[]; invites: unknown[] } }> {
  constructor(client: Client, args: { stream: string; filter?: string }) {
    super(
      client,
      `subscription ($stream: StreamToken, $filter: FilterToken) {
         eventStream(stream: $stream, filter: $filter) { stream events { id type roomId } invites { id } }
       }`,
      args,
    );
  }

  get events(): Event[] {
    return this.answers.flatMap(({ eventStream }) => eventStream.events);
  }

  get token(): string {
    return this.answers.at(-1)!.eventStream.stream;
  }

  async sees(id: string): Promise<void> {
    await this.until(() => ids(this.events).includes(id));
  }
}

/** Scrolls back from a token to the beginning of the room, page by page; gives the events, oldest first. */
async function scrollToTheBeginning(client: Client, roomId: string, from: Page, filter?: string): Promise<Event[]> {
  const events: Event[] = [];
  for (let page = from; page.pageInfo.hasPreviousPage;) {
    const { scrollback } = await client.do<{ scrollback: { events: Page } }>(
      `query ($roomId: ID!, $before: ChunkToken!, $filter: FilterToken) {
         scrollback(roomId: $roomId, last: 30, before: $before, filter: $filter) {
           events { nodes { id type roomId } pageInfo { hasPreviousPage startCursor } }
         }
       }`,
      { roomId, before: page.pageInfo.startCursor, filter },
    );
    page = scrollback.events;
    expect(page.nodes.length).toBeLessThanOrEqual(30);
    events.unshift(...page.nodes);
  }
  return events;
}

const ids = (events: readonly { id: string }[]): string[] => events.map(({ id }) => id);
const types = (events: readonly { type: string }[]): string[] => events.map(({ type }) => type);
const slots = (events: readonly { type: string; stateKey: string }[]): string[] =>
  events.map(({ type, stateKey }) => `${type} ${stateKey}`).sort();

// What happens on the server.

/** A room of bob's that alice is in. */
async function sharedRoom(input: object = {}): Promise<string> {
  const roomId = await bob.createRoom({ joinRule: "PUBLIC", ...input });
  await alice.join(roomId);
  return roomId;
}

/** Sends this many messages at once; `type` other than m.room.message makes what no client of the examples shows. */
async function say(roomId: string, count: number, type = "m.room.message"): Promise<string[]> {
  const messages = Array.from({ length: count }, (_, index) => ({
    type,
    content: type === "m.room.message" ? { text: { body: `message ${index}` } } : { custom: { index } },
  }));
  const { sendMessages } = await bob.do<{ sendMessages: { events: { id: string }[] } }>(
    "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }",
    { input: { roomId, messages } },
  );
  return ids(sendMessages.events);
}

test("[STR-1] [SYN-1] [EVS-3] [SCR-3] S2's example 1: a web client that fetches everything", async () => {
  const busy = await sharedRoom({ name: "Busy", topic: "Talk" });
  const quiet = await sharedRoom({ name: "Quiet" });
  const foreign = await bob.createRoom({ joinRule: "PUBLIC" });
  await say(busy, 100);
  await say(quiet, 3);

  // An unused token gives the newest 30 events of each room, and all state.
  const token = await streamToken(alice, ["*"], ["*"]);
  const first = await sync(alice, { stream: token, limit: 30 });
  expect(first).toMatchObject({ incremental: false, invites: [], left: [] });
  expect(first.rooms.nodes.map(({ room }) => room.name)).toEqual(["Quiet", "Busy"]);
  for (const roomId of [busy, quiet]) {
    const { timeline, incremental } = roomOf(first, roomId);
    expect(incremental).toBe(false);
    expect(ids(timeline.nodes)).toEqual((await alice.timeline(roomId)).slice(-30));
  }
  expect(roomOf(first, busy).timeline.nodes).toHaveLength(30);
  expect(slots(roomOf(first, busy).state.nodes)).toEqual([
    "m.room.create _",
    "m.room.history_visibility _",
    "m.room.join_rules _",
    `m.room.member ${alice.userId}`,
    `m.room.member ${bob.userId}`,
    "m.room.name _",
    "m.room.power_levels _",
    "m.room.topic _",
  ]);
  expect(roomOf(first, foreign)).toBeUndefined();
  // It stays unused: only its successor has a position.
  expect((await sync(alice, { stream: token, limit: 30 })).incremental).toBe(false);

  // The stream goes on where the sync ended, whenever it is opened.
  const between = await say(busy, 2);
  const live = new Stream(alice, { stream: first.stream });
  await live.sees(between[1]!);
  const [later] = await say(quiet, 1);
  await live.sees(later!);
  expect(ids(live.events)).toEqual([...between, later]);

  // Scrolling back from the sync's page gives what lies before it, each event once, whatever happens meanwhile.
  for (const roomId of [busy, quiet]) {
    const { timeline } = roomOf(first, roomId);
    const [before] = await Promise.all([scrollToTheBeginning(alice, roomId, timeline), say(roomId, 1)]);
    const all = await alice.timeline(roomId);
    const shown = [...ids(before), ...ids(timeline.nodes)];
    expect(shown).toEqual(all.slice(0, shown.length));
    expect(new Set(shown).size).toBe(shown.length);
  }
  live.stop();
});

test("[FIL-7] [SYN-1] S2's example 2: two filters, and one event for each room that is really one", async () => {
  const noisy = await sharedRoom({ name: "Noisy", topic: "Games" });
  const [wanted] = await say(noisy, 1);
  await say(noisy, 50, "org.example.move");
  for (let count = 0; count < 3; count++) await bob.setState(noisy, "org.example.board", { count });
  const renamed = await sharedRoom();
  await say(renamed, 1);
  const topic = await bob.setState(renamed, "m.room.topic", { topic: "New" });
  await say(renamed, 5, "org.example.move");
  const joined = await sharedRoom();

  const token = await streamToken(alice, ["*"], ["*"]);
  const filter = await filterToken(alice, { types: everyType });
  const stateFilter = await filterToken(alice, { types: shownState });
  const first = await sync(alice, { stream: token, limit: 1, filter, stateFilter });
  const newest = (roomId: string): Event[] => roomOf(first, roomId).timeline.nodes;
  expect(ids(newest(noisy))).toEqual([wanted]);
  expect(ids(newest(renamed))).toEqual([topic]);
  expect(types(newest(joined))).toEqual(["m.room.member"]);
  const members = [`m.room.member ${alice.userId}`, `m.room.member ${bob.userId}`];
  expect(slots(roomOf(first, noisy).state.nodes)).toEqual([...members, "m.room.name _", "m.room.topic _"]);
  expect(slots(roomOf(first, renamed).state.nodes)).toEqual([...members, "m.room.topic _"]);
  expect(slots(roomOf(first, joined).state.nodes)).toEqual(members);

  // The stream takes no filter in this example: it brings everything.
  const live = new Stream(alice, { stream: first.stream });
  await live.next();
  const [move] = await say(noisy, 1, "org.example.move");
  await live.sees(move!);
  live.stop();

  const all = await alice.timeline(noisy);
  const scrolled = await scrollToTheBeginning(alice, noisy, roomOf(first, noisy).timeline, filter);
  expect(types(scrolled)).toEqual(["m.room.member", "m.room.name", "m.room.topic", "m.room.member"]);
  expect(ids(scrolled)).toEqual(all.filter((id) => ids(scrolled).includes(id)));
});

test("[SYN-2] [STR-3] S2's example 3: a client with permanent storage starts, and starts again later", async () => {
  const [busy, calm, silent, abandoned] = [
    await sharedRoom({ name: "Busy", state: [{ type: "org.example.board", content: {} }] }),
    await sharedRoom({ name: "Calm" }),
    await sharedRoom({ name: "Silent" }),
    await sharedRoom({ name: "Abandoned" }),
  ];
  await say(busy, 40);
  await say(busy, 10, "org.example.move");
  await say(calm, 5);

  // The first start.
  const token = await streamToken(alice, ["*"], ["*"]);
  const filter = await filterToken(alice, { types: ["m.room.message"] });
  const stateFilter = await filterToken(alice, { types: ["m.*"] });
  const first = await sync(alice, { stream: token, limit: 30, filter, stateFilter });
  expect(first.rooms.nodes).toHaveLength(4);
  expect(types(roomOf(first, busy).timeline.nodes)).toEqual(Array<string>(30).fill("m.room.message"));
  expect(roomOf(first, calm).timeline.nodes).toHaveLength(5);
  expect(types(roomOf(first, busy).state.nodes).every((type) => type.startsWith("m."))).toBe(true);
  expect(types(roomOf(first, busy).state.nodes)).toContain("m.room.power_levels");

  // Some events come live; then the application is closed, and keeps the stream's last token.
  const live = new Stream(alice, { stream: first.stream });
  await live.next();
  const [seen] = await say(calm, 1);
  await live.sees(seen!);
  live.stop();
  const kept = live.token;
  expect(kept).not.toBe(first.stream);

  const missed = await say(busy, 31);
  await say(calm, 20, "org.example.move");
  const few = await say(calm, 29);
  await bob.setState(calm, "m.room.topic", { topic: "Still calm" });
  await bob.setState(calm, "org.example.board", {});
  await bob.membership("kick", abandoned, alice.userId);
  const fresh = await sharedRoom({ name: "Fresh" });
  const greetings = await say(fresh, 2);
  const invitation = await bob.createRoom({ invite: [alice.userId] });

  // The later start: the same request with the kept token.
  const second = await sync(alice, { stream: kept, limit: 30, filter, stateFilter });
  expect(second).toMatchObject({ incremental: true, left: [{ roomId: abandoned }] });
  expect(second.invites).toEqual([{ room: { id: invitation } }]);
  expect(second.rooms.nodes.map(({ room }) => room.id)).toEqual([fresh, calm, busy]);
  expect(roomOf(second, silent)).toBeUndefined();
  // More than 30: a page of its own, with whole state.
  expect(roomOf(second, busy).incremental).toBe(false);
  expect(ids(roomOf(second, busy).timeline.nodes)).toEqual(missed.slice(-30));
  expect(slots(roomOf(second, busy).state.nodes)).toEqual(slots(roomOf(first, busy).state.nodes));
  // Fewer: exactly those, whatever else lies between, and the state that changed.
  expect(roomOf(second, calm).incremental).toBe(true);
  expect(ids(roomOf(second, calm).timeline.nodes)).toEqual(few);
  expect(slots(roomOf(second, calm).state.nodes)).toEqual(["m.room.topic _"]);
  // New rooms: whole.
  expect(roomOf(second, fresh).incremental).toBe(false);
  expect(ids(roomOf(second, fresh).timeline.nodes)).toEqual(greetings);
  expect(slots(roomOf(second, fresh).state.nodes)).toContain("m.room.create _");
  expect(second.stream).not.toBe(kept);

  // From the new token on, nothing is lost or comes twice.
  const resumed = new Stream(alice, { stream: second.stream });
  const [next] = await say(calm, 1);
  await resumed.sees(next!);
  expect(ids(resumed.events)).toEqual([next]);
  resumed.stop();
  // Exactly 30 are a page, and no more.
  const last29 = await say(calm, 29);
  const third = await sync(alice, { stream: second.stream, limit: 30, filter, stateFilter });
  expect(third.rooms.nodes).toHaveLength(1);
  expect(roomOf(third, calm).incremental).toBe(true);
  expect(ids(roomOf(third, calm).timeline.nodes)).toEqual([next, ...last29]);
});

test("[STR-1] [EVS-1] S2's example 4: a light client without storage opens one room", async () => {
  const carol = await server.user("carol");
  const room = await sharedRoom({ name: "Foo", topic: "Bar" });
  const [, wanted] = await say(room, 2);
  await say(room, 5, "org.example.move");
  const nameless = await sharedRoom();
  await say(nameless, 2);

  const token = await streamToken(alice, ["*"], []);
  const filter = await filterToken(alice, { types: ["m.room.message"] });
  const stateFilter = await filterToken(alice, { types: ["m.room.name"] });
  const streamFilter = await filterToken(alice, { types: ["m.room.message", "m.room.name", "m.room.member"] });
  const first = await sync(alice, { stream: token, limit: 1, filter, stateFilter });
  expect(first.presence).toEqual([]);
  expect(ids(roomOf(first, room).timeline.nodes)).toEqual([wanted]);
  expect(slots(roomOf(first, room).state.nodes)).toEqual(["m.room.name _"]);
  expect(roomOf(first, nameless).timeline.nodes).toHaveLength(1);
  expect(roomOf(first, nameless).state.nodes).toEqual([]);

  // One room is opened: a token for it alone.
  const roomToken = await streamToken(alice, [room], []);
  const live = new Stream(alice, { stream: roomToken, filter: streamFilter });
  expect((await live.next()).eventStream.events).toEqual([]);
  await say(nameless, 1);
  await bob.createRoom({ invite: [alice.userId] });
  await bob.setState(room, "m.room.topic", { topic: "Not asked for" });
  await say(room, 1, "org.example.move");
  const expected = [
    (await say(room, 1))[0],
    await bob.setState(room, "m.room.name", { name: "Foo!" }),
    await bob.membership("invite", room, carol.userId),
    await carol.join(room),
    await carol.leave(room),
    await bob.membership("ban", room, carol.userId),
    await bob.membership("unban", room, carol.userId),
    await bob.membership("invite", room, carol.userId),
    await bob.membership("kick", room, carol.userId),
    await bob.send(room, "the last of them"),
  ];
  await live.sees(expected.at(-1)!);
  expect(ids(live.events)).toEqual(expected);
  expect(live.answers.flatMap(({ eventStream }) => eventStream.invites)).toEqual([]);
  live.stop();
  await carol.close();
});

test("[UPD-3] [REL-2] [REL-3] S1's example: a message, its edit and ten comments, of which three are bundled", async () => {
  const room = await sharedRoom();
  const message = await bob.send(room, "I am teh winner!");
  const comments: string[] = [];
  const send = async (client: Client, text: string, part: object): Promise<string> => {
    const { sendMessage } = await client.do<{ sendMessage: { event: { id: string } } }>(
      "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }",
      { input: { roomId: room, message: { content: { text: { body: text } }, ...part } } },
    );
    return sendMessage.event.id;
  };
  const live = await alice.follow();
  for (let number = 1; number <= 10; number++) {
    const relatesTo = [{ type: "m.comment", eventId: message }];
    comments.push(await send(alice, `comment ${number}`, { relatesTo }));
  }
  const edit = await send(bob, "I am the winner!", { updates: message });

  interface Scrolled {
    scrollback: {
      events: { edges: { json: { replies: { start: string } }; node: object }[] };
    };
  }
  const filter = await filterToken(alice, { types: ["m.room.message"], bundleRelations: 3 });
  const { scrollback } = await alice.do<Scrolled>(
    `query ($room: ID!, $filter: FilterToken) {
       scrollback(roomId: $room, filter: $filter) {
         events { edges { json node { id ... on MessageEvent { updatedBy { id } replyCount } } } }
       }
     }`,
    { room, filter },
  );
  // The children aren't listed on their own.
  expect(scrollback.events.edges.map(({ node }) => node)).toEqual([
    { id: message, updatedBy: [{ id: edit }], replyCount: 10 },
  ]);
  const json = (id: string, sender: string, text: string): Record<string, unknown> => ({
    event_id: id,
    type: "message:m.room.message",
    room_id: room,
    sender,
    origin_server_ts: expect.any(Number),
    content: { msgtype: "m.text", body: text },
  });
  const shown = scrollback.events.edges[0]!.json;
  expect(shown).toEqual({
    ...json(message, bob.userId, "I am teh winner!"),
    updated_by: [{ ...json(edit, bob.userId, "I am the winner!"), updates: message }],
    replies: {
      start: expect.any(String),
      chunk: [8, 9, 10].map((number) => ({
        ...json(comments[number - 1]!, alice.userId, `comment ${number}`),
        relates_to: [{ type: "m.comment", event_id: message }],
      })),
    },
  });

  // The token leads to comments 1 to 7: in one page, or in several.
  const earlier = async (before: string, last: number): Promise<Page> => {
    const { relations } = await alice.do<{ relations: Page }>(
      `query ($message: ID!, $before: ChunkToken!, $last: Int!) {
         relations(eventId: $message, before: $before, last: $last) {
           nodes { id type roomId } pageInfo { hasPreviousPage startCursor }
         }
       }`,
      { message, before, last },
    );
    return relations;
  };
  const whole = await earlier(shown.replies.start, 20);
  expect(ids(whole.nodes)).toEqual(comments.slice(0, 7));
  expect(whole.pageInfo.hasPreviousPage).toBe(false);
  const four = await earlier(shown.replies.start, 4);
  expect(ids(four.nodes)).toEqual(comments.slice(3, 7));
  expect(ids((await earlier(four.pageInfo.startCursor, 4)).nodes)).toEqual(comments.slice(0, 3));

  // A sync shows the same document, and the stream brings the children on their own.
  const { initialSync } = await alice.do<{
    initialSync: { rooms: { nodes: { timeline: { edges: { json: object }[] } }[] } };
  }>(
    "query ($filter: FilterToken) { initialSync(filter: $filter) { rooms { nodes { timeline { edges { json } } } } } }",
    { filter },
  );
  expect(initialSync.rooms.nodes[0]!.timeline.edges).toEqual([{ json: shown }]);
  await live.sees(edit);
  expect(live.events.map((event) => event.id)).toEqual([...comments, edit]);
  live.stop();
});
