import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReadiness } from "../../src/domain/readiness.ts";
import type { Head } from "../../src/domain/sync/head.ts";
import type { Log } from "../../src/model/ports.ts";
import type { Database } from "../../src/store/database.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { until } from "../kit/until.ts";

const token = "a-token-for-those-who-measure";
let server: TestApp;
let guarded: TestApp;

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  guarded = await startApp({
    databaseUrl: server.databaseUrl,
    mirrors: false,
    config: { metricsToken: token, host: "0.0.0.0" },
  });
});

afterAll(async () => {
  await guarded.close();
  await server.close();
  expect([...server.errors, ...guarded.errors]).toEqual([]);
});

interface Answer {
  status: number;
  body: unknown;
}

/** Sends the first half of a request; gives what sends the rest and waits for the answer. */
async function begin(address: string, path: string): Promise<() => Promise<string>> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n`);
  let text = "";
  socket.on("data", (piece) => (text += String(piece)));
  return async () => {
    socket.write("Connection: close\r\n\r\n");
    await once(socket, "close");
    return text;
  };
}

/** Asks with headers that fetch would keep to itself. */
function ask(url: string, options: { headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, options, (res: IncomingMessage) => {
      let text = "";
      res.on("data", (piece) => (text += String(piece)));
      const isJson = res.headers["content-type"]?.includes("json");
      res.on("end", () => resolve({ status: res.statusCode!, body: isJson ? JSON.parse(text) : text }));
    }).on("error", reject);
  });
}

test("/health and /ready tell that the server lives and serves", async () => {
  expect(await ask(`${server.address}/health`)).toEqual({ status: 200, body: { status: "ok" } });
  expect(await ask(`${server.address}/ready`)).toEqual({ status: 200, body: { status: "ready", failing: [] } });
  expect((await fetch(`${server.address}/health`, { method: "HEAD" })).status).toBe(200);
  expect((await fetch(`${server.address}/ready`, { method: "POST" })).status).toBe(405);
});

test("while it closes, the server lives and isn't ready", async () => {
  const other = await startApp({ databaseUrl: server.databaseUrl, mirrors: false });
  // Requests that are coming are still answered.
  const coming = [await begin(other.address, "/ready"), await begin(other.address, "/health")];
  const closing = other.close();
  await until(async () => (await other.app.domain.readiness.hindrances()).includes("closing"));
  const [ready, health] = await Promise.all(coming.map((finish) => finish()));
  expect(ready).toMatch(/^HTTP\/1.1 503 [^]*{"status":"not ready","failing":\["closing"\]}$/);
  expect(health).toMatch(/^HTTP\/1.1 200 [^]*{"status":"ok"}$/);
  await closing;
});

describe("what keeps a server from serving", () => {
  const warned: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_fields, message) => void warned.push(message),
    error: () => undefined,
  };
  let asked = 0;
  let answer: () => Promise<unknown> = () => Promise.resolve([]);
  let lag = { positions: 0, ms: 0 };
  const database = { reader: { $queryRawUnsafe: () => (asked++, answer()) } } as unknown as Database;
  const head = { lag: () => lag } as unknown as Head;
  const answerMs = 50;
  const readiness = () => createReadiness({ database, head, log, answerMs });

  test("a store that fails, or doesn't answer, without a word of what it said", async () => {
    answer = () => Promise.reject(new Error("connect ECONNREFUSED 10.1.2.3:5432"));
    expect(await readiness().hindrances()).toEqual(["store"]);
    answer = () => new Promise(() => undefined);
    const begun = performance.now();
    expect(await readiness().hindrances()).toEqual(["store"]);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(warned).toEqual(["the store doesn't answer", "the store doesn't answer"]);
  });

  test("the store is asked once for all who ask while the answer holds", async () => {
    asked = 0;
    answer = () => Promise.resolve([]);
    const all = readiness();
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => all.hindrances()));
      expect(answers.flat()).toEqual([]);
    }
    expect(asked).toBe(1);
    await until(async () => (await all.hindrances()).length === 0 && asked === 2);
  });

  test("a silent store isn't asked again until it has answered", async () => {
    asked = 0;
    let goOn = (): void => undefined;
    answer = () => new Promise<void>((resolve) => (goOn = resolve));
    const silent = readiness();
    const begun = performance.now();
    await until(async () => {
      expect(await silent.hindrances()).toEqual(["store"]);
      return performance.now() - begun > 5 * answerMs;
    });
    expect(asked).toBe(1);
    answer = () => Promise.resolve([]);
    goOn();
    await until(async () => (await silent.hindrances()).length === 0);
    expect(asked).toBe(2);
    expect(warned.at(-1)).toBe("the store answers again");
  });

  test("a stream that stands still while there is more", async () => {
    answer = () => Promise.resolve([]);
    lag = { positions: 5, ms: 9000 };
    expect(await readiness().hindrances()).toEqual([]);
    lag = { positions: 5, ms: 11_000 };
    expect(await readiness().hindrances()).toEqual(["stream"]);
    lag = { positions: 0, ms: 0 };
  });
});

describe("/metrics is for those who run the server", () => {
  test("with a token for who shows it, in a header", async () => {
    const url = `http://127.0.0.1:${new URL(guarded.address).port}/metrics`;
    const bearer = (shown: string) => ask(url, { headers: { authorization: `Bearer ${shown}` } });
    expect(await bearer(token)).toMatchObject({
      status: 200,
      body: expect.stringContaining("hearth_ready 1") as string,
    });
    expect(await bearer(`${token}r`)).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    expect(await ask(url)).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    expect(await ask(`${url}?access_token=${token}`)).toMatchObject({ status: 401 });
  });

  test("without one for who asks on the machine itself, and through no proxy", async () => {
    const url = `${server.address}/metrics`;
    expect(await ask(url)).toMatchObject({ status: 200 });
    for (const header of ["x-forwarded-for", "forwarded", "x-real-ip"]) {
      expect(await ask(url, { headers: { [header]: "127.0.0.1" } })).toMatchObject({
        status: 403,
        body: { errcode: "M_FORBIDDEN" },
      });
    }
  });

  test("without one for no page that somebody on the machine looks at", async () => {
    const everywhere = await startApp({ databaseUrl: server.databaseUrl, mirrors: false, config: { host: "0.0.0.0" } });
    try {
      const url = `http://127.0.0.1:${new URL(everywhere.address).port}/metrics`;
      expect(await ask(url)).toMatchObject({ status: 200 });
      expect(await ask(url, { headers: { host: "machine" } })).toMatchObject({ status: 200 });
      for (const [name, value] of [
        ["origin", "https://news.example.org"],
        ["host", "rebound.example.org"],
      ] as const) {
        expect(await ask(url, { headers: { [name]: value } })).toMatchObject({
          status: 403,
          body: { errcode: "M_FORBIDDEN" },
        });
      }
    } finally {
      await everywhere.close();
    }
  });

  const own = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === "IPv4");
  test.skipIf(own === undefined)("from elsewhere nobody sees it without a token", async () => {
    const open = await startApp({ databaseUrl: server.databaseUrl, mirrors: false, config: { host: "0.0.0.0" } });
    try {
      const url = `http://${own!.address}:${new URL(open.address).port}/metrics`;
      expect(await ask(url)).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    } finally {
      await open.close();
    }
  });
});
