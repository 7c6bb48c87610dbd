import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { startService, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";
import { keepLog, type Line } from "./support/keptLog.ts";

const password = "a pass phrase of secrets";
const registrationToken = "registration-token-of-secrets";
const turnSecret = "turn-secret-of-secrets";
const metricsToken = "metrics-token-of-secrets";
const kept = keepLog();
let server: TestApp;
let service: ScriptedService;
/** A process that doesn't follow its requests. */
const keptPlain = keepLog("info");
let plain: TestApp;

beforeAll(async () => {
  service = await startService();
  server = await startApp({
    log: kept.log,
    mirrors: false,
    services: [service.registration()],
    config: {
      ...{ logLevel: "trace", registration: "token", registrationTokens: [registrationToken], metricsToken },
      turn: { uris: ["turn:turn.example.org"], secret: turnSecret },
    },
  });
  plain = await startApp({ log: keptPlain.log, mirrors: false, config: { admins: ["root"] } });
});

afterAll(async () => {
  await plain.close();
  await server.close();
  await service.close();
});

interface Asked {
  token?: string | null;
  requestId?: string;
  variables?: Record<string, unknown>;
  at?: string;
}

interface Told {
  data: Record<string, never>;
  errors?: { extensions: Record<string, unknown> }[];
}

/** By the straight way; gives what is told and the request's id. */
async function ask(query: string, { token = null, requestId, variables = {}, at = server.address }: Asked = {}) {
  const response = await fetch(`${at}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(requestId === undefined ? {} : { "x-request-id": requestId }),
    },
    body: JSON.stringify({ query, variables }),
  });
  return { told: (await response.json()) as Told, requestId: response.headers.get("x-request-id")! };
}

const register = `mutation ($username: String!, $password: String!, $token: String) {
  register(input: { username: $username, password: $password, deviceId: "d", registrationToken: $token }) { accessToken }
}`;

/** The line about a request, once it is there. */
async function lineOf(requestId: string, { lines } = kept): Promise<Line> {
  const find = (): Line | undefined =>
    lines().find((line) => line.msg === "a request was answered" && line["requestId"] === requestId);
  await until(() => find() !== undefined);
  return find()!;
}

describe("a line for every request", () => {
  let token: string;

  beforeAll(async () => {
    const { told } = await ask(register, { variables: { username: "alice", password, token: registrationToken } });
    token = (told.data as unknown as { register: { accessToken: string } }).register.accessToken;
  });

  test("tells who asked for what, and how it went", async () => {
    const { requestId } = await ask("query Named { viewer { user { id } } }", { token });
    expect(await lineOf(requestId)).toMatchObject({
      ...{ level: 20, transport: "http", method: "POST", path: "/graphql", operation: "query" },
      ...{ userId: "@alice:localhost", status: 200, code: "OK", outcome: "ok", ms: expect.any(Number) as number },
    });
    const refused = await ask("{ viewer { user { id } } }", { token: "hearth_nobody" });
    expect(await lineOf(refused.requestId)).toMatchObject({ userId: null, code: "UNKNOWN_TOKEN", outcome: "refused" });
    const rest = await fetch(`${server.address}/_matrix/client/v3/account/whoami?access_token=${token}&x=1`);
    expect(await lineOf(rest.headers.get("x-request-id")!)).toMatchObject({
      ...{ transport: "rest", method: "GET", path: "/_matrix/client/v3/account/whoami", operation: "read" },
      ...{ userId: "@alice:localhost", status: 200 },
    });
  });

  test("over WebSockets for each operation", async () => {
    const client = new Client(server.address, token, "@alice:localhost", "d");
    for await (const _result of client.socket.iterate({ query: "{ viewer { user { id } } }" }));
    await client.close();
    await until(() =>
      kept.lines().some(({ transport, userId }) => transport === "websocket" && userId === "@alice:localhost"),
    );
  });

  test("a request's own id is taken if it is well-formed", async () => {
    const given = await ask("{ serverInfo { name } }", { requestId: "proxy-1.a_B" });
    expect(given.requestId).toBe("proxy-1.a_B");
    expect(await lineOf("proxy-1.a_B")).toMatchObject({ outcome: expect.any(String) as string });
    for (const requestId of ["", "two words", "x".repeat(65), "a;b", '{"level":60}']) {
      expect((await ask("{ serverInfo { name } }", { requestId })).requestId).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test("what the domain says of others that it asks names the request", async () => {
    service.script = () => [403, {}];
    const query = `mutation { createRoom(input: { invite: ["@irc_nobody:localhost"] }) { room { id } } }`;
    const { requestId } = await ask(query, { token });
    await until(() => kept.lines().some(({ msg }) => msg === "an application service refused a question"));
    const line = kept.lines().find(({ msg }) => msg === "an application service refused a question")!;
    expect(line["requestId"]).toBe(requestId);
  });

  test("the writer's lines name all whose work it was, and nobody else", async () => {
    const { told } = await ask("mutation { createRoom(input: {}) { room { id } } }", { token });
    const roomId = (told.data as unknown as { createRoom: { room: { id: string } } }).createRoom.room.id;
    await sql(server.databaseUrl, "ALTER TABLE event ADD CONSTRAINT no_more CHECK (false) NOT VALID");
    const say = `mutation ($roomId: ID!) {
      sendMessage(input: { roomId: $roomId, message: { content: { text: { body: "private words" } } } }) { event { id } }
    }`;
    const sent = await ask(say, { token, variables: { roomId } });
    await sql(server.databaseUrl, "ALTER TABLE event DROP CONSTRAINT no_more");
    const { requestId } = sent;
    // The id is what its sender is told, too.
    expect(sent.told.errors![0]!.extensions).toEqual({ code: "INTERNAL", requestId });
    const refused = kept.lines().find(({ msg }) => msg === "the store refused a unit")!;
    expect(refused["requestId"]).toBe(requestId);
    expect(await lineOf(requestId)).toMatchObject({ level: 40, code: "INTERNAL", outcome: "failed" });
  });
});

test("no secret is in any line", async () => {
  const secrets = [password, registrationToken, turnSecret, metricsToken, "private words", "wrong pass phrase"];
  const variables = { username: "bob", password, token: registrationToken };
  const { told } = await ask(register, { variables });
  const token = (told.data as unknown as { register: { accessToken: string } }).register.accessToken;
  const login = `mutation ($password: String!) { login(input: { username: "bob", password: $password, deviceId: "e" }) { accessToken } }`;
  const again = await ask(login, { variables: { password } });
  const second = (again.told.data as unknown as { login: { accessToken: string } }).login.accessToken;
  await ask(login, { variables: { password: "wrong pass phrase" } });
  await ask(register, { variables: { username: "carol", password, token: "wrong-registration-token" } });
  // In the document, where nobody should put it.
  await ask(`mutation { login(input: { username: "bob", password: "${password}", deviceId: "f" }) { accessToken } }`);
  await ask(`{ viewer { user { id } `, { token });
  await ask("{ viewer { user { id } } }", { token: "hearth_wrong_token_of_secrets" });
  const { address } = server;
  const asToken = "as-token-of-irc";
  const paths = [
    `/_matrix/client/v3/account/whoami?access_token=${token}`,
    `/_matrix/client/v3/sync?access_token=${second}&timeout=0`,
    `/_matrix/client/v3/account/whoami?access_token=hearth_wrong_query_token`,
    `/_matrix/client/v3/joined_rooms?access_token=${asToken}&user_token=${token}`,
    `/graphql?access_token=${token}&query={viewer{user{id}}}`,
    `/nowhere?access_token=${token}`,
    `/metrics?access_token=${metricsToken}`,
    "/_hearth/export/export-address-of-secrets",
    "/_hearth/export/export-address-of-secrets/",
  ];
  for (const path of paths) await fetch(`${address}${path}`).then((response) => response.text());
  await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${metricsToken}` } });
  const bearer = { authorization: `Bearer ${token}` };
  const upload = await fetch(`${address}/_matrix/media/v3/upload`, {
    method: "POST",
    headers: { ...bearer, "content-type": "text/plain" },
    body: "private words",
  });
  expect(upload.status).toBe(200);
  expect((await ask("{ viewer { turnServers { password } } }", { token })).told.errors).toBeUndefined();
  const exported = await ask("mutation { exportUserData(input: {}) { url } }", { token });
  const { url } = (exported.told.data as unknown as { exportUserData: { url: string } }).exportUserData;
  secrets.push(new URL(url).pathname.split("/").at(-1)!);
  expect((await fetch(url).then((response) => response.arrayBuffer())).byteLength).toBeGreaterThan(0);
  const socket = new Client(address, "hearth_wrong_socket_token", "", "");
  await socket.socket
    .iterate({ query: "{ viewer { user { id } } }" })
    .next()
    .catch(() => undefined);
  await socket.close();
  // Those are answered that came before.
  const last = await ask("{ nonsense }");
  await lineOf(last.requestId);

  secrets.push(token, second, asToken, "hs-token-of-irc", "wrong-registration-token", "export-address-of-secrets");
  secrets.push("hearth_wrong_token_of_secrets", "hearth_wrong_query_token", "hearth_wrong_socket_token");
  secrets.push(
    decodeURIComponent(new URL(server.databaseUrl.replace(/^postgres\w*/, "http")).password || "no password"),
  );
  const text = kept.text();
  expect(kept.lines().length).toBeGreaterThan(20);
  expect(secrets.filter((secret) => text.includes(secret) || text.includes(encodeURIComponent(secret)))).toEqual([]);
});

describe("at level info, on its own", () => {
  test("what admins do names the request, and requests that go well have no line", async () => {
    const root = await Client.register(plain.address, "root");
    await Client.register(plain.address, "mallory");
    const before = keptPlain.lines().length;
    const query = `mutation { deactivateUser(input: { userId: "@mallory:localhost" }) { account { user { id } } } }`;
    const { requestId } = await ask(query, { token: root.token, at: plain.address });
    expect(keptPlain.lines().slice(before)).toMatchObject([{ level: 30, admin: "@root:localhost", requestId }]);
  });

  test("what fails has a line, and what is slow", async () => {
    await sql(plain.databaseUrl, "ALTER TABLE account RENAME TO account_elsewhere");
    const failed = await ask(register, { variables: { username: "late", password }, at: plain.address });
    await sql(plain.databaseUrl, "ALTER TABLE account_elsewhere RENAME TO account");
    expect(await lineOf(failed.requestId, keptPlain)).toMatchObject({ level: 40, code: "INTERNAL" });
    const { requestId } = await ask("{ viewer { user { id } } }", { token: "hearth_wrong", at: plain.address });
    expect(keptPlain.lines().filter((line) => line["requestId"] === requestId)).toEqual([]);
  });
});
