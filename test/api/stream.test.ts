import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
beforeAll(async () => {
  server = await startApp({ config: { streamReplay: 20, streamBacklog: 50 } });
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([alice.close(), bob.close()]);
  await server.close();
});

const openRoom = (): Promise<string> => alice.createRoom({ joinRule: "PUBLIC" });
const scrollback = "query ($room: ID!) { scrollback(roomId: $room) { stream events { nodes { id } } } }";

test("[EVS-1] the first chunk tells that the stream is live, and every chunk has the new position", async () => {
  const following = await bob.follow();
  expect(following.chunks[0]).toMatchObject({ events: [], limited: false });
  const room = await openRoom();
  await bob.join(room);
  const sent = await alice.send(room, "hello");
  await following.sees(sent);
  following.stop();
  const later = await alice.send(room, "later");
  const resumed = await bob.follow(following.token);
  await resumed.sees(later);
  expect(resumed.events.map((event) => event.id)).toEqual([later]);
  resumed.stop();
});

test("[EVS-3] between a query's token and the stream that starts from it, nothing is lost or doubled", async () => {
  const room = await openRoom();
  await bob.join(room);
  const all: string[] = [];
  let sending = true;
  const sender = (async () => {
    while (sending) all.push(await alice.send(room, `message ${all.length}`));
  })();
  const got: string[][] = [];
  for (let round = 0; round < 5; round++) {
    const { scrollback: page } = await bob.do<{ scrollback: { stream: string; events: { nodes: { id: string }[] } } }>(
      scrollback,
      { room },
    );
    const known = page.events.nodes.map((node) => node.id);
    const following = await bob.follow(page.stream);
    await following.until(({ events }) => events.length >= 5);
    following.stop();
    got.push([...known, ...following.events.map((event) => event.id)]);
  }
  sending = false;
  await sender;
  for (const ids of got) {
    expect(new Set(ids).size).toBe(ids.length);
    const mine = ids.filter((id) => all.includes(id));
    const start = all.indexOf(mine[0]!);
    expect(mine).toEqual(all.slice(start, start + mine.length));
  }
});

test("[EVS-2] more than is replayed: one limited chunk without events, then live", async () => {
  const room = await openRoom();
  await bob.join(room);
  const following = await bob.follow();
  following.stop();
  for (let count = 0; count < 21; count++) await alice.send(room, `message ${count}`);
  const limited = await bob.follow(following.token);
  expect(limited.chunks[0]).toMatchObject({ limited: true, events: [] });
  const live = await alice.send(room, "live");
  await limited.sees(live);
  expect(limited.events.map((event) => event.id)).toEqual([live]);
  limited.stop();
  const fromNow = await bob.follow(limited.chunks[0]!.stream);
  await fromNow.sees(live);
  fromNow.stop();
});

test("[EVS-2] what the reader doesn't see doesn't count towards the bound", async () => {
  const [mine, others] = [await openRoom(), await openRoom()];
  await bob.join(mine);
  const following = await bob.follow();
  following.stop();
  for (let count = 0; count < 25; count++) await alice.send(others, `message ${count}`);
  const wanted = await alice.send(mine, "wanted");
  const resumed = await bob.follow(following.token);
  await resumed.sees(wanted);
  expect(resumed.chunks.some((chunk) => chunk.limited)).toBe(false);
  resumed.stop();
});

test("[EVS-4] deleted state comes without content; a deleted message as a redaction", async () => {
  const room = await openRoom();
  await bob.join(room);
  await alice.setState(room, "org.example.x", { a: 1 });
  const message = await alice.send(room, "regretted");
  const following = await bob.follow();
  await alice.do(
    'mutation ($room: ID!) { deleteState(input: { roomId: $room, type: "org.example.x" }) { event { id } } }',
    { room },
  );
  await alice.do("mutation ($id: ID!) { redactEvent(input: { eventId: $id }) { event { id } } }", { id: message });
  await following.until(({ events }) => events.length === 2);
  expect(following.events).toMatchObject([
    { type: "org.example.x", content: null },
    { type: "m.room.redaction", senderId: alice.userId },
  ]);
  following.stop();
});

test("[EV-9] the kicked get their kick and nothing after it; the invited their invite and nothing before it", async () => {
  const room = await openRoom();
  await bob.join(room);
  const following = await bob.follow();
  const kick = await alice.membership("kick", room, bob.userId);
  const hidden = await alice.send(room, "behind his back");
  const invite = await alice.membership("invite", room, bob.userId);
  // Shown while it holds.
  await following.sees(invite);
  await alice.send(room, "still hidden");
  const join = await bob.join(room);
  const seen = await alice.send(room, "welcome back");
  await following.sees(seen);
  const stored = following.events.filter((event) => event.kind !== "EPHEMERAL");
  expect(stored.map((event) => event.id)).toEqual([kick, invite, join, seen]);
  expect(following.chunks.flatMap((chunk) => chunk.left)).toEqual([{ roomId: room }]);
  expect(following.chunks.flatMap((chunk) => chunk.invites)).toMatchObject([{ event: { id: invite } }]);
  // Replayed from the store, the same.
  const replayed = await bob.follow(following.chunks[0]!.stream);
  await replayed.sees(seen);
  expect(replayed.events.map((event) => event.id)).toEqual(following.events.map((event) => event.id));
  expect(replayed.events.map((event) => event.id)).not.toContain(hidden);
  following.stop();
  replayed.stop();
});

test("[EVS-9] a join brings where scrolling back starts, again when it is replayed", async () => {
  const room = await openRoom();
  const before = await alice.send(room, "before");
  const following = await bob.follow();
  await bob.join(room);
  const isScrollback = (event: { type: string }): boolean => event.type === "m.homeserver.scrollback";
  await following.until(({ events }) => events.some(isScrollback));
  const event = following.events.find(isScrollback)!;
  expect(event).toMatchObject({ kind: "EPHEMERAL", senderId: "localhost", roomId: room });
  const { scrollback } = await bob.do<{ scrollback: { events: { nodes: { id: string }[] } } }>(
    "query ($room: ID!, $before: ChunkToken) { scrollback(roomId: $room, last: 1, before: $before) { events { nodes { id } } } }",
    { room, before: event.content!["token"] },
  );
  expect(scrollback.events.nodes).toEqual([{ id: before }]);
  const replayed = await bob.follow(following.chunks[0]!.stream);
  await replayed.until(({ events }) => events.some(isScrollback));
  following.stop();
  replayed.stop();
});

test("[EVS-8] [EVS-10] the action id comes down the acting device's stream alone, the event down all", async () => {
  const room = await openRoom();
  const tablet = await Client.login(server.address, "alice", "tablet");
  const [own, other, others] = [await alice.follow(), await tablet.follow(), await bob.follow()];
  await bob.join(room);
  const sent = await alice.send(room, "mine", "my-action");
  expect((await own.sees(sent)).actionId).toBe("my-action");
  expect((await other.sees(sent)).actionId).toBeNull();
  expect((await others.sees(sent)).actionId).toBeNull();
  await tablet.close();
  for (const each of [own, others]) each.stop();
});

test("[ACT-15] an action may stay off the acting device's stream, and of no other's; history has it", async () => {
  const room = await openRoom();
  await bob.join(room);
  const tablet = await Client.login(server.address, "alice", "tablet");
  const [own, other] = [await alice.follow(), await tablet.follow()];
  const { sendMessage } = await alice.do<{ sendMessage: { event: { id: string } } }>(
    'mutation ($room: ID!) { sendMessage(input: { roomId: $room, suppressOnStream: true, message: { content: { text: { body: "quiet" } } } }) { event { id } } }',
    { room },
  );
  await other.sees(sendMessage.event.id);
  const loud = await alice.send(room, "loud");
  await own.sees(loud);
  expect(own.events.map((event) => event.id)).not.toContain(sendMessage.event.id);
  const replayed = await alice.follow(own.chunks[0]!.stream);
  await replayed.sees(loud);
  expect(replayed.events.map((event) => event.id)).not.toContain(sendMessage.event.id);
  expect(await alice.timeline(room)).toContain(sendMessage.event.id);
  await tablet.close();
});

test("[STR-1] a token for some rooms brings only those, invites included", async () => {
  const [wanted, unwanted] = [await openRoom(), await openRoom()];
  await Promise.all([bob.join(wanted), bob.join(unwanted)]);
  const { streamToken } = await bob.do<{ streamToken: string }>(
    "query ($rooms: [String!]) { streamToken(rooms: $rooms) }",
    { rooms: [wanted] },
  );
  const following = await bob.follow(streamToken);
  await alice.send(unwanted, "unwanted");
  await alice.createRoom({ invite: [bob.userId] });
  const event = await alice.send(wanted, "wanted");
  await following.sees(event);
  expect(following.events.map((each) => each.id)).toEqual([event]);
  following.stop();
});

test("[STR-2] [FIL-6] tokens of others and tampered ones are BAD_TOKEN", async () => {
  const following = await alice.follow();
  for (const token of [following.token, `${following.token}x`, "nonsense"]) {
    await expect(bob.follow(token)).rejects.toThrow("BAD_TOKEN");
  }
  following.stop();
});

test("[EVS-13] a consumer that reads nothing gets one limited chunk, then goes on", async () => {
  const room = await openRoom();
  await bob.join(room);
  // Pulled by hand, as a socket that takes nothing would: the domain's own follower shows what is kept for it.
  const { stream } = server.app.domain;
  const base = { userId: bob.userId, deviceId: bob.deviceId, rooms: null, users: null, position: null };
  const follower = await stream.open(base, "no token");
  expect(await follower.next()).toMatchObject({ events: [], limited: false });
  const messages = Array.from({ length: 30 }, (_, index) => ({ content: { text: { body: `message ${index}` } } }));
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  for (let count = 0; count < 2; count++) await alice.do(batch, { input: { roomId: room, messages } });
  expect(await follower.next()).toMatchObject({ events: [], limited: true, position: server.app.domain.head.position });
  const live = await alice.send(room, "live");
  expect((await follower.next())?.events.map((event) => event.eventId)).toEqual([live]);
  stream.close(follower);
  expect(await follower.next()).toBeNull();
});

test("[EVS-13] a socket that takes nothing for a while holds little, and goes on after a limited chunk", async () => {
  const room = await openRoom();
  await bob.join(room);
  const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const received: string[] = [];
  socket.on("message", (data: Buffer) => received.push(data.toString()));
  await new Promise((resolve) => socket.on("open", resolve));
  socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${bob.token}` } }));
  const query = "subscription { eventStream { limited events { id content } } }";
  await until(() => received.length > 0);
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
  await until(() => received.some((text) => text.includes("eventStream")));
  socket.pause();
  // In few requests: who answers no ping for long is disconnected.
  const messages = Array.from({ length: 15 }, () => ({ content: { text: { body: "x".repeat(50_000) } } }));
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  for (let count = 0; count < 20; count++) await alice.do(batch, { input: { roomId: room, messages } });
  const last = await alice.send(room, "last");
  socket.resume();
  await until(
    () => received.some((text) => text.includes('"limited":true')),
    () => `${received.length} messages`,
  );
  const live = await alice.send(room, "live");
  await until(() => received.some((text) => text.includes(live)));
  expect(received.length).toBeLessThan(250);
  expect(received.join("").includes(last)).toBe(false);
  socket.terminate();
});

test("[EVS-1] the stream comes over server-sent events as well", async () => {
  const room = await openRoom();
  await bob.join(room);
  const controller = new AbortController();
  const query = "subscription { eventStream { events { id } } }";
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", authorization: `Bearer ${bob.token}` },
    body: JSON.stringify({ query }),
    signal: controller.signal,
  });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const part of response.body!) text += decoder.decode(part as Uint8Array);
  })().catch(() => undefined);
  await until(() => text.includes('"events":[]'));
  const sent = await alice.send(room, "over SSE");
  await until(
    () => text.includes(sent),
    () => text,
  );
  const open = server.app.domain.stream.count();
  controller.abort();
  await until(() => server.app.domain.stream.count() === open - 1);
});

test("[EVS-13] streams that clients drop are let go of", async () => {
  // Registered first, since the mirror that follows her is a stream as well.
  const carol = await server.user("carol");
  await until(
    () => server.app.domain.stream.count() <= 6,
    () => `${server.app.domain.stream.count()} are open`,
  );
  const before = server.app.domain.stream.count();
  await carol.follow();
  await carol.follow();
  expect(server.app.domain.stream.count()).toBe(before + 2);
  await carol.close();
  await until(() => server.app.domain.stream.count() === before);
});
