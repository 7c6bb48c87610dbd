import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { holdAppendLock } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startCollector, type CollectedSpan, type Collector } from "./support/collector.ts";
import { keepLog } from "./support/keptLog.ts";

const kept = keepLog("debug");
let collector: Collector;
let server: TestApp;
let alice: Client;
let roomId: string;

beforeAll(async () => {
  collector = await startCollector();
  server = await startApp({
    log: kept.log,
    mirrors: false,
    config: { logLevel: "debug", traces: { endpoint: `${collector.url}/`, sample: 0 } },
  });
  alice = await Client.register(server.address, "alice");
  roomId = await alice.createRoom();
});

afterAll(async () => {
  await server.close();
  await collector.close();
});

const traceId = (number: number): string => `${number}`.padStart(32, "0");
const client = "00f067aa0ba902b7";

/** By the straight way, within a trace that the client has begun. */
async function ask(
  number: number,
  query: string,
  variables: object = {},
  { sampled = true, at = server.address } = {},
) {
  const response = await fetch(`${at}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${alice.token}`,
      traceparent: `00-${traceId(number)}-${client}-${sampled ? "01" : "00"}`,
    },
    body: JSON.stringify({ query, variables }),
  });
  return { ...((await response.json()) as object), requestId: response.headers.get("x-request-id") };
}

const say = `mutation ($roomId: ID!, $body: String!) {
  sendMessage(input: { roomId: $roomId, message: { content: { text: { body: $body } } } }) { event { id } }
}`;

/** The spans of a trace, once the request's own is there, which ends last. */
async function traced(number: number): Promise<CollectedSpan[]> {
  const all = (): CollectedSpan[] => collector.spans.filter((span) => span.traceId === traceId(number));
  await until(() => all().some(({ parentSpanId }) => parentSpanId === client));
  return all();
}

const attributesOf = ({ attributes }: CollectedSpan) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? value.boolValue]));

/** Names of the spans above one, from the request's down. */
function path(spans: CollectedSpan[], name: string): string[] {
  const names: string[] = [];
  for (let span = spans.find((each) => each.name === name); span !== undefined;) {
    names.unshift(span.name);
    const { parentSpanId }: CollectedSpan = span;
    span = spans.find(({ spanId }) => spanId === parentSpanId);
  }
  return names;
}

test("a send shows from the request to the batch, within the trace of its client", async () => {
  const { requestId } = await ask(1, say, { roomId, body: "private words" });
  const spans = await traced(1);
  const way = ["http mutation", "execute mutation", "sendMessage", "append", "append batch"];
  expect(path(spans, "append batch")).toEqual(way);
  const request = spans.find(({ name }) => name === "http mutation")!;
  expect(request.parentSpanId).toBe(client);
  expect(attributesOf(request)).toEqual({
    ...{ "hearth.request_id": requestId, "hearth.code": "OK", "hearth.outcome": "ok" },
    ...{ "http.request.method": "POST", "url.path": "/graphql", "http.response.status_code": 200 },
  });
  const line = kept.lines().find((each) => each["requestId"] === requestId);
  expect(line).toMatchObject({ msg: "a request was answered", traceId: traceId(1) });
});

test("a batch is linked to all whose work it does", async () => {
  const lock = await holdAppendLock(server.databaseUrl);
  const first = ask(10, say, { roomId, body: "alone" });
  await until(async () => (await lock.waiting()) === 1);
  const others = [ask(11, say, { roomId, body: "b" }), ask(12, say, { roomId, body: "c" })];
  await until(() => server.app.domain.tools.writer.waiting() === 2);
  await lock.release();
  await Promise.all([first, ...others]);
  const both = [await traced(11), await traced(12)];
  const batches = both.flat().filter(({ name }) => name === "append batch");
  expect(batches).toHaveLength(1);
  const [own, other] = both[0]!.includes(batches[0]!) ? both : [both[1]!, both[0]!];
  const append = (spans: CollectedSpan[]) => spans.find(({ name }) => name === "append")!;
  expect(batches[0]!.parentSpanId).toBe(append(own!).spanId);
  expect(batches[0]!.links).toMatchObject([{ traceId: other![0]!.traceId, spanId: append(other!).spanId }]);
  expect(attributesOf(batches[0]!)).toEqual({ units: 2 });
});

test("what fails is marked, without a word of what was said", async () => {
  await ask(20, `mutation { joinRoom(input: { target: { roomId: "!nowhere:localhost" } }) { event { id } } }`);
  const spans = await traced(20);
  const action = spans.find(({ name }) => name === "joinRoom")!;
  expect(action.status).toMatchObject({ code: 2 });
  expect(attributesOf(action)).toEqual({ "error.type": "NOT_FOUND" });
  const refused = spans.find(({ name }) => name === "http mutation")!;
  expect(attributesOf(refused)).toMatchObject({ "hearth.code": "NOT_FOUND", "hearth.outcome": "refused" });
});

test("REST and WebSockets are traced as well", async () => {
  const headers = { traceparent: `00-${traceId(30)}-${client}-01` };
  await fetch(`${server.address}/_matrix/client/v3/joined_rooms?access_token=${alice.token}`, { headers });
  const [rest] = await traced(30);
  expect(attributesOf(rest!)).toMatchObject({ "url.path": "/_matrix/client/v3/joined_rooms" });
  const extensions = { headers: { traceparent: `00-${traceId(31)}-${client}-01` } };
  for await (const _result of alice.socket.iterate({ query: "{ viewer { user { id } } }", extensions }));
  await alice.close();
  expect((await traced(31)).map(({ name }) => name).sort()).toEqual(["execute query", "websocket query"]);
});

test("what isn't sampled, or names no trace, isn't recorded, and no secret is in what is", async () => {
  const before = collector.spans.length;
  await ask(40, "{ viewer { user { id } } }", {}, { sampled: false });
  for (const traceparent of ["nonsense", `00-${"0".repeat(32)}-${client}-01`, `ff-${traceId(41)}-${client}-01`]) {
    await fetch(`${server.address}/_matrix/client/versions`, { headers: { traceparent } });
  }
  // Comes after them, and is sent after them.
  await ask(
    42,
    `mutation { login(input: { username: "alice", password: "secret words", deviceId: "x" }) { accessToken } }`,
  );
  await traced(42);
  expect(new Set(collector.spans.slice(before).map((span) => span.traceId))).toEqual(new Set([traceId(42)]));
  for (const secret of [alice.token!, "private words", "secret words", "correct horse", "nonsense"]) {
    expect(collector.text()).not.toContain(secret);
  }
});

test("a part of the requests is traced by itself", async () => {
  const own = await startCollector();
  const all = await startApp({ mirrors: false, config: { traces: { endpoint: own.url, sample: 1 } } });
  try {
    await fetch(`${all.address}/_matrix/client/versions`);
    await until(() => own.spans.some(({ name }) => name === "rest read"));
  } finally {
    await all.close();
    await own.close();
  }
});

test.each(["refuse", "nothing"] as const)("a collector that does %s harms nobody", async (does) => {
  const own = await startCollector();
  own.does = does;
  const { log, lines } = keepLog("info");
  const app = await startApp({ mirrors: false, log, config: { traces: { endpoint: own.url, sample: 1 } } });
  const bob = await Client.register(app.address, "bob");
  const room = await bob.createRoom();
  await until(() => own.asked > 0);
  await Promise.all(Array.from({ length: 20 }, (_, number) => bob.send(room, `${number}`)));
  if (does === "refuse") await until(() => lines().some(({ msg }) => msg === "the collector takes no traces"));
  const begun = performance.now();
  await app.close();
  // A second for the collector, and what closing takes anyway.
  expect(performance.now() - begun).toBeLessThan(3000);
  expect(lines().filter(({ level }) => level >= 40 && does === "nothing")).toEqual([]);
  await own.close();
});
