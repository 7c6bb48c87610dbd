import type { AddressInfo } from "node:net";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { HearthError } from "../../src/model/errors.ts";
import type { Log } from "../../src/model/ports.ts";
import type { GraphQL } from "../../src/transport/graphql.ts";
import { addressReader } from "../../src/transport/address.ts";
import { createHttpServer } from "../../src/transport/http.ts";
import type { OriginRules } from "../../src/transport/origins.ts";
import { jsonOf, queryOf, signedIn } from "../../src/transport/rest/request.ts";
import { createRest } from "../../src/transport/rest/rest.ts";
import type { Routes } from "../../src/transport/rest/routes.ts";
import { sendBytes } from "../../src/transport/rest/sending.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

let app: TestApp;
let alice: Client;
let server: Serving;
const logged: object[] = [];

interface Serving {
  address: string;
  close(): Promise<void>;
}

/** The connection of who asked for bytes last. */
let sending: Socket;
let goOn = (): void => undefined;

async function* hello(): AsyncGenerator<Buffer> {
  yield Buffer.from("he");
  await new Promise<void>((resolve) => (goOn = resolve));
  yield Buffer.from("llo");
}

function routes(routes: Routes): void {
  routes.on("GET", "/_matrix/:version{v3|r0}/whoami", async (context) => {
    const { userId, deviceId } = await signedIn(app.app.domain, context);
    return context.json({ userId, deviceId });
  });
  routes.on("GET", "/_hearth/echo/:id/:rest?", (context) => context.json(context.req.param()));
  routes.on("POST", "/_hearth/body", async (context) =>
    context.json(await jsonOf(context, z.object({ name: z.string().optional() }))),
  );
  routes.on("GET", "/_hearth/query", (context) =>
    context.json(queryOf(context, z.object({ limit: z.coerce.number().int().max(10) }))),
  );
  routes.on("GET", "/_hearth/slow-down", () => {
    throw new HearthError("RATE_LIMITED", "Too fast.", { retryAfterMs: 1500 });
  });
  routes.on("GET", "/_hearth/bytes", (context) => {
    sending = context.env.incoming.socket;
    return sendBytes(context, {
      size: 5,
      tag: "hello",
      headers: {},
      read: () => Promise.resolve(Readable.from(hello())),
    });
  });
  routes.on("GET", "/_hearth/broken", () => {
    throw new Error("the secret is sauce");
  });
}

/** The API behind the whole HTTP server, under these rules. */
async function serve(rules: Partial<OriginRules> = {}): Promise<Serving> {
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields) => void logged.push(fields),
  };
  const origins = {
    loopback: true,
    serverName: "chat.example",
    publicUrl: "https://matrix.chat.example",
    allowedOrigins: [],
    ...rules,
  };
  const graphql = (() => undefined) as unknown as GraphQL;
  const noCalls = { call: () => Promise.reject(new Error("there are no calls here")), count: () => undefined };
  const http = createHttpServer(
    { lean: null, page: null, graphql, rest: createRest([routes], noCalls, log, origins) },
    log,
    {
      path: "/graphql",
      origins,
      addressOf: addressReader([]),
    },
  );
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

async function ask(path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(server.address + path, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text), headers: response.headers };
}

/** Sends a request as it is written, and gives all that comes back until the connection ends. */
function raw(address: string, text: string): Promise<string> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text, "latin1"));
    socket.setEncoding("latin1").on("data", (piece: string) => (received += piece));
    socket.on("error", reject).on("close", () => resolve(received));
  });
}

beforeAll(async () => {
  app = await startApp({ mirrors: false });
  alice = await app.user("alice", "browser");
  server = await serve();
});

afterAll(async () => {
  await server.close();
  await app.close();
});

describe("who asks", () => {
  const path = "/_matrix/v3/whoami";

  test("shows a token as Bearer or in the address; the answer tells the session [SES-2]", async () => {
    const who = { userId: "@alice:localhost", deviceId: "browser" };
    const bearer = await ask(path, { headers: { authorization: `Bearer ${alice.token}` } });
    expect(bearer).toMatchObject({ status: 200, body: who });
    expect(await ask(`/_matrix/r0/whoami/?access_token=${alice.token}`)).toMatchObject({ status: 200, body: who });
    const session = bearer.headers.get("x-session-id")!;
    expect(session).toMatch(/^[\w-]{20,}$/);
    const stale = await ask(path, { headers: { authorization: `Bearer ${alice.token}`, "x-session-id": "old" } });
    expect(stale).toMatchObject({ status: 409, body: { errcode: "M_UNKNOWN", code: "STALE_SESSION" } });
    expect(stale.headers.get("x-session-id")).toBe(session);
  });

  test("is told what is wrong with the token", async () => {
    expect(await ask(path)).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    expect(await ask(`${path}?access_token=`)).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    const unknown = await ask(path, { headers: { authorization: "Bearer nonsense" } });
    expect(unknown).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    // The header counts where there are both.
    const both = await ask(`${path}?access_token=${alice.token}`, { headers: { authorization: "Bearer nonsense" } });
    expect(both.status).toBe(401);
  });
});

describe("addresses", () => {
  test("that nobody knows are 404, methods that a path doesn't have are 405, both M_UNRECOGNIZED", async () => {
    for (const path of ["/_matrix/v9/whoami", "/_matrix/", "/_hearth/echo", "/_hearth/echo/a/b/c", "/_matrix/../x"]) {
      const answer = await raw(server.address, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect(answer, path).toMatch(/^HTTP\/1.1 404 /);
      if (path !== "/_matrix/../x") expect(answer, path).toContain('"errcode":"M_UNRECOGNIZED"');
    }
    for (const method of ["POST", "PUT", "DELETE", "PATCH"])
      expect(await ask("/_matrix/v3/whoami", { method })).toMatchObject({
        status: 405,
        body: { errcode: "M_UNRECOGNIZED" },
      });
    expect(await ask("/_hearth/body")).toMatchObject({ status: 405, body: { errcode: "M_UNRECOGNIZED" } });
  });

  test("hold percent-encoded ids, with a trailing slash or none", async () => {
    const roomId = "!a/b%:x.org";
    for (const end of ["", "/"])
      expect((await ask(`/_hearth/echo/${encodeURIComponent(roomId)}${end}`)).body).toEqual({ id: roomId });
    expect((await ask("/_hearth/echo/%21a:x.org/%E2%82%AC")).body).toEqual({ id: "!a:x.org", rest: "€" });
    // What isn't percent-encoded properly stands for itself.
    expect((await ask("/_hearth/echo/100%/%ff")).body).toEqual({ id: "100%", rest: "%ff" });
  });

  test("that make no sense are refused politely", async () => {
    for (const request of [
      "GET /_matrix\\x HTTP/1.1\r\nHost: localhost",
      "GET /_hearth/query HTTP/1.1\r\nHost: [",
      "GET http://[/_hearth/query HTTP/1.1\r\nHost: localhost",
      "GET /_hearth/query HTTP/1.0",
    ]) {
      const answer = await raw(server.address, `${request}\r\nConnection: close\r\n\r\n`);
      expect(answer, request).toMatch(/^HTTP\/1.1 4\d\d /);
      expect(answer, request).toMatch(/"errcode":"M_|"code":"BAD_INPUT"|"code":"NOT_FOUND"/);
    }
  });
});

describe("bodies", () => {
  const post = (body: BodyInit) => ask("/_hearth/body", { method: "POST", body, duplex: "half" } as RequestInit);

  test("are JSON of any content type, and none at all is an empty object", async () => {
    expect((await post('{"name":"é"}')).body).toEqual({ name: "é" });
    expect((await post("")).body).toEqual({});
  });

  test("that are malformed are 400, and too large ones 413", async () => {
    for (const body of ["{", '{"name":', "\u0000", new Uint8Array([0x22, 0xff, 0x22])])
      expect(await post(body)).toMatchObject({ status: 400, body: { errcode: "M_NOT_JSON" } });
    expect(await post('{"name":1}')).toMatchObject({
      status: 400,
      body: { errcode: "M_INVALID_PARAM", field: "name", error: "name: is no string" },
    });
    expect(await post("[]")).toMatchObject({ status: 400, body: { errcode: "M_INVALID_PARAM", field: "input" } });
    const large = "x".repeat(1024 * 1024 + 1);
    expect(await post(large)).toMatchObject({ status: 413, body: { errcode: "M_TOO_LARGE" } });
    // Without Content-Length it is found out on the way.
    expect(await post(new Blob([large]).stream())).toMatchObject({ status: 413, body: { errcode: "M_TOO_LARGE" } });
    expect(await ask("/_hearth/query?limit=11")).toMatchObject({ status: 400, body: { field: "limit" } });
  });
});

test("errors tell what the caller may learn, and nothing of what lies inside", async () => {
  expect(await ask("/_hearth/slow-down")).toMatchObject({
    status: 429,
    body: { errcode: "M_LIMIT_EXCEEDED", error: "Too fast.", retry_after_ms: 1500 },
  });
  logged.length = 0;
  const broken = await ask("/_hearth/broken");
  const requestId = broken.headers.get("x-request-id");
  expect(broken).toMatchObject({ status: 500, body: { errcode: "M_UNKNOWN", requestId } });
  expect(JSON.stringify(broken.body)).not.toContain("sauce");
  expect(logged).toMatchObject([{ requestId, error: { message: "the secret is sauce" } }]);
});

test("who takes nothing of what is sent is let go of after a minute", async () => {
  const response = await fetch(`${server.address}/_hearth/bytes`);
  const reader = response.body!.getReader();
  await reader.read();
  expect(sending.timeout).toBe(60_000);
  goOn();
  while (!(await reader.read()).done);
  await until(() => sending.timeout !== 60_000);
});

test("HEAD answers as GET does, without a body", async () => {
  const response = await fetch(`${server.address}/_hearth/echo/a`, { method: "HEAD" });
  expect([response.status, await response.text()]).toEqual([200, ""]);
});

describe("pages", () => {
  const page = { origin: "https://elsewhere.example" };

  async function statusOf(address: string, host: string, origin: string | null): Promise<number> {
    const header = origin === null ? "" : `Origin: ${origin}\r\n`;
    const request = `GET /_hearth/echo/a HTTP/1.1\r\nHost: ${host}\r\n${header}Connection: close\r\n\r\n`;
    return Number((await raw(address, request)).slice(9, 12));
  }

  test("of any origin may call a server that goes by its name; on the machine's own names only those that are allowed", async () => {
    const allowing = await serve({ allowedOrigins: ["https://app.example"] });
    const reachable = await serve({ loopback: false });
    const { host } = new URL(allowing.address);
    try {
      expect(await statusOf(allowing.address, host, null)).toBe(200);
      expect(await statusOf(allowing.address, host, page.origin)).toBe(403);
      expect(await statusOf(allowing.address, host, "https://app.example")).toBe(200);
      expect(await statusOf(allowing.address, host, allowing.address)).toBe(200);
      expect(await statusOf(allowing.address, "chat.example", page.origin)).toBe(200);
      expect(await statusOf(allowing.address, "matrix.chat.example", page.origin)).toBe(200);
      // A name that somebody made point to this machine.
      expect(await statusOf(allowing.address, "rebound.example", null)).toBe(403);
      expect(await statusOf(allowing.address, "rebound.example", "http://rebound.example")).toBe(403);
      expect(await statusOf(reachable.address, "any.example", page.origin)).toBe(200);
    } finally {
      await Promise.all([allowing.close(), reachable.close()]);
    }
  });

  test("are told what they may send and read", async () => {
    const asked = await fetch(`${server.address}/_matrix/v3/whoami`, {
      method: "OPTIONS",
      headers: { ...page, "access-control-request-method": "PUT", "access-control-request-headers": "authorization" },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe("*");
    expect(asked.headers.get("access-control-allow-methods")).toContain("PUT");
    expect(asked.headers.get("access-control-allow-headers")).toContain("Authorization");
    const refused = await ask("/_matrix/v3/whoami", { headers: { origin: server.address } });
    expect(refused.headers.get("access-control-allow-origin")).toBe("*");
    expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
  });
});
