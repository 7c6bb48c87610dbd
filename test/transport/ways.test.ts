import { request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Log } from "../../src/model/ports.ts";
import { corsHeaders } from "../../src/transport/cors.ts";
import type { GraphQL } from "../../src/transport/graphql.ts";
import { addressReader } from "../../src/transport/address.ts";
import { Load } from "../../src/transport/load.ts";
import { createHttpServer } from "../../src/transport/http.ts";
import { createLive } from "../../src/transport/live/live.ts";
import { createLean } from "../../src/transport/lean.ts";
import { createOperations } from "../../src/transport/operations.ts";
import { answeringCalls } from "../../src/transport/rest/calls.ts";
import { createRest } from "../../src/transport/rest/rest.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
let room: string;

beforeAll(async () => {
  server = await startApp({
    mirrors: false,
    config: { allowedOrigins: ["https://one.example", "https://two.example"] },
  });
  alice = await server.user("alice");
  room = await alice.createRoom({ name: "Both ways" });
  const messages = Array.from({ length: 100 }, (_, n) => ({ content: { text: { body: `${n}` } } }));
  await alice.do("mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }", {
    input: { roomId: room, messages },
  });
});

afterAll(() => server.close());

interface Sent {
  method?: string;
  path?: string;
  /** Null takes a header away that is sent otherwise. */
  headers?: Record<string, string | string[] | null>;
  body?: string | Buffer | null;
}

interface Received {
  status: string;
  /** All but those that differ from one request to the next, in alphabetical order. */
  headers: string[];
  body: string;
}

function send(address: string, { method = "POST", path = "/graphql", headers = {}, body = null }: Sent) {
  const usual = {
    "content-type": "application/json",
    ...(body === null ? {} : { "content-length": String(Buffer.byteLength(body)) }),
  };
  const all = Object.entries({ ...usual, ...headers }).filter(([, value]) => value !== null);
  return new Promise<Received>((resolve, reject) => {
    const sent = request(`${address}${path}`, { method, headers: Object.fromEntries(all) as never }, (response) => {
      const pieces: Buffer[] = [];
      response.on("error", reject).on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () => {
        const named = response.rawHeaders.flatMap((name, index, raw) =>
          index % 2 === 0 ? [`${name.toLowerCase()}: ${raw[index + 1]}`] : [],
        );
        resolve({
          status: `${response.statusCode} ${response.statusMessage}`,
          headers: named.filter((header) => !/^(date|x-request-id|x-yoga-id):/.test(header)).sort(),
          body: Buffer.concat(pieces).toString("latin1"),
        });
      });
    });
    sent.on("error", reject).end(body ?? undefined);
  });
}

/** A body of JSON. */
function json(value: unknown): Sent {
  return { body: JSON.stringify(value) };
}

function query(text: string, more: Record<string, unknown> = {}): Sent {
  return json({ query: text, ...more });
}

const name = "{ server { name } }";
const [one, two] = ["query One { server { name } }", "query Two { server { version } }"];
const nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
const stream = "subscription { eventStream { stream } }";

const anonymous: Record<string, Sent> = {
  "a query": query(name),
  "a query beside whitespace and other keys that are null": {
    body: ` \n{"id":null,"query":${JSON.stringify(name)},"variables":null,"operationName":null,"extensions":null} `,
  },
  "text beyond ASCII": query('{ server { name } room: node(id: "é😀") { id } }'),
  "an operation of several": query(`${one} ${two}`, { operationName: "Two" }),
  "a name that no operation has": query(`${one} ${two}`, { operationName: "Three" }),
  "no name for several operations": query(`${one} ${two}`),
  "an empty name": query(one, { operationName: "" }),
  "a name that is a number": query(one, { operationName: 1 }),
  "a name that is an object": query(one, { operationName: {} }),
  "fragments alone": query("fragment F on Server { name }"),
  variables: query(nodes, { variables: { ids: [] } }),
  "variables that nothing takes": query(name, { variables: { more: 1 } }),
  "a variable too few": query(nodes),
  "a variable that is null": query(nodes, { variables: { ids: null } }),
  "a variable of another type": query(nodes, { variables: { ids: [{ a: 1 }] } }),
  "a variable named __proto__": { body: `{"query":"${nodes}","variables":{"__proto__":{"ids":[]}}}` },
  "variables that are text": query(nodes, { variables: '{"ids":[]}' }),
  "variables that are a list": query(nodes, { variables: [1] }),
  "variables that are a number": query(nodes, { variables: 0 }),
  extensions: query(name, { extensions: { persistedQuery: { version: 1, sha256Hash: "00" } } }),
  "extensions that are text": query(name, { extensions: "no" }),
  "extensions that are a list": query(name, { extensions: [] }),
  "another parameter": query(name, { id: "x" }),
  "a parameter named __proto__": { body: `{"query":"${name}","__proto__":{"a":1}}` },
  "no query": json({ variables: {} }),
  "a query that is null": json({ query: null }),
  "a query that is empty": json({ query: "" }),
  "a query that is a number": json({ query: 5 }),
  "a query that is a list": json({ query: [name] }),
  "a syntax error": query("{ server {"),
  "a field that isn't there": query("{ server { nam } }"),
  "too many tokens": query(`{ ${"a ".repeat(1001)} }`),
  "2,500 nested lists": query(`{ node(id: ${"[".repeat(2500)}) { id } }`),
  "what costs too much": query("{ viewer { rooms(first: 500) { nodes { members(first: 500) { nodes { id } } } } } }"),
  "what needs a token": query("{ viewer { user { id } } }"),
  "a part that needs a token beside one that doesn't": query(`{ server { name } node(id: "$x") { id } }`),
  "a refused mutation": query('mutation { createRoom(input: { name: "x" }) { room { id } } }'),
  "malformed JSON": { body: "{" },
  "no JSON": { body: "query=1" },
  nothing: { body: "" },
  "no body": { body: null, headers: { "content-length": "0" } },
  null: { body: "null" },
  "a number": { body: "1" },
  "text in JSON": { body: '"query"' },
  "a batch": json([{ query: name }, { query: name }]),
  "an empty batch": json([]),
  "a byte order mark": { body: `\uFEFF{"query":"${name}"}` },
  "invalid UTF-8": {
    body: Buffer.concat([
      Buffer.from('{"query":"{ node(id: \\"'),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('\\") { id } }"}'),
    ]),
  },
  "invalid UTF-8 that is all of it": { body: Buffer.from([0xff, 0xfe, 0x00]) },
  "a lone surrogate": { body: '{"query":"{ node(id: \\"\\\\ud800\\") { id } }"}' },
  "a compressed body": { ...query(name), headers: { "content-encoding": "gzip" } },
  "a large body": { body: `{"query":"${name}"${" ".repeat(900_000)}}` },
  "a body that is too large": { body: `{"query":"${name}"${" ".repeat(1_100_000)}}` },
  "a body of unknown length": { ...query(name), headers: { "content-length": null, "transfer-encoding": "chunked" } },
  "a query in the address too": { ...query(name), path: "/graphql?query=%7Bviewer%7Badmin%7D%7D" },
  "an address that looks like a health check": { ...query(name), path: "/graphql?/health" },
  "a slash behind the address": { ...query(name), path: "/graphql/" },
  "another address": { ...query(name), path: "/graphqls" },
  "an address within": { ...query(name), path: "/x/../graphql" },
  "an address in other letters": { ...query(name), path: "/%67raphql" },
  "an address that makes no sense": { ...query(name), path: "//:x" },
  "a subscription": query(stream),
  "a subscription as events": { ...query(stream), headers: { accept: "text/event-stream" } },
  "a query as events": { ...query(name), headers: { accept: "text/event-stream" } },
  "a query in parts": { ...query(name), headers: { accept: "multipart/mixed" } },
  "a query that is asked for": { method: "GET", path: `/graphql?query=${encodeURIComponent(name)}` },
  "a mutation that is asked for": { method: "GET", path: "/graphql?query=mutation%7Blogout%7D" },
  HEAD: { method: "HEAD", path: `/graphql?query=${encodeURIComponent(name)}` },
  PUT: { ...query(name), method: "PUT" },
  DELETE: { method: "DELETE" },
  OPTIONS: { method: "OPTIONS" },
  "OPTIONS of a page": {
    method: "OPTIONS",
    headers: {
      origin: "https://one.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, content-type",
    },
  },
  "a page that may": { ...query(name), headers: { origin: "https://two.example" } },
  "a page that may, and is wrong": { ...query("{"), headers: { origin: "https://two.example" } },
  "a page that may, and names headers": {
    ...query(name),
    headers: { origin: "https://two.example", "access-control-request-headers": "x" },
  },
  "a page that may not": { ...query(name), headers: { origin: "https://three.example" } },
  "a page without an origin": { ...query(name), headers: { origin: "null" } },
  "a host that isn't this one": { ...query(name), headers: { host: "evil.example" } },
  "a token that nobody has": { ...query(name), headers: { authorization: "Bearer hearth_x" } },
  "an authorization of another kind": { ...query(name), headers: { authorization: "Basic eDp5" } },
  "an empty authorization": { ...query(name), headers: { authorization: "" } },
  "an expectation": { ...query(name), headers: { expect: "100-continue" } },
  "a connection that isn't kept": { ...query(name), headers: { connection: "close" } },
};

for (const type of [
  null,
  "",
  "application/json; charset=utf-8",
  "application/json;charset=latin1",
  "application/json ; charset=utf-8",
  "application/json, text/plain",
  "Application/JSON",
  "application/graphql+json",
  "application/graphql",
  "application/jsonx",
  "application/json-patch+json",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
])
  anonymous[`content type ${type}`] = { ...query(name), headers: { "content-type": type } };

for (const accept of [
  "",
  "*/*",
  "*",
  "*/json",
  "application/*",
  "application/json",
  "APPLICATION/JSON",
  "application/json;charset=utf-8",
  "application/json; charset=latin1",
  "application/json;q=0",
  "application/graphql-response+json",
  "application/graphql-response+json, application/json;q=0.9",
  "application/json, application/graphql-response+json",
  "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
  "text/html, */*;q=0.1",
  "text/html",
  "application/xml",
  "application",
  ",",
  "application/json, text/event-stream",
  "text/event-stream, application/json",
  "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
  "multipart/mixed;deferSpec=20220824, application/json",
]) {
  anonymous[`accepting ${accept}`] = { ...query(name), headers: { accept } };
  anonymous[`accepting ${accept}, and wrong`] = { ...query("{ no }"), headers: { accept } };
}

async function compare(sent: Sent): Promise<Received> {
  const [lean, yoga] = [await send(server.address, sent), await send(server.yogaAddress, sent)];
  expect(lean).toEqual(yoga);
  return lean;
}

test.each(Object.keys(anonymous))("%s is answered alike on both ways", async (name) => {
  await compare(anonymous[name]!);
});

/** Many pages of rooms, which are more than is written in one go. */
function large(...rooms: string[]): string {
  const page = (room: string, n: number) =>
    `page${n}: scrollback(roomId: "${room}", last: 100) { events { nodes { id type senderId sentAt content } } }`;
  return `{ ${Array.from({ length: 12 }, (_, n) => page(n === 0 ? rooms.at(-1)! : rooms[0]!, n)).join(" ")} }`;
}

const signedIn: Record<string, () => Sent> = {
  "a query": () => query("{ viewer { user { id } rooms { nodes { id title } } } }"),
  "a mutation": () =>
    query(
      `mutation ($room: ID!) { sendMessage(input: { roomId: $room, message: { content: { text: { body: "é" } }, actionId: "once" } }) {
         event { id content } actionId
       } }`,
      { variables: { room } },
    ),
  "a refused mutation": () =>
    query('mutation { joinRoom(input: { target: { roomId: "!no:localhost" } }) { event { id } } }'),
  "a mutation that is refused beside one that isn't": () =>
    query(
      `mutation ($room: ID!) {
         a: joinRoom(input: { target: { roomId: "!no:localhost" } }) { event { id } }
         b: sendMessage(input: { roomId: $room, message: { content: { text: { body: "b" } }, actionId: "twice" } }) { event { id } }
       }`,
      { variables: { room } },
    ),
  "a bad input": () => query('{ scrollback(roomId: "nonsense") { room { id } } }'),
  "a subscription as JSON": () => query(stream),
  "a large answer": () => query(large(room)),
  "a large answer beside errors": () => query(large(room, "!no:localhost")),
};

for (const form of ["application/json", "application/graphql-response+json"])
  test.each(Object.keys(signedIn))(
    `%s, signed in and accepting ${form}, is answered alike on both ways`,
    async (name) => {
      const headers = { authorization: `Bearer ${alice.token}`, accept: form };
      const answer = await compare({ ...signedIn[name]!(), headers });
      expect(answer.body).not.toContain("UNKNOWN_TOKEN");
      expect(answer.headers.includes("transfer-encoding: chunked")).toBe(/large answer|subscription/.test(name));
    },
  );

test("what is plain needs no yoga, and all that isn't goes there", async () => {
  const reached: string[] = [];
  const graphql = ((_req: IncomingMessage, res: ServerResponse) => {
    reached.push("yoga");
    res.end();
  }) as unknown as GraphQL;
  const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const load = new Load(Infinity);
  const lean = createLean(createOperations(server.app.domain, log, load), createLive(server.app.domain), log);
  const origins = { loopback: true, serverName: "localhost", publicUrl: null, allowedOrigins: ["https://two.example"] };
  const rest = createRest([], answeringCalls(server.app.domain, load), log, origins);
  const counting = createHttpServer({ lean, graphql, rest, page: null }, log, {
    ...{ path: "/graphql", origins },
    addressOf: addressReader([]),
  });
  await new Promise<void>((resolve) => counting.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(counting.address() as AddressInfo).port}`;
  async function takes(sent: Sent): Promise<string> {
    reached.length = 0;
    await send(address, sent);
    return reached.length === 0 ? "lean" : "yoga";
  }
  try {
    const plain = Object.keys(anonymous).filter((name) =>
      /^(a query|a syntax error|a page that may|variables|OPTIONS)$/.test(name),
    );
    for (const name of plain) expect(`${name}: ${await takes(anonymous[name]!)}`).toBe(`${name}: lean`);
    for (const type of ["application/json; charset=utf-8", "application/json;charset=latin1"])
      expect(await takes(anonymous[`content type ${type}`]!)).toBe("lean");
    for (const accept of ["*/*", "application/json", "application/graphql-response+json", "text/html, */*;q=0.1"])
      expect(await takes(anonymous[`accepting ${accept}`]!)).toBe("lean");
    for (const accept of [
      "text/html",
      "text/event-stream, application/json",
      "multipart/mixed;deferSpec=20220824, application/json",
    ])
      expect(await takes(anonymous[`accepting ${accept}`]!)).toBe("yoga");
    for (const name of [
      "malformed JSON",
      "a batch",
      "another parameter",
      "a subscription",
      "a query that is asked for",
      "HEAD",
    ])
      expect(`${name}: ${await takes(anonymous[name]!)}`).toBe(`${name}: yoga`);
  } finally {
    counting.close();
    counting.closeAllConnections();
  }
});

test.each([
  [["*"], "https://a.example", "https://a.example", "Origin"],
  [["https://a.example"], "https://a.example", "https://a.example", undefined],
  [["https://a.example"], "http://127.0.0.1:8008", "https://a.example", undefined],
  [["https://a.example", "https://b.example"], "https://b.example", "https://b.example", "Origin"],
  [["https://a.example", "https://b.example"], "http://127.0.0.1:8008", "null", undefined],
])("with %j allowed, a page of %s is told %s", (allowed, origin, told, vary) => {
  const headers = corsHeaders({ headers: { origin } } as IncomingMessage, allowed);
  expect([headers["Access-Control-Allow-Origin"], headers["Vary"]]).toEqual([told, vary]);
  expect(corsHeaders({ headers: {} } as IncomingMessage, allowed)).toEqual({});
  expect(corsHeaders({ headers: { origin } } as IncomingMessage, [])).toEqual({});
});
