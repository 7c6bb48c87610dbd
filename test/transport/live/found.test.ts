/** What random documents and rough clients have found, each in its smallest form. */
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
