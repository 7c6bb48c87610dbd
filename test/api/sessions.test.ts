import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";
import { RawSocket } from "../transport/live/support/rawSocket.ts";

const timeoutMs = 1000;
let server: TestApp;
beforeAll(async () => {
  server = await startApp({ mirrors: false, countAll: true, config: { sessionTimeoutMs: timeoutMs } });
});
afterAll(() => server.close());

interface Response_ {
  status: number;
  header: string | null;
  body: { data?: Record<string, unknown>; errors?: { extensions: Record<string, unknown> }[]; extensions?: object };
}

const me = "{ viewer { session { id startedAt } } }";

/** One request by the straight way, or by yoga. */
async function ask(
  client: Client,
  query: string,
  options: { yoga?: boolean; sessionId?: string } = {},
): Promise<Response_> {
  const response = await fetch(`${options.yoga ? server.yogaAddress : server.address}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${client.token}`,
      ...(options.sessionId === undefined ? {} : { "x-session-id": options.sessionId }),
    },
    body: JSON.stringify({ query }),
  });
  const header = response.headers.get("x-session-id");
  return { status: response.status, header, body: (await response.json()) as Response_["body"] };
}

/** Everything about the session of a user whom no stream keeps online. */
function isOver({ userId }: Client): Promise<void> {
  return until(() => server.app.domain.sessions.ofUser(userId).length === 0);
}

test.each([{ yoga: false }, { yoga: true }])(
  "[SES-1] [SES-2] a session begins with the first request, whose answer names it, by %o",
  async (way) => {
    const alice = await Client.register(server.address, `alice${way.yoga}`);
    const first = await ask(alice, me, way);
    expect(first.header).toMatch(/^\S{20,}$/);
    expect(first.body.extensions).toEqual({ session: { id: first.header } });
    expect(first.body.data).toMatchObject({ viewer: { session: { id: first.header } } });
    const second = await ask(alice, me, way);
    expect(second.header).toBe(first.header);
    expect(second.body).not.toHaveProperty("extensions");
    const named = await ask(alice, me, { ...way, sessionId: first.header! });
    expect(named.body).toEqual(second.body);
  },
);

test.each([{ yoga: false }, { yoga: true }])(
  "[SES-2] a stale session id is refused before anything runs, and the active one is named, by %o",
  async (way) => {
    const bob = await Client.register(server.address, `bob${way.yoga}`);
    const { header: stale } = await ask(bob, me, way);
    await ask(bob, "mutation { endSession { sessionId } }", way);
    const create = 'mutation { createRoom(input: { name: "never" }) { room { id } } }';
    const refused = await ask(bob, create, { ...way, sessionId: stale! });
    expect(refused.body.data).toBeUndefined();
    expect(refused.body.errors![0]!.extensions).toEqual({ code: "STALE_SESSION", sessionId: refused.header });
    expect(refused.header).not.toBe(stale);
    const rooms = await ask(bob, "{ viewer { rooms { nodes { id } } session { id } } }", {
      ...way,
      sessionId: refused.header!,
    });
    expect(rooms.body).toEqual({ data: { viewer: { rooms: { nodes: [] }, session: { id: refused.header } } } });
    const forged = await ask(bob, me, { ...way, sessionId: "made up" });
    expect(forged.body.errors![0]!.extensions["code"]).toBe("STALE_SESSION");
  },
);

test("[SES-1] startSession gives the active session; endSession ends it", async () => {
  const carol = await Client.register(server.address, "carol");
  const { header } = await ask(carol, me);
  const start = "mutation { startSession(input: { presence: IDLE }) { session { id } } }";
  const started = await ask(carol, start);
  expect(started.body).toEqual({ data: { startSession: { session: { id: header } } } });
  const own = await carol.do<{ viewer: unknown }>("{ viewer { user { presence { state } } } }");
  expect(own.viewer).toEqual({ user: { presence: { state: "IDLE" } } });
  const ended = await ask(carol, "mutation { endSession { sessionId } }");
  expect(ended.body).toEqual({ data: { endSession: { sessionId: header } } });
  await isOver(carol);
  const again = await ask(carol, "mutation { endSession { sessionId } startSession(input: {}) { session { id } } }");
  const { startSession, endSession } = again.body.data as Record<
    string,
    { session: { id: string }; sessionId: string }
  >;
  expect(startSession!.session.id).not.toBe(endSession!.sessionId);
  const presence = await carol.do<{ viewer: unknown }>("{ viewer { user { presence { state } } } }");
  expect(presence.viewer).toEqual({ user: { presence: { state: "OFFLINE" } } });
});

test("[SES-1] a session ends after a time without requests, and lasts while there are some", async () => {
  const dora = await Client.register(server.address, "dora");
  const { header } = await ask(dora, me);
  const begun = Date.now();
  while (Date.now() < begun + 2 * timeoutMs) {
    expect((await ask(dora, me)).header).toBe(header);
    await new Promise((resolve) => setTimeout(resolve, timeoutMs / 4));
  }
  const last = Date.now();
  await isOver(dora);
  expect(Date.now() - last).toBeGreaterThan(timeoutMs / 2);
  expect((await ask(dora, me)).header).not.toBe(header);
});

test("[SES-1] an open subscription is activity, over a WebSocket and as server-sent events", async () => {
  const query = "subscription { eventStream { stream } }";
  const emil = await Client.register(server.address, "emil");
  const socket = await RawSocket.open(emil);
  await socket.start("stream", query).until(({ payloads }) => payloads.length > 0);
  const { header } = await ask(emil, me);
  const fred = await Client.register(server.address, "fred");
  const controller = new AbortController();
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", authorization: `Bearer ${fred.token}` },
    body: JSON.stringify({ query }),
    signal: controller.signal,
  });
  const streamed = response.headers.get("x-session-id");
  expect(streamed).not.toBeNull();
  await new Promise((resolve) => setTimeout(resolve, 2.5 * timeoutMs));
  expect((await ask(emil, me)).header).toBe(header);
  expect((await ask(fred, me)).header).toBe(streamed);
  controller.abort();
  await socket.close();
  await isOver(emil);
  await isOver(fred);
});

test("[SES-2] a WebSocket names its session when it connects, and takes a stale one back with each operation", async () => {
  const gina = await Client.register(server.address, "gina");
  const acknowledged = async (
    payload: object,
  ): Promise<{ socket: WebSocket; ack: Record<string, unknown>; messages: Record<string, unknown>[] }> => {
    const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const messages: Record<string, unknown>[] = [];
    socket.on("message", (data: Buffer) => void messages.push(JSON.parse(data.toString()) as Record<string, unknown>));
    await until(() => socket.readyState === socket.OPEN);
    socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: gina.token, ...payload } }));
    await until(() => messages.length > 0);
    return { socket, ack: messages[0]!, messages };
  };
  const first = await acknowledged({});
  const { header } = await ask(gina, me);
  expect(first.ack).toEqual({ type: "connection_ack", payload: { session: { id: header } } });
  const stale = await acknowledged({ sessionId: "stale" });
  expect(stale.ack).toEqual({ type: "connection_ack", payload: { session: { id: header } } });
  stale.socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: me } }));
  await until(() => stale.messages.length > 1);
  const extensions = { code: "STALE_SESSION", sessionId: header };
  expect(stale.messages[1]).toMatchObject({ id: "1", type: "error", payload: [{ extensions }] });
  const right = await acknowledged({ sessionId: header });
  right.socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: me } }));
  await until(() => right.messages.length > 1);
  expect(right.messages[1]).toMatchObject({ type: "next", payload: { data: { viewer: { session: { id: header } } } } });
  for (const { socket } of [first, stale, right]) socket.terminate();
});

test("[SES-1] many first requests at once begin one session", async () => {
  const hans = await Client.register(server.address, "hans");
  const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => ask(hans, me, { yoga: index % 2 === 0 })));
  expect(new Set(answers.map(({ header }) => header)).size).toBe(1);
  expect(server.app.domain.sessions.ofUser(hans.userId)).toHaveLength(1);
});

test("[SES-3] a session ends with its access token", async () => {
  const ines = await Client.register(server.address, "ines");
  await ask(ines, me);
  await ines.do("mutation { logout { deviceId } }");
  await isOver(ines);
  const answer = await ask(ines, me);
  expect(answer.header).toBeNull();
});

test("requests without a token belong to no session", async () => {
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-session-id": "anything" },
    body: JSON.stringify({ query: "{ server { name } viewer { session { id } } }" }),
  });
  expect(response.headers.get("x-session-id")).toBeNull();
  expect(await response.json()).toEqual({ data: { server: { name: "localhost" }, viewer: null } });
});

test("[SES-1] requests within a session cost no statement for it", async () => {
  const jana = await Client.register(server.address, "jana");
  await ask(jana, "{ server { name } }");
  await until(async () => {
    const before = server.database.statements();
    await ask(jana, "{ server { name } }");
    return server.database.statements() === before;
  });
});
