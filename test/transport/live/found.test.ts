/** What random documents and rough clients have found, each in its smallest form. */
import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
import { RawSocket } from "./support/rawSocket.ts";

let server: TestApp;
let alice: Client;
/** Who makes what Alice sees: what her own device made is rendered for it alone. */
let bob: Client;
let room: string;
let socket: RawSocket;
beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
  bob = await server.user("bob");
  room = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
  socket = await RawSocket.open(alice);
});
afterEach(async () => {
  for (const id of socket.operations.keys()) socket.complete(id);
  await until(
    () => server.app.domain.stream.count() === 0,
    () => `${server.app.domain.stream.count()} streams are left`,
  );
  expect(server.errors).toEqual([]);
});
afterAll(() => server.close());

// Both were remembered under the value null.
test("a variable that isn't given has its default, whatever others of the same document gave", async () => {
  const query = 'subscription ($fields: [String!] = ["type"]) { eventStream { events { json(fields: $fields) } } }';
  const whole = socket.start("null", query, { fields: null });
  await whole.until(({ payloads }) => payloads.length > 0);
  const short = socket.start("default", query);
  await short.until(({ payloads }) => payloads.length > 0);
  await bob.send(room, "hello");
  await whole.until(({ payloads }) => payloads.length > 1);
  await short.until(({ payloads }) => payloads.length > 1);
  expect(whole.payloads[1]).toContain("hello");
  expect(short.payloads[1]).toBe('{"data":{"eventStream":{"events":[{"json":{"type":"message:m.room.message"}}]}}}');
});

// It opened a stream, failed, left the stream open and closed the socket.
test("a condition that is null is the client's error, on each chunk", async () => {
  const query = "subscription ($shown: Boolean = true) { eventStream { stream limited @include(if: $shown) } }";
  const follow = socket.start("null condition", query, { shown: null });
  await follow.until(({ payloads }) => payloads.length > 0);
  expect(follow.chunks[0]).toMatchObject({ data: null, errors: [{ extensions: { code: "BAD_INPUT" } }] });
  const ofRoot = "subscription ($shown: Boolean = true) { eventStream @include(if: $shown) { stream } }";
  const none = socket.start("null root", ofRoot, { shown: null });
  await none.until(({ payloads, errors }) => payloads.length > 0 || errors !== null);
  expect(JSON.stringify(none.payloads) + JSON.stringify(none.errors)).toContain("BAD_INPUT");
  expect(socket.closed).toBeNull();
});

// Written out where they are spread, they would have filled the memory.
test("fragments that spread others twice are not written out without end", async () => {
  const fragments = Array.from(
    { length: 40 },
    (_, index) => `fragment F${index} on StreamChunk { ...F${index + 1} ...F${index + 1} }`,
  );
  const query = `subscription { eventStream { ...F0 } } ${fragments.join(" ")} fragment F40 on StreamChunk { limited }`;
  const follow = socket.start("fragments", query);
  await follow.until(({ payloads, errors }) => payloads.length > 0 || errors !== null);
});

// Each waited by a listener of its own on the raw socket, which stayed when its stream had ended.
test("[EVS-13] streams that wait for a stalled client leave nothing on its socket", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  const stalled = await RawSocket.open(alice);
  const { localPort } = (stalled.socket as unknown as { _socket: Socket })._socket;
  const handles = (process as unknown as { _getActiveHandles(): Socket[] })._getActiveHandles();
  const serverSide = handles.find((handle) => handle.remotePort === localPort && handle.localPort !== localPort)!;
  const atRest = serverSide.listenerCount("drain");
  const start = (id: string) => stalled.start(id, "subscription { eventStream { events { content } } }");
  for (let count = 0; count < 15; count++) start(`waiting ${count}`);
  await until(() => server.app.domain.stream.count() === 15);
  stalled.socket.pause();
  const messages = Array.from({ length: 15 }, () => ({ content: { text: { body: "x".repeat(50_000) } } }));
  const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
  for (let count = 0; count < 3; count++) await bob.do(batch, { input: { roomId: room, messages } });
  for (let count = 0; count < 15; count++) stalled.complete(`waiting ${count}`);
  await until(() => server.app.domain.stream.count() === 0);
  expect(serverSide.listenerCount("drain")).toBeLessThanOrEqual(atRest + 1);
  expect(warnings).toEqual([]);
  stalled.socket.terminate();
  process.off("warning", warned);
});

// The one that its id was taken from was forgotten, with its stream open for ever.
test("a stream ends with its socket, though its id was used again before it was open", async () => {
  const twice = await RawSocket.open(alice);
  const query = "subscription { eventStream { limited } }";
  for (let count = 0; count < 3; count++) {
    twice.start("again", query);
    twice.complete("again");
  }
  twice.start("again", query);
  await until(() => twice.operations.get("again")!.payloads.length > 0);
  await twice.close();
  await until(
    () => server.app.domain.stream.count() === 0,
    () => `${server.app.domain.stream.count()} streams are left`,
    3000,
  );
});
