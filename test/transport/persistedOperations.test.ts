import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError } from "../../src/config.ts";
import { readPersistedOperations } from "../../src/persistedOperationsFile.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer } from "../kit/client.ts";

const documents = {
  name: "query Name { server { name } }",
  two: "query One { server { name } } query Two { server { version } }",
  typing: "mutation Typing($room: ID!) { setTyping(input: { roomId: $room, typing: true }) { __typename } }",
  stream: "subscription Stream { eventStream { stream } }",
  register:
    'mutation Register($name: String!) { register(input: { username: $name, password: "correct horse battery", deviceId: "d" }) { accessToken } }',
};
const idOf = (document: keyof typeof documents): string =>
  createHash("sha256").update(documents[document]).digest("hex");
/** What only the second of them knows by another kind of name. */
const file = Object.fromEntries([
  ...Object.keys(documents).map((name) => [idOf(name as keyof typeof documents), documents[name as "name"]]),
  [`sha256:${"0".repeat(64)}`, documents.name],
  ["a-name-of-another-kind", documents.name],
]) as Record<string, string>;

let folder: string;
let on: TestApp;
let only: TestApp;
let off: TestApp;
let token: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-persisted-"));
  const path = join(folder, "persisted.json");
  await writeFile(path, JSON.stringify(file));
  on = await startApp({ mirrors: false, config: { persistedOperations: { file: path, only: false } } });
  const { databaseUrl } = on;
  only = await startApp({ mirrors: false, databaseUrl, config: { persistedOperations: { file: path, only: true } } });
  off = await startApp({ mirrors: false, databaseUrl });
  token = (await on.user("alice")).token!;
});
afterAll(async () => {
  for (const server of [off, only, on]) {
    expect(server.errors).toEqual([]);
    await server.close();
  }
  await rm(folder, { recursive: true });
});

/** What is asked: a text, or a document by its id in one of the two ways. */
interface Asked {
  query?: string;
  documentId?: unknown;
  extensions?: object;
  operationName?: string;
  variables?: object;
}
const byHash = (id: string): Asked => ({ extensions: { persistedQuery: { version: 1, sha256Hash: id } } });
const byId = (id: string): Asked => ({ documentId: id });

async function over(way: string, server: TestApp, asked: Asked): Promise<Answer> {
  const address = way === "yoga" ? server.yogaAddress : server.address;
  const headers = { authorization: `Bearer ${token}`, accept: "application/json" };
  switch (way) {
    case "lean":
    case "yoga":
    case "events": {
      const response = await fetch(`${address}/graphql`, {
        method: "POST",
        headers: {
          ...{ ...headers, "content-type": "application/json" },
          ...(way === "events" ? { accept: "text/event-stream" } : {}),
        },
        body: JSON.stringify(asked),
      });
      if (way !== "events") return (await response.json()) as Answer;
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value = "" } = await reader.read();
        text += value;
        const [, data] = /^data: (.+)$/m.exec(text) ?? [];
        if (data !== undefined) await reader.cancel();
        if (data !== undefined || done) return JSON.parse(data ?? "null") as Answer;
      }
    }
    case "GET": {
      const { extensions, variables, ...texts } = asked;
      const query = new URLSearchParams({
        ...(texts as Record<string, string>),
        ...(extensions === undefined ? {} : { extensions: JSON.stringify(extensions) }),
        ...(variables === undefined ? {} : { variables: JSON.stringify(variables) }),
      });
      return (await (await fetch(`${address}/graphql?${query.toString()}`, { headers })).json()) as Answer;
    }
    default: {
      const socket = createClient({
        url: `${address.replace("http", "ws")}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { authorization: headers.authorization },
        retryAttempts: 0,
      });
      try {
        // The protocol wants a text, which is empty where a document is named.
        for await (const result of socket.iterate({ query: "", ...asked } as never)) return result as Answer;
        return {};
      } catch (errors) {
        return { errors: errors as NonNullable<Answer["errors"]> };
      } finally {
        await socket.dispose();
      }
    }
  }
}

const ways = ["lean", "yoga", "GET", "events", "WebSocket"];
const said = ({ errors }: Answer): unknown => errors?.map(({ message, extensions }) => [message, extensions!["code"]]);
const needed =
  "This server runs only the operations that it knows: name one by documentId, or by extensions.persistedQuery.sha256Hash, and send no text.";

describe.each(ways)("over %s,", (way) => {
  test.each([
    ["by its hash", byHash(idOf("name"))],
    ["by its hash with an empty text", { ...byHash(idOf("name")), query: "" }],
    ["by its id", byId(idOf("name"))],
    ["by a hash that says what it is", byId(`sha256:${idOf("name")}`)],
    ["by a hash that says in the file what it is", byHash("0".repeat(64))],
    ["by a name of another kind", byId("a-name-of-another-kind")],
  ])("a document that the server knows is run %s", async (_how, asked) => {
    for (const server of [on, only]) {
      expect(await over(way, server, asked)).toMatchObject({ data: { server: { name: "localhost" } } });
    }
  });

  test("of several operations the one that is asked for is run", async () => {
    const asked = { ...byId(idOf("two")), operationName: "Two" };
    expect(Object.keys((await over(way, only, asked)).data!["server"] as object)).toEqual(["version"]);
  });

  test("what the server doesn't know is told in the words that clients know", async () => {
    for (const server of [on, only]) {
      for (const asked of [byHash("f".repeat(64)), byId("nothing"), byId("__proto__")]) {
        expect(said(await over(way, server, asked))).toEqual([["PersistedQueryNotFound", "NOT_FOUND"]]);
      }
    }
    expect(said(await over(way, off, byHash(idOf("name"))))).toEqual([["PersistedQueryNotSupported", "UNSUPPORTED"]]);
  });

  test("with only, no text is run: not even that of a document that the server knows", async () => {
    const refused = [[needed, "FORBIDDEN"]];
    expect(said(await over(way, only, { query: documents.name }))).toEqual(refused);
    expect(said(await over(way, only, { ...byHash(idOf("name")), query: documents.name }))).toEqual(refused);
    expect(said(await over(way, only, { ...byId(idOf("name")), query: "{ __typename }" }))).toEqual(refused);
    expect(said(await over(way, only, { query: "{ nonsense" }))).toEqual(refused);
    expect(said(await over(way, only, { query: "" }))).toEqual(refused);
  });

  test("with on, a text is run as ever, also one that comes with a hash to be remembered", async () => {
    const answer = { data: { server: { name: "localhost" } } };
    expect(await over(way, on, { query: "{ server { name } }" })).toEqual(answer);
    const asked = { ...byHash("f".repeat(64)), query: "{ server { name } }" };
    expect(await over(way, on, asked)).toEqual(answer);
    expect(said(await over(way, on, byHash("f".repeat(64))))).toEqual([["PersistedQueryNotFound", "NOT_FOUND"]]);
  });
});

test.each(["events", "WebSocket"])("subscriptions are named as well: over %s", async (way) => {
  const answer = await over(way, only, byId(idOf("stream")));
  expect(answer).toMatchObject({ data: { eventStream: { stream: expect.any(String) as string } } });
  expect(said(await over(way, only, { query: documents.stream }))).toEqual([[needed, "FORBIDDEN"]]);
});

test("mutations take variables, and GET doesn't run them, whatever they are named by", async () => {
  const asked = { ...byId(idOf("register")), variables: { name: "bob" } };
  expect((await over("lean", only, asked)).data).toMatchObject({
    register: { accessToken: expect.any(String) as string },
  });
  expect(said(await over("GET", only, asked))).toEqual([
    ["Can only perform a mutation operation from a POST request.", "BAD_INPUT"],
  ]);
});

test("with only, there is no GraphiQL", async () => {
  const page = (server: TestApp): Promise<Response> =>
    fetch(`${server.address}/graphql`, { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  const there = await page(on);
  expect(there.headers.get("content-type")).toContain("text/html");
  await there.body!.cancel();
  expect(said((await (await page(only)).json()) as Answer)).toEqual([[needed, "FORBIDDEN"]]);
});

test.each([
  ["no JSON", "{", /persisted.json can't be used: .*JSON/],
  ["a list", "[]", "it is no object of documents by their ids"],
  ["what is no text", '{"a": {"query": "{ server { name } }"}}', "it is no object of documents by their ids"],
  ["a document that can't be parsed", '{"abc": "{ server"}', "the document abc can't be run: Syntax Error"],
  [
    "a field that isn't there",
    '{"abc": "{ server { nam } }"}',
    'the document abc can\'t be run: Cannot query field "nam"',
  ],
  ["a document over the limits", JSON.stringify({ abc: `{ ${"a { ".repeat(30)} b ${"}".repeat(30)} }` }), "depth"],
])("a file with %s stops the start", async (_what, text, problem) => {
  const path = join(folder, "persisted.json");
  await writeFile(path, text);
  const read = (): unknown => readPersistedOperations({ file: path, only: true });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow("HEARTH_PERSISTED_OPERATIONS_FILE");
  expect(read).toThrow(problem);
});

test("a file that isn't there stops the start", () => {
  expect(() => readPersistedOperations({ file: "/nowhere/at-all.json", only: false })).toThrow(
    /at-all.json can't be used/,
  );
});
