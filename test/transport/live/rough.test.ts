/** Streams over sockets that are slow, stop, vanish or lose their token, and renderings that fail or are overtaken. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { ChunkSource } from "../../../src/resolvers/chunkSource.ts";
import { SharedRendering } from "../../../src/transport/live/sharing.ts";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
import { RawSocket, type RawOperation } from "./support/rawSocket.ts";

let server: TestApp;
/** Who follows. */
let alice: Client;
/** Who makes what she sees: what a device made itself is rendered for it alone. */
let bob: Client;
let room: string;
const plain = "subscription { eventStream { stream limited events { id content } } }";
/** Something of each event is loaded, so that rendering takes more than one turn. */
const loading = "subscription { eventStream { stream events { id content sender { displayName } } } }";

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { streamBacklog: 50, streamReplay: 50 } });
  alice = await server.user("alice");
  bob = await server.user("bob");
  room = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await noStreams();
  expect(server.errors).toEqual([]);
});
afterAll(() => server.close());

function noStreams(): Promise<void> {
  const { stream } = server.app.domain;
  return until(
    () => stream.count() === 0,
    () => `${stream.count()} streams are left`,
  );
}

/** Follows on a socket of its own, and waits until the stream is live. */
async function follow(query: string, client = alice): Promise<{ socket: RawSocket; stream: RawOperation }> {
  const socket = await RawSocket.open(client);
  const stream = socket.start("stream", query);
  await stream.until(({ payloads }) => payloads.length > 0);
  return { socket, stream };
}

/** Far more than a socket holds. */
async function flood(requests = 10): Promise<void> {
  const messages = Array.from({ length: 15 }, () => ({ content: { text: { body: "x".repeat(50_000) } } }));
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  for (let count = 0; count < requests; count++) await bob.do(batch, { input: { roomId: room, messages } });
}

/** Holds up what is rendered for all until `release`. */
function heldRendering(): { begun: () => boolean; release: () => void } {
  let release = (): void => undefined;
  let begun = false;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const { text } = SharedRendering.prototype;
  vi.spyOn(SharedRendering.prototype, "text").mockImplementation(function (this: SharedRendering, selection, event) {
    begun = true;
    const found = text.call(this, selection, event);
    return gate.then(() => found);
  });
  return { begun: () => begun, release: () => release() };
}

const eventsOf = (stream: RawOperation): { id: string }[] =>
  stream.chunks.flatMap(({ data }) => (data as { eventStream: { events: { id: string }[] } }).eventStream.events);

test("[EVS-13] a client that stops reading is told so once, and goes on; queries on its socket are answered in between", async () => {
  const { socket, stream } = await follow(plain);
  const second = socket.start("second", plain);
  await second.until(({ payloads }) => payloads.length > 0);
  const taken = vi.spyOn(ChunkSource.prototype, "chunkOf");
  socket.socket.pause();
  await flood();
  const whileStopped = taken.mock.calls.length;
  const query = socket.start("query", "{ viewer { user { id } } }");
  const last = await bob.send(room, "last");
  socket.socket.resume();
  await query.until(({ completed }) => completed);
  for (const each of [stream, second]) {
    await each.until(
      () =>
        eventsOf(each).some(({ id }) => id === last) || each.payloads.some((text) => text.includes('"limited":true')),
    );
  }
  const live = await bob.send(room, "live again");
  for (const each of [stream, second]) await each.until(() => eventsOf(each).some(({ id }) => id === live));
  // 150 messages of 50 kB each: no more were rendered than the socket and the system's buffers took.
  expect(whileStopped).toBeLessThan(100);
  for (const each of [stream, second]) {
    expect(each.payloads.filter((text) => text.includes('"limited":true'))).toHaveLength(1);
    const ids = eventsOf(each).map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  }
  await socket.close();
});

test("a slow client gets everything in order, each stream on its own", async () => {
  const { socket, stream } = await follow(loading);
  const second = socket.start("second", plain);
  await second.until(({ payloads }) => payloads.length > 0);
  const sent: string[] = [];
  for (let count = 0; count < 40; count++) {
    socket.socket.pause();
    sent.push(await bob.send(room, "y".repeat(20_000)));
    socket.socket.resume();
  }
  for (const each of [stream, second]) {
    await each.until(() => eventsOf(each).length >= sent.length);
    expect(eventsOf(each).map(({ id }) => id)).toEqual(sent);
  }
  await socket.close();
});

test("a client that vanishes while much waits for it leaves no stream", async () => {
  const { socket } = await follow(plain);
  socket.socket.pause();
  await flood(3);
  socket.socket.terminate();
  await noStreams();
});

test("what is unsubscribed while it is rendered is not sent any more", async () => {
  const { socket, stream } = await follow(loading);
  const rendering = heldRendering();
  await bob.send(room, "unheard");
  await until(rendering.begun);
  socket.complete("stream");
  await noStreams();
  rendering.release();
  const query = socket.start("query", "{ viewer { user { id } } }");
  await query.until(({ completed }) => completed);
  expect(stream.payloads).toHaveLength(1);
  await socket.close();
});

test("a stream that is completed before it is open never begins", async () => {
  const socket = await RawSocket.open(alice);
  const stream = socket.start("stream", plain);
  socket.complete("stream");
  const query = socket.start("query", "{ viewer { user { id } } }");
  await query.until(({ completed }) => completed);
  await noStreams();
  await bob.send(room, "unheard");
  expect(stream.payloads).toEqual([]);
  expect(stream.errors).toBeNull();
  await socket.close();
});

test.each(["while it is rendered", "while the client takes nothing"])(
  "[ACC-2] who loses their token %s is told so, and nothing after",
  async (when) => {
    const carol = await server.user(`carol${when.length}`);
    await carol.join(room);
    const { socket, stream } = await follow(loading, carol);
    const rendering = when.includes("rendered") ? heldRendering() : null;
    if (rendering === null) {
      socket.socket.pause();
      await flood(3);
    } else {
      await bob.send(room, "secret");
      await until(rendering.begun);
    }
    await carol.do("mutation { logout { deviceId } }");
    await noStreams();
    await bob.send(room, "after");
    rendering?.release();
    socket.socket.resume();
    await stream.until(({ errors }) => errors !== null);
    const seen = socket.order.length;
    expect(stream.errors![0]!.extensions).toMatchObject({ code: "UNKNOWN_TOKEN" });
    expect(socket.order.at(-1)).toBe("stream");
    expect(stream.payloads.join()).not.toContain("after");
    await bob.send(room, "much after");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(socket.order).toHaveLength(seen);
    if (rendering !== null) expect(stream.payloads.join()).not.toContain("secret");
    await socket.close();
  },
);

test("[ACT-14] what is redacted while it is rendered is sent without its content", async () => {
  const { socket, stream } = await follow(loading);
  const rendering = heldRendering();
  const id = await bob.send(room, "regretted");
  await until(rendering.begun);
  await bob.redact(id);
  rendering.release();
  await stream.until(() => eventsOf(stream).some((event) => event.id === id));
  expect(stream.payloads.join()).not.toContain("regretted");
  expect(eventsOf(stream).find((event) => event.id === id)).toMatchObject({ content: {} });
  await socket.close();
});

test("what fails for one viewer is that viewer's error, and the others get theirs", async () => {
  const query = "subscription { eventStream { stream rooms { id } events { content } } }";
  const [broken, whole] = [await follow(query), await follow(query)];
  const { chunkOf } = ChunkSource.prototype;
  const chunks = vi.spyOn(ChunkSource.prototype, "chunkOf");
  let spoilt: unknown = null;
  chunks.mockImplementation(function (this: ChunkSource, step) {
    const chunk = chunkOf.call(this, step);
    spoilt ??= this.follower;
    const roomIds = {
      get() {
        throw new Error("broken");
      },
    };
    return spoilt === this.follower ? Object.defineProperties(chunk, { roomIds }) : chunk;
  });
  await bob.send(room, "for everybody");
  for (const { stream } of [broken, whole]) await stream.until(({ payloads }) => payloads.length > 1);
  const [one, other] = [broken, whole].map(({ stream }) => stream.chunks[1]!);
  const [failed, fine] = one!["errors"] === undefined ? [other!, one!] : [one!, other!];
  expect(failed).toMatchObject({ data: null, errors: [{ extensions: { code: "INTERNAL" } }] });
  expect(fine).toMatchObject({ data: { eventStream: { rooms: [{ id: room }] } } });
  chunks.mockRestore();
  await bob.send(room, "and again");
  for (const { stream } of [broken, whole]) {
    await stream.until(({ payloads }) => payloads.length > 2);
    expect(stream.chunks[2]).not.toHaveProperty("errors");
  }
  expect(server.errors.splice(0).length).toBeGreaterThan(0);
  for (const { socket } of [broken, whole]) await socket.close();
});

test("a document that costs too much fails on every chunk, and is never rendered for all", async () => {
  const query = `subscription { eventStream { stream events { id ... on MessageEvent { ${"updatedBy { ".repeat(5)} id ${"}".repeat(5)} } } } }`;
  const { socket, stream } = await follow(query);
  const shared = vi.spyOn(SharedRendering.prototype, "text");
  await bob.send(room, "hello");
  await stream.until(({ payloads }) => payloads.length > 1);
  expect(stream.chunks[0]).toMatchObject({ data: null, errors: [{ extensions: { code: "TOO_COMPLEX" } }] });
  expect(stream.payloads[1]).toBe(stream.payloads[0]);
  expect(shared).not.toHaveBeenCalled();
  await socket.close();
});

test("a server shuts down while much waits for many", async () => {
  const other = await startApp({ mirrors: false });
  const dora = await other.user("dora");
  const home = await dora.createRoom();
  const sockets: RawSocket[] = [];
  for (let count = 0; count < 5; count++) {
    const socket = await RawSocket.open(dora);
    sockets.push(socket);
    for (let index = 0; index < 4; index++) {
      await socket.start(`stream ${index}`, plain).until(({ payloads }) => payloads.length > 0);
    }
    socket.socket.pause();
  }
  const messages = Array.from({ length: 50 }, () => ({ content: { text: { body: "z".repeat(5000) } } }));
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  for (let count = 0; count < 10; count++) await dora.do(batch, { input: { roomId: home, messages } });
  const { stream } = other.app.domain;
  await other.close();
  expect(stream.count()).toBe(0);
  for (const { socket } of sockets) socket.terminate();
});
