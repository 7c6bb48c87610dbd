import { request, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";

const query =
  "subscription ($stream: StreamToken) { eventStream(stream: $stream) { events { id content } limited stream } }";

let server: TestApp;
let alice: Client;
let bob: Client;
let room: string;
beforeAll(async () => {
  server = await startApp({ config: { streamBacklog: 20, streamReplay: 20 } });
  alice = await server.user("alice");
  bob = await server.user("bob");
  room = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

interface Streaming {
  response: IncomingMessage;
  /** All that came so far. */
  text(): string;
}

/** Asks for a stream of events, and reads it unless it is paused. */
function ask(token: string | null, variables: object = {}, document = query): Promise<Streaming> {
  const body = JSON.stringify({ query: document, variables });
  return new Promise((resolve, reject) => {
    const asked = request(`${server.address}/graphql`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
        Accept: "text/event-stream",
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      },
    });
    asked.on("error", reject);
    asked.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("error", () => undefined);
      resolve({ response, text: () => text });
    });
    asked.end(body);
  });
}

const batch = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";

test("[EVS-1] payloads are those of the WebSocket, one event of the stream each", async () => {
  const { response, text } = await ask(bob.token);
  expect(response.statusCode).toBe(200);
  expect(response.headers["content-type"]).toBe("text/event-stream");
  await until(() => text().includes("data:"));
  const sent = await alice.send(room, "one\nline");
  await until(() => text().includes(sent));
  const [ping, live, news] = text().split("\n\n");
  expect(ping).toBe(":");
  for (const event of [live, news]) expect(event).toMatch(/^event: next\ndata: [^\n]*$/);
  const payload = JSON.parse(news!.slice(news!.indexOf("{"))) as object;
  expect(payload).toMatchObject({ data: { eventStream: { events: [{ id: sent, content: { body: "one\nline" } }] } } });
  response.destroy();
});

test("[ACC-2] a revoked token is told before the stream ends, and nothing comes after it", async () => {
  const carol = await server.user("carol");
  await carol.join(room);
  const { response, text } = await ask(carol.token);
  await until(() => text().includes("data:"));
  await carol.do("mutation { logout { __typename } }");
  await alice.send(room, "unheard");
  await until(() => response.complete);
  expect(text()).toContain('"code":"UNKNOWN_TOKEN"');
  expect(text()).not.toContain("unheard");
  expect(text().endsWith("event: complete\ndata:\n\n")).toBe(true);
});

test("[EVS-13] a client that takes nothing for a while holds little, and goes on after a limited chunk", async () => {
  const { response, text } = await ask(bob.token);
  await until(() => text().includes("data:"));
  response.pause();
  const messages = Array.from({ length: 15 }, () => ({ content: { text: { body: "x".repeat(50_000) } } }));
  for (let count = 0; count < 25; count++) await alice.do(batch, { input: { roomId: room, messages } });
  const last = await alice.send(room, "last");
  response.resume();
  await until(() => text().includes('"limited":true'));
  const live = await alice.send(room, "live");
  await until(() => text().includes(live));
  expect(text()).not.toContain(last);
  response.destroy();
});

test("[EVS-13] streams of clients that vanish are let go of, also while nothing fits any more", async () => {
  const { stream } = server.app.domain;
  // The mirrors' alone, once the last test's has gone.
  await until(() => stream.count() === 3);
  const silent = await ask(bob.token);
  const stalled = await ask(bob.token);
  await until(() => silent.text().includes("data:") && stalled.text().includes("data:"));
  expect(stream.count()).toBe(5);
  stalled.response.pause();
  const messages = Array.from({ length: 15 }, () => ({ content: { text: { body: "x".repeat(50_000) } } }));
  for (let count = 0; count < 25; count++) await alice.do(batch, { input: { roomId: room, messages } });
  silent.response.destroy();
  stalled.response.destroy();
  await until(() => stream.count() === 3);
});

test("[STR-2] a stream that can't be opened says why and is complete", async () => {
  const { response, text } = await ask(bob.token, { stream: "s1.nonsense" });
  await until(() => response.complete);
  expect(response.statusCode).toBe(200);
  expect(text()).toContain('"code":"BAD_TOKEN"');
  expect(text().endsWith("event: complete\ndata:\n\n")).toBe(true);
});

test("other operations and requests that are refused come as events all the same", async () => {
  for (const [token, document, expected] of [
    [bob.token, "{ viewer { user { id } } }", bob.userId],
    [bob.token, "subscription { nothing }", '"code":"BAD_INPUT"'],
    ["hearth_nobody", query, '"code":"UNKNOWN_TOKEN"'],
    [null, query, '"code":"UNAUTHENTICATED"'],
  ] as const) {
    const { response, text } = await ask(token, {}, document);
    await until(() => response.complete);
    expect(text()).toContain(expected);
    expect(text()).toContain("event: complete");
  }
});

test("[EVS] a server that stops completes its streams", async () => {
  const stopping = await startApp();
  const dora = await stopping.user("dora");
  const before = server;
  server = stopping;
  const { response, text } = await ask(dora.token);
  server = before;
  await until(() => text().includes("data:"));
  await stopping.close();
  await until(() => response.complete);
  expect(text().endsWith("event: complete\ndata:\n\n")).toBe(true);
});
