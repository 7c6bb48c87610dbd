import { afterAll, beforeAll, expect, test } from "vitest";
import { scrape, valueOf } from "../insight/support/metrics.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { holdAppendLock } from "../kit/database.ts";
import { until } from "../kit/until.ts";

const maxOperations = 4;
const send = `mutation ($room: ID!, $body: String!) {
  sendMessage(input: { roomId: $room, message: { content: { text: { body: $body } } } }) { event { id } } }`;

let server: TestApp;
let alice: Client;
let room: string;
beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { maxOperations } });
  alice = await server.user("alice");
  room = await alice.createRoom({});
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const authorization = () => ({ authorization: `Bearer ${alice.token}` });

function ask(query: string, variables: object = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...authorization() };
  return fetch(`${server.address}/graphql`, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
}

const rest = (path: string): Promise<Response> => fetch(server.address + path, { headers: authorization() });

test("past the bound callers are told at once that the server is busy, in every way, and nothing of theirs is kept", async () => {
  // What waits on purpose takes nobody's room.
  const follow = await alice.follow();
  const { next_batch: since } = (await (await rest("/_matrix/client/v3/sync")).json()) as { next_batch: string };
  const polls = Array.from({ length: maxOperations }, () =>
    rest(`/_matrix/client/v3/sync?timeout=60000&since=${since}`),
  );
  await until(() => server.app.domain.stream.count() >= 2);

  const lock = await holdAppendLock(server.databaseUrl);
  const sent = Array.from({ length: maxOperations }, (_, number) => ask(send, { room, body: `message ${number}` }));
  await until(async () => (await ask("{ server { name } }")).status === 503);

  const begun = performance.now();
  const refused = await ask(send, { room, body: "too much" });
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(refused.headers.get("connection")).not.toBe("close");
  const extensions = { code: "OVERLOADED", retryAfterMs: 1000 };
  expect(await refused.json()).toEqual({ errors: [{ message: "The server is busy: try again.", extensions }] });
  const called = await rest("/_matrix/client/v3/account/whoami");
  expect(called.status).toBe(503);
  expect(await called.json()).toMatchObject({ errcode: "M_UNKNOWN", code: "OVERLOADED", retry_after_ms: 1000 });
  const overSocket = await new Promise((resolve) =>
    alice.socket.subscribe(
      { query: "{ server { name } }" },
      { next: resolve, error: resolve, complete: () => undefined },
    ),
  );
  expect(overSocket).toMatchObject([{ extensions }]);
  expect((await rest("/health")).status).toBe(200);
  // Before a page may read that the server is busy, its browser asks whether it may.
  expect((await fetch(`${server.address}/_matrix/client/versions`, { method: "OPTIONS" })).status).not.toBe(503);
  // Who looks after the server sees it, by each way.
  const samples = await scrape(server.address);
  for (const transport of ["http", "rest", "websocket"])
    expect(valueOf(samples, "hearth_requests_total", { transport, outcome: "failed" })).toBeGreaterThan(0);
  expect(valueOf(samples, "hearth_errors_total", { code: "OVERLOADED" })).toBeGreaterThan(2);
  expect(performance.now() - begun).toBeLessThan(2000);

  await lock.release();
  for (const each of sent) expect((await each).status).toBe(200);
  await follow.until(({ events }) => events.length >= maxOperations);
  expect((await Promise.all(polls)).map(({ status }) => status)).toEqual(polls.map(() => 200));
  expect((await ask("{ server { name } }")).status).toBe(200);
  const bodies = follow.events.map(({ content }) => String(content?.["body"]));
  expect(bodies.sort()).toEqual(sent.map((_, number) => `message ${number}`));
});
