import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { getIntrospectionQuery } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer, Client } from "../kit/client.ts";
import { Wire } from "../kit/wire.ts";

// Requests: 4 a second, 40 at once; a user's devices together three times as many. Changes: 1 a second, 10 at once.
const rates = { requests: 4, actions: 1, logins: 10_000 };
/** After so long everybody may do everything again. */
const allMs = 60_000;

let now = Date.now();
let server: TestApp;
let alice: Client;
let room: string;

beforeAll(async () => {
  const service = (id: string, more: object) => ({
    name: `${id}.yaml`,
    content: {
      ...{ id, url: null, as_token: `as-${id}`, hs_token: `hs-${id}`, sender_localpart: `${id}bot` },
      namespaces: { users: [{ regex: `@${id}_.*`, exclusive: true }] },
      ...more,
    },
  });
  server = await startApp({
    mirrors: false,
    config: { rates, trustedProxies: ["127.0.0.1"], sessionTimeoutMs: 86_400_000 },
    clock: { now: () => now },
    services: [service("free", { rate_limited: false }), service("bound", { rate_limited: true })],
  });
  alice = await server.user("alice");
  room = await alice.createRoom();
});
beforeEach(() => {
  now += allMs;
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await alice.close();
  await server.close();
});

/** One answer of each kind: how many went through before the first was refused, and what the refusal was. */
async function until429<Refusal>(ask: () => Promise<Refusal | null>, most = 200): Promise<[number, Refusal | null]> {
  for (let through = 0; through < most; through++) {
    const refusal = await ask();
    if (refusal !== null) return [through, refusal];
  }
  return [most, null];
}

type GraphQLError = NonNullable<Answer["errors"]>[number];

/** What kept a request from being answered; null for nothing. Anything but a rate fails. */
function refusalOf({ errors }: Answer): GraphQLError | null {
  const [error] = errors ?? [];
  if (error !== undefined) expect(error).toMatchObject({ extensions: { code: "RATE_LIMITED" } });
  return error ?? null;
}

async function post(address: string, query: string, headers: Record<string, string>): Promise<Response> {
  const sent = { "content-type": "application/json", ...headers };
  return fetch(`${address}/graphql`, { method: "POST", headers: sent, body: JSON.stringify({ query }) });
}

const bearer = (token: string | null) => ({ authorization: `Bearer ${token}` });
const name = "{ server { name } }";

describe.each(["address", "yogaAddress"] as const)("over HTTP at %s,", (way) => {
  async function ask(query: string, headers: Record<string, string>): Promise<GraphQLError | null> {
    const response = await post(server[way], query, headers);
    const refusal = refusalOf((await response.json()) as Answer);
    const retryAfterMs = Number(refusal?.extensions?.["retryAfterMs"]);
    expect(response.headers.get("retry-after")).toBe(refusal === null ? null : String(Math.ceil(retryAfterMs / 1000)));
    return refusal;
  }

  test("strangers are limited by their address, and told when they may go on", async () => {
    const [through, refusal] = await until429(() => ask(name, {}));
    expect(through).toBe(40);
    expect(refusal).toEqual({
      message: "That was too much at once: try again in 1 s.",
      extensions: { code: "RATE_LIMITED", retryAfterMs: 250 },
    });
    now += 249;
    expect(await ask(name, {})).not.toBeNull();
    now += 1;
    expect(await ask(name, {})).toBeNull();
  });

  test("each address has its own limit, and all of a network of IPv6 have one", async () => {
    const [through] = await until429(() => ask(name, { "x-forwarded-for": "203.0.113.1" }));
    expect(through).toBe(40);
    expect(await ask(name, { "x-forwarded-for": "1.2.3.4, 203.0.113.2" })).toBeNull();
    expect(await ask(name, { "x-forwarded-for": "1.2.3.4, 203.0.113.1" })).not.toBeNull();
    let host = 0;
    const [together] = await until429(() => ask(name, { "x-forwarded-for": `2001:db8::${(++host).toString(16)}` }));
    expect(together).toBe(40);
  });

  test("who is signed in is limited by the device, wherever they are, and by themselves on all devices", async () => {
    const phone = await fetch(`${server.address}/_matrix/client/v3/login`, {
      method: "POST",
      body: JSON.stringify({ type: "m.login.password", user: "alice", password: "correct horse battery" }),
    });
    const { access_token: phoneToken } = (await phone.json()) as { access_token: string };
    let host = 0;
    const from = () => ({ "x-forwarded-for": `203.0.113.${++host % 250}` });
    const [through, refusal] = await until429(() => ask(name, { ...bearer(alice.token), ...from() }));
    expect([through, refusal?.extensions?.["retryAfterMs"]]).toEqual([40, 250]);
    expect((await until429(() => ask(name, bearer(phoneToken))))[0]).toBe(40);
    // Their address isn't: others may be there.
    expect(await ask(name, {})).toBeNull();
    const devices = await Promise.all(
      ["third", "fourth"].map(async (device_id) => {
        const body = { type: "m.login.password", user: "alice", password: "correct horse battery", device_id };
        const answer = await fetch(`${server.address}/_matrix/client/v3/login`, {
          method: "POST",
          body: JSON.stringify(body),
        });
        return ((await answer.json()) as { access_token: string }).access_token;
      }),
    );
    expect((await until429(() => ask(name, bearer(devices[0]!))))[0]).toBe(40);
    expect((await until429(() => ask(name, bearer(devices[1]!))))[0]).toBe(0);
  });

  test("tokens that don't hold, and documents that can't be run, count for their address", async () => {
    let tried = 0;
    const [wrong] = await until429(async () => {
      const response = await post(server[way], name, bearer(`hearth_${tried++}`));
      const { errors } = (await response.json()) as Answer;
      return errors?.[0]?.extensions?.["code"] === "RATE_LIMITED" ? true : null;
    });
    expect(wrong).toBe(40);
    now += allMs;
    const [bad] = await until429(async () => {
      const response = await post(server[way], `{ nothing${tried++} }`, {});
      const { errors } = (await response.json()) as Answer;
      return errors?.[0]?.extensions?.["code"] === "RATE_LIMITED" ? true : null;
    });
    expect(bad).toBe(40);
    // What was read before is still run for who is known.
    expect(await ask(name, bearer(alice.token))).toBeNull();
  });

  test("what holds no operation counts for its address as well", async () => {
    const headers = { "content-type": "application/json", "x-forwarded-for": "198.51.100.20" };
    const [through, refusal] = await until429(async () => {
      const response = await fetch(`${server.address}/graphql`, { method: "POST", headers, body: "[{" });
      const answer = (await response.json()) as Answer;
      if (answer.errors?.[0]?.extensions?.["code"] === "BAD_INPUT") return null;
      return { error: refusalOf(answer), retryAfter: response.headers.get("retry-after") };
    });
    expect(through).toBe(40);
    expect(refusal).toMatchObject({ error: { extensions: { retryAfterMs: 250 } }, retryAfter: "1" });
  });

  test("GraphiQL, which is large, counts as twenty requests", async () => {
    const headers = { accept: "text/html", "x-forwarded-for": "198.51.100.21" };
    const page = (more: object = {}) => fetch(`${server.address}/graphql`, { headers: { ...headers, ...more } });
    const first = await page();
    expect(first.status).toBe(200);
    expect(await first.text()).toContain("<title>hearth</title>");
    const again = await page({ "if-none-match": first.headers.get("etag")! });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    const refused = await page();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
  });

  test("the schema counts as the requests that it takes as long as", async () => {
    const headers = { "x-forwarded-for": "198.51.100.22" };
    const ask = async (query: string): Promise<Answer> =>
      (await (await post(server.address, query, headers)).json()) as Answer;
    const [through] = await until429(async () => refusalOf(await ask(getIntrospectionQuery())));
    expect(through).toBeGreaterThan(1);
    expect(through).toBeLessThan(10);
    now += allMs;
    expect((await until429(async () => refusalOf(await ask("{ __schema { queryType { name } } }"))))[0]).toBe(40);
  });

  test("changes are limited for each user, those of one document and of a batch each by each", async () => {
    const typing = `mutation { setTyping(input: { roomId: "${room}", typing: true }) { __typename } }`;
    const [through] = await until429(() => ask(typing, bearer(alice.token)));
    expect(through).toBe(10);
    expect(await ask(name, bearer(alice.token))).toBeNull();
    now += allMs;
    const one = `sendMessage(input: { roomId: "${room}", message: { content: { text: { body: "one" } } } }) { event { id } }`;
    const many = Array.from({ length: 12 }, (_, index) => `m${index}: ${one}`).join(" ");
    const { data, errors } = (await (
      await post(server[way], `mutation { ${many} }`, bearer(alice.token))
    ).json()) as Answer;
    expect(Object.values(data!).filter((each) => each !== null)).toHaveLength(10);
    expect(errors!.map(({ path, extensions }) => [path, extensions!["code"]])).toEqual([
      [["m10"], "RATE_LIMITED"],
      [["m11"], "RATE_LIMITED"],
    ]);
  });
});

describe("a batch counts as many changes as it holds,", () => {
  const message = { content: { text: { body: "hello" } } };
  const state = (index: number) => ({ type: `org.example.${index}`, content: {} });

  test.each([
    ["sendMessages", "SendMessagesInput", () => ({ roomId: room, messages: Array.from({ length: 6 }, () => message) })],
    ["setStates", "SetStatesInput", () => ({ roomId: room, states: [0, 1, 2, 3, 4, 5].map(state) })],
    ["createRoom", "CreateRoomInput", () => ({ state: [0, 1, 2, 3, 4].map(state) })],
  ])("%s", async (mutation, type, input) => {
    const document = `mutation ($input: ${type}!) { ${mutation}(input: $input) { __typename } }`;
    expect(refusalOf(await alice.ask(document, { input: input() }))).toBeNull();
    const refused = refusalOf(await alice.ask(document, { input: input() }));
    // Of the second one the request itself was counted.
    expect(refused?.extensions?.["retryAfterMs"]).toBe(2000);
    now += 2000;
    expect(
      refusalOf(
        await alice.ask("mutation ($room: ID!) { setTyping(input: { roomId: $room, typing: false }) { __typename } }", {
          room,
        }),
      ),
    ).toBeNull();
  });

  test("the largest one is let through, and has what comes next wait", async () => {
    const document = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { __typename } }";
    const input = { roomId: room, messages: Array.from({ length: 100 }, () => message) };
    expect(refusalOf(await alice.ask(document, { input }))).toBeNull();
    expect(refusalOf(await alice.ask(document, { input }))?.extensions?.["retryAfterMs"]).toBe(91_000);
    now += 91_000;
  });
});

test("over a WebSocket operations count like requests, and what a subscription brings counts nothing", async () => {
  const socket = createClient({
    url: `${server.address.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: bearer(alice.token),
    retryAttempts: 0,
    lazy: false,
  });
  const ask = async (): Promise<GraphQLError | null> => {
    try {
      for await (const result of socket.iterate({ query: name })) expect(result.data).toBeTruthy();
      return null;
    } catch (errors) {
      return refusalOf({ errors } as Answer);
    }
  };
  // The socket itself was the first.
  const [through, refusal] = await until429(ask);
  expect([through, refusal?.extensions?.["retryAfterMs"]]).toEqual([39, 250]);
  now += allMs;
  const chunks = socket.iterate({ query: "subscription { eventStream { events { id } } }" });
  await chunks.next();
  now += allMs;
  for (let sent = 0; sent < 5; sent++) await alice.send(room, "more");
  let seen = 0;
  while (seen < 5) {
    const { value } = await chunks.next();
    seen += (value as { data: { eventStream: { events: unknown[] } } }).data.eventStream.events.length;
  }
  await chunks.return?.(undefined);
  expect((await until429(ask))[0]).toBe(35);
  await socket.dispose();
});

test("a socket that can't be begun for the rate may be begun again later", async () => {
  await until429(async () => refusalOf(await alice.ask(name)));
  const closed = await new Promise<number>((resolve) => {
    const socket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    socket.on("open", () => socket.send(JSON.stringify({ type: "connection_init", payload: bearer(alice.token) })));
    socket.on("close", (code) => resolve(code));
  });
  expect(closed).toBe(1013);
});

test("server-sent events count as a request", async () => {
  const follow = (): Promise<string> =>
    new Promise((resolve) => {
      const body = JSON.stringify({ query: "subscription { eventStream { stream } }" });
      const wire = new Wire(server.address).write(
        `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n` +
          `Authorization: Bearer ${alice.token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      void wire.gets("data:").then(() => {
        wire.socket.destroy();
        resolve(wire.received);
      });
    });
  const [through, refusal] = await until429(async () => {
    const received = await follow();
    return received.includes("RATE_LIMITED") ? received : null;
  });
  expect(through).toBe(40);
  expect(refusal).toMatch(/^Retry-After: 1\r$/m);
});

describe("over REST", () => {
  async function rest(method: string, path: string, token?: string, body?: object): Promise<Response> {
    return fetch(`${server.address}${path}`, {
      method,
      headers: token === undefined ? {} : bearer(token),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
  const asking =
    (method: string, path: string, token?: string, body?: object) => async (): Promise<Response | null> => {
      const response = await rest(method, path, token, body);
      return response.status === 429 ? response : null;
    };

  test("requests count with all others, and the refusal has the form of the Matrix API", async () => {
    await alice.ask(name);
    const [through, refused] = await until429(asking("GET", "/_matrix/client/v3/account/whoami", alice.token!));
    expect(through).toBe(39);
    expect(refused!.headers.get("retry-after")).toBe("1");
    expect(await refused!.json()).toEqual({
      ...{ errcode: "M_LIMIT_EXCEEDED", error: "That was too much at once: try again in 1 s." },
      ...{ code: "RATE_LIMITED", retry_after_ms: 250 },
    });
  });

  test.each([
    ["an open call", "/_matrix/client/versions"],
    ["a file", "/_matrix/media/v3/download/localhost/none?timeout_ms=0"],
    ["a path that there is none of", "/_matrix/client/v3/nothing"],
    ["a path of another method", "/_matrix/client/v3/createRoom"],
    ["an archive", "/_hearth/export/none"],
    ["a call without its token", "/_matrix/client/v3/account/whoami"],
  ])("%s counts for the address", async (_what, path) => {
    expect((await until429(asking("GET", path)))[0]).toBe(40);
  });

  test.each(["/health", "/ready", "/metrics"])(
    "whoever runs the server asks %s as often as they like",
    async (path) => {
      expect((await until429(asking("GET", path), 50))[0]).toBe(50);
    },
  );

  test("a token that doesn't hold counts for the address", async () => {
    const path = "/_matrix/client/v3/account/whoami";
    expect((await until429(asking("GET", path, "hearth_none")))[0]).toBe(40);
    expect((await rest("GET", path, alice.token!)).status).toBe(200);
  });

  test("whatever isn't read counts as a change", async () => {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/typing/${encodeURIComponent(alice.userId)}`;
    const typing = asking("PUT", path, alice.token!, { typing: false });
    expect((await until429(typing))[0]).toBe(10);
    expect((await rest("POST", "/_matrix/media/v3/upload", alice.token!)).status).toBe(429);
    expect((await rest("GET", "/_matrix/media/v3/config", alice.token!)).status).toBe(200);
  });

  test("application services are exempt with their users, unless their registration says otherwise", async () => {
    const whoami = "/_matrix/client/v3/account/whoami";
    const register = (id: string) => (user: string) =>
      rest("POST", "/_matrix/client/v3/register", `as-${id}`, { type: "m.login.application_service", username: user });
    for (const id of ["free", "bound"]) expect((await register(id)(`${id}_ann`)).status).toBe(200);
    now += allMs;
    const ghost = (id: string) => `${whoami}?user_id=${encodeURIComponent(`@${id}_ann:localhost`)}`;
    expect((await until429(asking("GET", ghost("free"), "as-free"), 130))[0]).toBe(130);
    expect((await until429(asking("GET", ghost("bound"), "as-bound")))[0]).toBe(40);
    expect(
      (
        await until429(
          asking("PUT", "/_matrix/client/v3/profile/@freebot:localhost/displayname", "as-free", { displayname: "x" }),
          15,
        )
      )[0],
    ).toBe(15);
    now += allMs;
    const open = "/_matrix/client/versions";
    expect((await until429(asking("GET", open, "as-free"), 130))[0]).toBe(130);
    expect((await until429(asking("GET", open, "as-bound")))[0]).toBe(120);
  });

  test("a user who lends a service their token stays limited", async () => {
    const path = `/_matrix/client/v3/account/whoami?user_token=${alice.token}`;
    expect((await until429(asking("GET", path, "as-free")))[0]).toBe(40);
  });
});
