import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer, Client } from "../kit/client.ts";
import { startHook, type PolicyHook } from "../kit/policyHook.ts";

/** 200 MB of spaces in some 200 kB. */
const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20, " "));
let hook: PolicyHook;
let server: TestApp;
let alice: Client;

beforeAll(async () => {
  hook = await startHook();
  const policy = { url: hook.url, token: null, timeoutMs: 5000, failure: "refuse" as const, review: false };
  server = await startApp({ mirrors: false, config: { policy } });
  alice = await server.user("alice");
});

afterAll(async () => {
  await server.close();
  await hook.close();
  expect(server.errors).toEqual([]);
});

/** Bytes that the process holds beyond what it did before. */
async function held(work: () => Promise<void>): Promise<number> {
  let most = 0;
  const before = process.memoryUsage.rss();
  const watching = setInterval(() => (most = Math.max(most, process.memoryUsage.rss() - before)), 5);
  await work();
  clearInterval(watching);
  return most;
}

test("a compressed body is taken as it stands, and not unpacked", async () => {
  const zipped = gzipSync(JSON.stringify({ query: "{ server { name } }" }));
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  for (const address of [server.address, server.yogaAddress]) {
    for (const body of [zipped, bomb]) {
      const response = await fetch(`${address}/graphql`, { method: "POST", headers, body });
      const { data, errors } = (await response.json()) as Answer;
      expect(data).toBeUndefined();
      expect(errors).toMatchObject([{ extensions: { code: "BAD_INPUT" } }]);
    }
  }
  const login = gzipSync(JSON.stringify({ type: "m.login.password" }));
  const answer = await fetch(`${server.address}/_matrix/client/v3/login`, { method: "POST", headers, body: login });
  expect(await answer.json()).toMatchObject({ errcode: "M_NOT_JSON" });
});

test("an answer that unpacks to more than an answer may have is given up at that", async () => {
  hook.answer = () => (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(bomb);
  };
  const create = "mutation { createRoom(input: {}) { room { id } } }";
  const most = await held(async () => {
    for (let n = 0; n < 3; n++) expect(await alice.code(create)).toBe("OVERLOADED");
  });
  expect(most).toBeLessThan(150 * 2 ** 20);
});
