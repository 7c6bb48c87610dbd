import { AggregatorRegistry, Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMeter } from "../../src/insight/meter.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { holdAppendLock } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { samplesOf, scrape, valueOf, type Sample } from "./support/metrics.ts";

let server: TestApp;
let alice: Client;
let roomId: string;

beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
  roomId = await alice.createRoom();
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

/** Does something and gives how much each sample grew by it. */
async function grown(work: () => Promise<unknown>): Promise<(name: string, labels?: Record<string, string>) => number> {
  const before = await scrape(server.address);
  await work();
  let after: Sample[] = [];
  // A request counts when its answer is out, which its client may know first.
  await until(async () => {
    const seen = await scrape(server.address);
    const done = valueOf(seen, "hearth_requests_total") === valueOf(after, "hearth_requests_total") + 1;
    after = seen;
    return done;
  });
  return (name, labels) => valueOf(after, name, labels) - valueOf(before, name, labels);
}

/** By the straight way, whatever other tests go. */
async function ask(query: string, token = alice.token, variables = {}): Promise<void> {
  await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
}

const say = `mutation ($roomId: ID!) {
  sendMessage(input: { roomId: $roomId, message: { content: { text: { body: "hello" } } } }) { event { id } }
}`;

test("requests count by what they are and what becomes of them", async () => {
  const by = await grown(async () => {
    await ask("{ viewer { user { id } } }");
    await ask("{ viewer { user { id } } }", "wrong");
    await ask("{ nonsense }");
    await ask(say, alice.token, { roomId });
    await fetch(`${server.address}/_matrix/client/versions`);
    await fetch(`${server.address}/_matrix/client/v3/account/whoami`);
    await fetch(`${server.address}/nowhere`);
  });
  const count = (transport: string, operation: string, outcome: string): number =>
    by("hearth_requests_total", { transport, operation, outcome });
  expect(count("http", "query", "ok")).toBe(1);
  expect(count("http", "mutation", "ok")).toBe(1);
  // A wrong token, and a document that isn't valid.
  expect(count("http", "query", "refused")).toBe(2);
  expect(count("http", "other", "refused")).toBe(1);
  expect(count("rest", "read", "refused")).toBe(1);
  expect(by("hearth_request_duration_seconds_count", { transport: "http", operation: "query" })).toBe(3);
  expect(by("hearth_errors_total", { code: "UNKNOWN_TOKEN" })).toBe(1);
  expect(by("hearth_errors_total", { code: "UNAUTHENTICATED" })).toBe(1);
  expect(by("hearth_errors_total", { code: "BAD_INPUT" })).toBe(1);
  expect(by("hearth_errors_total", { code: "NOT_FOUND" })).toBe(1);
});

test("operations over WebSockets count one by one, and streams while they are open", async () => {
  const by = await grown(async () => {
    const follow = await alice.follow();
    for await (const _result of alice.socket.iterate({ query: "{ viewer { user { id } } }" }));
    await expect(alice.socket.iterate({ query: "{ nonsense }" }).next()).rejects.toBeDefined();
    const open = await scrape(server.address);
    expect(valueOf(open, "hearth_websockets")).toBe(1);
    // Another is the mirror's.
    expect(valueOf(open, "hearth_streams")).toBeGreaterThan(0);
    expect(valueOf(open, "hearth_connections")).toBeGreaterThan(1);
    follow.stop();
  });
  const count = (operation: string, outcome: string): number =>
    by("hearth_requests_total", { transport: "websocket", operation, outcome });
  expect([count("subscription", "ok"), count("query", "ok"), count("query", "refused")]).toEqual([1, 1, 1]);
  expect(by("hearth_request_duration_seconds_count", { transport: "websocket", operation: "subscription" })).toBe(0);
  expect(by("hearth_stream_chunks_total")).toBeGreaterThan(0);
});

test("actions count by their outcome, and batches by what is in them", async () => {
  const by = await grown(async () => {
    const lock = await holdAppendLock(server.databaseUrl);
    const first = alice.send(roomId, "one");
    await until(async () => (await lock.waiting()) === 1);
    const others = Promise.all([alice.send(roomId, "two"), alice.send(roomId, "three")]);
    await until(async () => valueOf(await scrape(server.address), "hearth_append_queue_units") === 2);
    await lock.release();
    await Promise.all([first, others]);
    await alice.code('mutation { joinRoom(input: { target: { roomId: "!none:localhost" } }) { event { id } } }');
  });
  expect(by("hearth_actions_total", { action: "sendMessage", code: "OK" })).toBe(3);
  expect(by("hearth_actions_total", { action: "joinRoom", code: "NOT_FOUND" })).toBe(1);
  expect(by("hearth_append_batch_events_sum")).toBe(3);
  expect(by("hearth_append_batch_events_count")).toBe(2);
  expect(by("hearth_append_batch_units_sum")).toBe(3);
  expect(by("hearth_append_batch_duration_seconds_count")).toBe(2);
  expect(by("hearth_append_wait_seconds_count")).toBe(3);
  expect(by("hearth_stream_events_total")).toBe(3);
  expect(by("hearth_stream_position")).toBeGreaterThanOrEqual(3);
});

test("what the store is asked by shows both pools", async () => {
  const samples = await scrape(server.address);
  expect(valueOf(samples, "hearth_pool_limit", { pool: "reader" })).toBe(6);
  expect(valueOf(samples, "hearth_pool_limit", { pool: "writer" })).toBe(1);
  const connections = valueOf(samples, "hearth_pool_connections", { pool: "reader" });
  expect(connections).toBeGreaterThan(0);
  expect(connections).toBeLessThanOrEqual(6);
  expect(valueOf(samples, "hearth_pool_waiting", { pool: "writer" })).toBe(0);
  expect(valueOf(samples, "hearth_sessions")).toBeGreaterThan(0);
  expect([valueOf(samples, "hearth_ready"), valueOf(samples, "hearth_store_up")]).toEqual([1, 1]);
});

test("nothing that clients choose becomes a label", async () => {
  await ask("query SecretName { viewer { user { id } } }");
  await fetch(`${server.address}/_matrix/client/v3/profile/@secret-name:localhost`);
  await fetch(`${server.address}/graphql`, { method: "SEARCH" });
  const text = await (await fetch(`${server.address}/metrics`)).text();
  expect(text).not.toMatch(/secret|alice|SEARCH|!/i);
  const names = new Set(samplesOf(text).flatMap(({ labels }) => Object.keys(labels)));
  expect([...names].sort()).toEqual([
    ...["action", "code", "le", "operation", "outcome", "pool", "state", "transport", "version"],
  ]);
});

test("figures of several processes are put together, each in its way", async () => {
  const other = await startApp({ databaseUrl: server.databaseUrl, mirrors: false });
  try {
    await until(async () => valueOf(await scrape(other.address), "hearth_stream_lag_positions") === 0);
    const each = await Promise.all([server.app.metricsAsJson(), other.app.metricsAsJson()]);
    // As it comes from another process.
    const sent = JSON.parse(JSON.stringify(each)) as object[];
    const samples = samplesOf(await AggregatorRegistry.aggregate(sent).metrics());
    expect(valueOf(samples, "hearth_pool_limit", { pool: "reader" })).toBe(12);
    expect(valueOf(samples, "hearth_stream_position")).toBe(server.app.domain.head.position);
    expect(valueOf(samples, "hearth_sessions")).toBe(1);
    expect(valueOf(samples, "hearth_ready")).toBe(1);
    expect(samples.filter(({ name }) => name === "hearth_build_info")).toMatchObject([{ value: 1 }]);
  } finally {
    await other.close();
  }
});

test("/metrics answers what stands in the place of the process's own", async () => {
  const own = server.app.metrics;
  server.app.metrics = () => Promise.resolve("of_all 1\n");
  try {
    expect(await (await fetch(`${server.address}/metrics`)).text()).toBe("of_all 1\n");
  } finally {
    server.app.metrics = own;
  }
});

test("counting is cheap", () => {
  const meter = createMeter(new Registry());
  const rounds = 20_000;
  const perRequest = (): number => {
    const begun = performance.now();
    for (let round = 0; round < rounds; round++) {
      meter.request({ transport: "http", operation: "mutation", outcome: "ok", ms: 2 });
      meter.action("sendMessage", "OK");
      meter.appended(1);
    }
    return ((performance.now() - begun) * 1000) / rounds;
  };
  // Of several, since the machine may be at something else.
  const best = Math.min(...Array.from({ length: 5 }, perRequest));
  expect(best, `${best.toFixed(2)} µs`).toBeLessThan(10);
});
