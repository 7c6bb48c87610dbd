import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer, Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
});

afterAll(() => server.close());

interface Operation {
  query: string;
  operationName?: string;
}

function post(operation: Operation, accept = "application/json"): Promise<Response> {
  return fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept, authorization: `Bearer ${alice.token}` },
    body: JSON.stringify(operation),
  });
}

function get(operation: Operation): Promise<Response> {
  const headers = { accept: "application/json", authorization: `Bearer ${alice.token}` };
  return fetch(`${server.address}/graphql?${new URLSearchParams({ ...operation }).toString()}`, { headers });
}

/** The one answer to a query that comes as a stream. */
async function overEvents(operation: Operation): Promise<Answer> {
  const text = await (await post(operation, "text/event-stream")).text();
  return JSON.parse(/^data: (.+)$/m.exec(text)![1]!) as Answer;
}

async function overSocket(operation: Operation): Promise<Answer> {
  const errors: Answer["errors"] = [];
  try {
    for await (const result of alice.socket.iterate(operation)) return result as Answer;
  } catch (error) {
    errors.push(...(error as NonNullable<Answer["errors"]>));
  }
  return { errors };
}

/** Fragments of which each spreads the next one twice, so that the last one is spread 2^n times. */
function doubling(fragments: number): string {
  const texts = Array.from(
    { length: fragments },
    (_, index) => `fragment F${index} on Server { ...F${index + 1} ...F${index + 1} name }`,
  );
  return `{ server { ...F0 } } ${texts.join(" ")} fragment F${fragments} on Server { name }`;
}

const schemaAgain = Array.from(
  { length: 50 },
  (_, index) => `a${index}: __schema { types { fields { args { type { name } } } } }`,
);

const refused: [name: string, says: string, operation: Operation][] = [
  ["a document that can't be parsed", "Syntax Error: Expected Name, found <EOF>.", { query: "{ viewer" }],
  [
    "one that doesn't fit the schema",
    'Cannot query field "password" on type "Viewer".',
    { query: "{ viewer { password } }" },
  ],
  ["too many tokens", "Syntax Error: Document contains more that 1000 tokens.", { query: `{ ${"a ".repeat(1000)} }` }],
  [
    "several operations and no name",
    "Could not determine what operation to execute.",
    { query: "query A { server { name } } query B { server { name } }" },
  ],
  [
    "a name that no operation has",
    "Could not determine what operation to execute.",
    { query: "query A { server { name } }", operationName: "B" },
  ],
  ["fragments alone", "Could not determine what operation to execute.", { query: "fragment F on Server { name }" }],
  [
    "one that nests too deep",
    "The document's depth is over the limit of 20.",
    { query: `{ viewer { rooms { nodes { ${"lastMessage { room { ".repeat(9)} id ${"} }".repeat(9)} } } } }` },
  ],
  [
    "one whose fragments double",
    "The document's fields, those of spread fragments included, are over the limit of 400.",
    { query: doubling(40) },
  ],
  [
    "one of many aliases",
    "The document's aliases, those of spread fragments included, are over the limit of 100.",
    { query: `{ ${Array.from({ length: 51 }, (_, index) => `a${index}: server { n: name }`).join(" ")} }` },
  ],
  [
    "one of many directives at one place",
    "The document's directives at one place are over the limit of 10.",
    { query: `{ server { name ${"@include(if: true) ".repeat(11)} } }` },
  ],
  [
    "one with a long alias",
    "The characters of an alias are over the limit of 200.",
    { query: `{ server { ${"a".repeat(201)}: name } }` },
  ],
  [
    "one that asks for the schema again and again",
    "What the document asks of the schema itself is over the limit of 1200000.",
    { query: `{ ${schemaAgain.join(" ")} }` },
  ],
  ["one of many tokens", "more that 1000 tokens", { query: `{ ${"server { name } ".repeat(260)} }` }],
  [
    "one that costs too much",
    "The document's complexity is over the limit of 50000.",
    { query: "{ viewer { rooms(first: 500) { nodes { members(first: 500) { nodes { id } } } } } }" },
  ],
];

test.each(refused)("%s is refused in the same words over every transport", async (_name, says, operation) => {
  const answer = (await (await post(operation)).json()) as Answer;
  expect(answer.errors![0]!.message).toContain(says);
  expect(answer.errors![0]!.extensions!["code"]).toMatch(/^(BAD_INPUT|TOO_COMPLEX)$/);
  expect(await (await get(operation)).json()).toEqual(answer);
  expect(await overEvents(operation)).toEqual(answer);
  expect((await overSocket(operation)).errors).toEqual(answer.errors);
});

test.each([
  ["a name in it", `{ ${"x".repeat(100_000)} }`, {}],
  ["a value in it", `{ scrollback(roomId: "!a:b", last: "${"x".repeat(100_000)}") { room { id } } }`, {}],
  ["many names in it", `{ server { ${Array.from({ length: 390 }, (_, index) => `x${index}`).join(" ")} } }`, {}],
  [
    "its variables",
    'query ($last: Int) { scrollback(roomId: "!a:b", last: $last) { room { id } } }',
    { last: "x".repeat(100_000) },
  ],
])("what is wrong with a document is said shortly, however long it is: %s", async (_what, query, variables) => {
  const response = await post({ query, variables } as Operation);
  const text = await response.text();
  expect((JSON.parse(text) as Answer).errors![0]!.extensions!["code"]).toBe("BAD_INPUT");
  expect(text.length).toBeLessThan(10_000);
});

test("GET changes nothing", async () => {
  const operation = { query: 'mutation { createRoom(input: { name: "made by GET" }) { room { id } } }' };
  const answer = (await (await get(operation)).json()) as Answer;
  expect(answer.errors![0]!.message).toBe("Can only perform a mutation operation from a POST request.");
  expect(await sql(server.databaseUrl, "SELECT FROM room")).toHaveLength(0);
  expect((await overSocket(operation)).errors).toBeUndefined();
  expect(await sql(server.databaseUrl, "SELECT FROM room")).toHaveLength(1);
});

test("an error of the server is masked over every transport, and told by the id of its request", async () => {
  const operation = { query: '{ node(id: "$x") { id } }' };
  await sql(server.databaseUrl, "ALTER TABLE event RENAME TO hidden_event");
  try {
    const masked = { code: "INTERNAL", requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string };
    for (const response of [await post(operation), await get(operation)]) {
      const { errors } = (await response.json()) as Answer;
      expect(errors![0]!.extensions).toEqual({ ...masked, requestId: response.headers.get("x-request-id") });
    }
    for (const { errors } of [await overEvents(operation), await overSocket(operation)]) {
      expect(errors![0]!.extensions).toEqual(masked);
      expect(errors![0]!.message).toBe("Something went wrong on the server.");
    }
  } finally {
    await sql(server.databaseUrl, "ALTER TABLE hidden_event RENAME TO event");
  }
  expect(server.errors).toHaveLength(4);
});

test("a subscription that is asked for as plain JSON is refused, and leaves no stream open", async () => {
  const before = server.app.domain.stream.count();
  const response = await post({ query: "subscription { eventStream { stream } }" });
  expect(response.status).toBe(406);
  expect(await response.text()).toBe("");
  await until(() => server.app.domain.stream.count() === before);
});
