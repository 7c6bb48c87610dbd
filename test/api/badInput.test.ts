import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { errorCodes } from "../../src/model/errors.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
});
afterAll(async () => {
  await server.close();
});

interface Reply {
  status: number;
  code: string;
  message: string;
}

async function post(body: string, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${alice.token}`, ...headers },
    body,
  });
  const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
  return { status: response.status, code: errors[0]!.extensions.code, message: errors[0]!.message };
}

const query = (text: string, variables: object = {}): string => JSON.stringify({ query: text, variables });

test.each<[string, string, string]>([
  ["malformed JSON", "{bad", "BAD_INPUT"],
  ["JSON that is no object", "[1]", "BAD_INPUT"],
  ["an empty body", "", "BAD_INPUT"],
  ["no query", "{}", "BAD_INPUT"],
  ["malformed GraphQL", query("{ viewer {"), "BAD_INPUT"],
  ["an unknown field", query("{ viewer { nope } }"), "BAD_INPUT"],
  ["an unknown field in input", query('mutation { createRoom(input: { nme: "x" }) { actionId } }'), "BAD_INPUT"],
  [
    "an unknown field in variables",
    query("mutation ($input: CreateRoomInput!) { createRoom(input: $input) { actionId } }", { input: { nme: 1 } }),
    "BAD_INPUT",
  ],
  ["a wrong type", query("mutation { createRoom(input: { name: 5 }) { actionId } }"), "BAD_INPUT"],
  [
    "a oneOf with two members",
    query('mutation { joinRoom(input: { target: { roomId: "!a:b", alias: "#a:b" } }) { actionId } }'),
    "BAD_INPUT",
  ],
  ["a room id that is none", query('mutation { leaveRoom(input: { roomId: "nonsense" }) { roomId } }'), "BAD_INPUT"],
  [
    "a user id that is none",
    query('mutation { kickUser(input: { roomId: "!a:b", userId: "nonsense" }) { actionId } }'),
    "BAD_INPUT",
  ],
  [
    "an event id that is none",
    query('mutation { redactEvent(input: { eventId: "nonsense" }) { actionId } }'),
    "BAD_INPUT",
  ],
  [
    "an overlong id",
    query(`mutation { leaveRoom(input: { roomId: "!${"x".repeat(255)}:b" }) { roomId } }`),
    "BAD_INPUT",
  ],
  ["an empty action id", query('mutation { createRoom(input: { actionId: "" }) { actionId } }'), "BAD_INPUT"],
  ["a limit below 0", query("{ viewer { rooms(first: -1) { totalCount } } }"), "BAD_INPUT"],
  ["a limit above the maximum", query("{ viewer { rooms(first: 501) { totalCount } } }"), "BAD_INPUT"],
  ["a chunk token that is none", query('{ viewer { rooms(after: "nonsense") { totalCount } } }'), "BAD_TOKEN"],
  ["a document of too many tokens", query(`{ ${"viewer { admin } ".repeat(300)} }`), "TOO_COMPLEX"],
  [
    "a document that nests too deep",
    query(`{ viewer { rooms { nodes { ${"members { nodes { room { ".repeat(8)} id ${"} } }".repeat(8)} } } } }`),
    "TOO_COMPLEX",
  ],
  ["2,500 nested lists", query(`{ node(id: ${"[".repeat(2500)}) { id } }`), "TOO_COMPLEX"],
  [
    "a document that costs too much",
    query("{ viewer { rooms(first: 500) { nodes { members(first: 500) { nodes { id } } } } } }"),
    "TOO_COMPLEX",
  ],
  [
    "more nodes than are allowed",
    query("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids: Array.from({ length: 101 }, () => "@a:b") }),
    "BAD_INPUT",
  ],
  [
    "content nested too deep",
    query(
      'mutation ($content: JSONObject!) { createRoom(input: { state: [{ type: "x", content: $content }] }) { actionId } }',
      { content: JSON.parse(`${'{"a":'.repeat(70)}1${"}".repeat(70)}`) as object },
    ),
    "BAD_INPUT",
  ],
])("%s", async (_name, body, code) => {
  const reply = await post(body);
  expect(reply.code).toBe(code);
  expect(errorCodes).toContain(reply.code);
  expect(reply.message).not.toMatch(/prisma|select|node_modules|\.ts\b/i);
});

test("NUL and numbers that GraphQL can't show come to no harm anywhere", async () => {
  const room = await alice.createRoom();
  const member = `member_${Buffer.from(JSON.stringify([room, "@a\0:localhost"])).toString("base64url")}`;
  const documents: [string, object, string | null][] = [
    [
      "query ($room: ID!, $odd: ID!) { room(id: $room) { member(userId: $odd) { id } } }",
      { room, odd: "@a\0:localhost" },
      null,
    ],
    [
      "query ($room: ID!, $odd: String!) { room(id: $room) { members(search: $odd) { totalCount } } }",
      { room, odd: "a\0" },
      null,
    ],
    [
      "query ($room: ID!, $odd: String!) { room(id: $room) { stateEvent(type: $odd) { id } } }",
      { room, odd: "a\0" },
      "BAD_INPUT",
    ],
    [
      "query ($room: ID!, $odd: String!) { room(id: $room) { state(types: [$odd]) { totalCount } } }",
      { room, odd: "a\0" },
      "BAD_INPUT",
    ],
    ["query ($odd: ID!) { node(id: $odd) { id } }", { odd: member }, null],
    ["query ($odd: ID!) { roomAlias(alias: $odd) { roomId } }", { odd: "#a\0:localhost" }, "BAD_INPUT"],
    ["query ($odd: String!) { streamToken(rooms: [$odd]) }", { odd: "!a\0:localhost" }, "BAD_INPUT"],
    [
      'mutation ($room: ID!, $content: JSONObject!) { setState(input: { roomId: $room, type: "m.room.power_levels", content: $content }) { actionId } }',
      { room, content: { users: { [alice.userId]: 100 }, kick: 2 ** 40 } },
      "BAD_INPUT",
    ],
    [
      'mutation ($odd: String!) { login(input: { username: "alice", password: "correct horse battery", deviceId: "d", deviceName: $odd }) { accessToken } }',
      { odd: "a\0" },
      "BAD_INPUT",
    ],
    [
      "mutation ($room: ID!, $content: JSONObject!) { sendMessage(input: { roomId: $room, message: { content: { custom: $content } } }) { event { typed { ... on MediaContent { size } } } } }",
      { room, content: { msgtype: "m.file", body: "b", url: "mxc://a/b", info: { size: 2 ** 40 } } },
      null,
    ],
  ];
  for (const [document, variables, code] of documents) {
    expect({ document, code: await alice.code(document, variables as Record<string, unknown>) }).toEqual({
      document,
      code,
    });
  }
  expect(server.errors).toEqual([]);
});

test("[SCR-1] contradictory paging is BAD_INPUT that names the argument", async () => {
  const room = await alice.createRoom();
  const answer = await alice.ask(
    "query ($room: ID!) { scrollback(roomId: $room, first: 1, last: 1) { incremental events { nodes { id } } } }",
    { room },
  );
  expect(answer.errors![0]!.extensions).toEqual({ code: "BAD_INPUT", field: "last" });
});

test("[STR-4] a chunk token of another room is BAD_TOKEN", async () => {
  const [one, two] = [await alice.createRoom(), await alice.createRoom()];
  const page =
    "query ($room: ID!, $before: ChunkToken) { scrollback(roomId: $room, before: $before) { events { pageInfo { endCursor } } } }";
  const { scrollback } = await alice.do<{ scrollback: { events: { pageInfo: { endCursor: string } } } }>(page, {
    room: one,
  });
  expect(await alice.code(page, { room: two, before: scrollback.events.pageInfo.endCursor })).toBe("BAD_TOKEN");
});

test("an oversize body is TOO_LARGE before it is read", async () => {
  expect(await post(query("x".repeat(1_100_000)))).toMatchObject({ status: 413, code: "TOO_LARGE" });
});

test("forms and other types of body are refused", async () => {
  expect(
    await post("query=%7Bviewer%7Bid%7D%7D", { "content-type": "application/x-www-form-urlencoded" }),
  ).toMatchObject({ status: 415, code: "BAD_INPUT" });
  expect(await post("{ viewer { admin } }", { "content-type": "text/plain" })).toMatchObject({ status: 415 });
});

test("on loopback, pages from elsewhere and foreign host names are refused, over HTTP and WebSocket", async () => {
  expect(await post(query("{ viewer { admin } }"), { origin: "https://evil.example" })).toMatchObject({
    status: 403,
    code: "FORBIDDEN",
  });
  const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    origin: "https://evil.example",
  });
  const failed = await new Promise<string>((resolve) => socket.on("error", (error) => resolve(error.message)));
  expect(failed).toContain("403");
  const port = Number(new URL(server.address).port);
  const raw = await new Promise<string>((resolve) => {
    const plain = connect(port, "127.0.0.1", () => plain.write("GET /graphql HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
    plain.once("data", (data) => resolve(data.toString()));
  });
  expect(raw).toContain("403");
});

test("a WebSocket message that is too large, or no protocol, ends that socket alone", async () => {
  const open = (): Promise<WebSocket> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
      socket.on("open", () => resolve(socket));
    });
  const closed = (socket: WebSocket): Promise<number> => new Promise((resolve) => socket.on("close", resolve));
  const large = await open();
  large.send("x".repeat(300_000));
  expect(await closed(large)).toBe(1009);
  const odd = await open();
  odd.send("{bad");
  expect(await closed(odd)).toBe(4400);
  expect(await alice.code("{ viewer { admin } }")).toBeNull();
});

test("an upgrade at a malformed address ends that socket alone", async () => {
  const port = Number(new URL(server.address).port);
  const head = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const answer = await new Promise<string>((resolve) => {
    const plain = connect(port, "127.0.0.1", () => plain.write(`GET // HTTP/1.1\r\n${head}`));
    plain.once("data", (data) => resolve(data.toString()));
  });
  expect(answer).toContain("404");
  expect(await alice.code("{ viewer { admin } }")).toBeNull();
});

test("[SES-2] a WebSocket with a token that doesn't hold is refused", async () => {
  const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  socket.on("open", () =>
    socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: "Bearer hearth_nonsense" } })),
  );
  expect(await new Promise((resolve) => socket.on("close", resolve))).toBe(4403);
});

test("internals are masked, logged with the request's id, and the server goes on", async () => {
  const room = await alice.createRoom();
  await sql(server.databaseUrl, "ALTER TABLE event RENAME TO hidden_event");
  const answer = await alice.ask(
    "query ($room: ID!) { scrollback(roomId: $room) { incremental events { nodes { id } } } }",
    { room },
  );
  await sql(server.databaseUrl, "ALTER TABLE hidden_event RENAME TO event");
  const error = answer.errors![0]!;
  expect(error.extensions!["code"]).toBe("INTERNAL");
  expect(JSON.stringify(answer)).not.toContain('event\\"');
  expect(error.message).toBe("Something went wrong on the server.");
  await until(() => server.errors.length > 0);
  expect(server.errors[0]!.fields).toMatchObject({ requestId: error.extensions!["requestId"] });
  expect(await alice.code("{ viewer { admin } }")).toBeNull();
});

test("nothing was stored by any of it", async () => {
  const [row] = await sql<{ count: number }>(
    server.databaseUrl,
    "SELECT count(*)::integer AS count FROM event WHERE type NOT LIKE 'm.room.%'",
  );
  expect(row!.count).toBe(0);
});
