import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createAttempts } from "../../src/domain/limits/attempts.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";

// 3 attempts a minute at one account from one address, 9 from one address, 30 at one account.
const config = { rates: { requests: 10_000, actions: 10_000, logins: 3 }, trustedProxies: ["127.0.0.1"] };
const right = "correct horse battery";

let now = Date.now();
const clock = { now: () => now };
let server: TestApp;
/** Another process at the same database. */
let other: TestApp;
let tokens: Record<string, string>;
let hosts = 0;

beforeAll(async () => {
  server = await startApp({ mirrors: false, config, clock });
  other = await startApp({ mirrors: false, config, clock, databaseUrl: server.databaseUrl });
  tokens = {};
  for (const name of ["alice", "bob", "carol", "dave"]) {
    tokens[name] = (await server.user(name)).token!;
    // They register from one address.
    now += 60_000;
  }
});
beforeEach(() => {
  now += 120_000;
});
afterAll(async () => {
  expect([...server.errors, ...other.errors]).toEqual([]);
  await other.close();
  await server.close();
});

/** An address that nobody has used. */
function anywhere(): string {
  hosts++;
  return `203.0.${hosts >> 8}.${hosts & 255}`;
}

interface Outcome {
  code: string | null;
  retryAfterMs?: unknown;
}
const wrong: Outcome = { code: "BAD_CREDENTIALS" };
const slowed = (retryAfterMs: number): Outcome => ({ code: "RATE_LIMITED", retryAfterMs });

async function mutate(from: string, mutation: string, input: object, { at = server, as = "" } = {}): Promise<Outcome> {
  const type = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { __typename } }`;
  const response = await fetch(`${at.address}/graphql`, {
    method: "POST",
    headers: {
      ...{ "content-type": "application/json", "x-forwarded-for": from },
      ...(as === "" ? {} : { authorization: `Bearer ${tokens[as]}` }),
    },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { errors } = (await response.json()) as Answer;
  const { code = null, retryAfterMs } = (errors?.[0]?.extensions ?? {}) as { code?: string; retryAfterMs?: unknown };
  return { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function logIn(from: string, username: string, password = "wrong password", at = server): Promise<Outcome> {
  return mutate(from, "login", { username, password, deviceId: "elsewhere" }, { at });
}

const done: Outcome = { code: null };

test.each([
  ["an account", "alice"],
  ["an account by its user id", "@alice:localhost"],
  ["a name that nobody has", "nobody"],
  ["what can be no name", "\u0000".repeat(3) + "x".repeat(5000)],
])("[ACC-1] after some wrong passwords from one address it is slowed: %s", async (_what, name) => {
  const from = anywhere();
  for (let tried = 0; tried < 3; tried++) expect(await logIn(from, name)).toEqual(wrong);
  expect(await logIn(from, name)).toEqual(slowed(20_000));
  now += 19_999;
  expect(await logIn(from, name, right)).toEqual(slowed(1));
  now += 1;
  expect(await logIn(from, name)).toEqual(wrong);
  expect(await logIn(from, name)).toEqual(slowed(20_000));
  // Nobody else is.
  expect(await logIn(from, "bob")).toEqual(wrong);
  expect(await logIn(anywhere(), name)).toEqual(wrong);
});

test("[ACC-1] both ways of writing a name are one account", async () => {
  const from = anywhere();
  for (const name of ["alice", "@alice:localhost", "alice"]) expect(await logIn(from, name)).toEqual(wrong);
  expect(await logIn(from, "@alice:localhost")).toEqual(slowed(20_000));
});

test("[ACC-1] of many attempts at once, at several processes, no more are made than one after the other", async () => {
  const from = anywhere();
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, (_, index) => logIn(from, "carol", "wrong password", index % 2 === 0 ? server : other)),
  );
  expect(outcomes.filter(({ code }) => code === "BAD_CREDENTIALS")).toHaveLength(3);
  expect(outcomes.filter(({ code }) => code === "RATE_LIMITED")).toHaveLength(5);
});

test("[ACC-1] who knows the password begins anew, for the account but not for the address", async () => {
  const from = anywhere();
  for (let round = 0; round < 3; round++) {
    for (let tried = 0; tried < 2; tried++) expect(await logIn(from, "bob")).toEqual(wrong);
    expect(await logIn(from, "bob", right)).toEqual(done);
  }
  // By now the address has made all that it may.
  expect(await logIn(from, "bob", right)).toEqual(slowed(6660));
});

test("[ACC-1] one address tries a few accounts, not all", async () => {
  const from = anywhere();
  for (let tried = 0; tried < 9; tried++) expect(await logIn(from, `name${tried}`)).toEqual(wrong);
  expect(await logIn(from, "name9")).toEqual(slowed(6660));
  const network = (host: number): string => `2001:db8:0:1::${host}`;
  for (let tried = 0; tried < 9; tried++) expect(await logIn(network(tried), `name${tried}`)).toEqual(wrong);
  expect((await logIn(network(9), "name9")).code).toBe("RATE_LIMITED");
});

test("[ACC-1] many addresses together are slowed, and lock nobody out of where they usually are", async () => {
  const home = anywhere();
  expect(await logIn(home, "dave", right)).toEqual(done);
  now += 86_400_000;
  for (let tried = 0; tried < 30; tried++) expect(await logIn(anywhere(), "dave")).toEqual(wrong);
  expect(await logIn(anywhere(), "dave")).toEqual(slowed(2000));
  // What is refused isn't counted: whoever waits gets their turn.
  for (let tried = 0; tried < 5; tried++) expect((await logIn(anywhere(), "dave")).code).toBe("RATE_LIMITED");
  expect(await logIn(home, "dave", "mistyped")).toEqual(wrong);
  now += 2000;
  expect(await logIn(anywhere(), "dave", right)).toEqual(done);
  expect(await logIn(anywhere(), "dave")).toEqual(wrong);
});

test("[ACC-1] where somebody was a long time ago they aren't known any more", async () => {
  const home = anywhere();
  expect(await logIn(home, "dave", right)).toEqual(done);
  now += 31 * 86_400_000;
  for (let tried = 0; tried < 30; tried++) expect(await logIn(anywhere(), "dave")).toEqual(wrong);
  expect(await logIn(home, "dave", right)).toEqual(slowed(2000));
});

test("[ACC-1] [ACC-3] a password that is asked for again counts with those of logging in", async () => {
  const from = anywhere();
  const change = { password: "wrong password", newPassword: "another password" };
  expect(await mutate(from, "changePassword", change, { as: "alice" })).toEqual(wrong);
  expect(await mutate(from, "deleteAccount", { password: "wrong password" }, { as: "alice" })).toEqual(wrong);
  expect(await logIn(from, "alice")).toEqual(wrong);
  expect(await mutate(from, "changePassword", { ...change, password: right }, { as: "alice" })).toEqual(slowed(20_000));
  expect(await mutate(from, "deleteAccount", { password: right }, { as: "alice" })).toEqual(slowed(20_000));
});

describe("[AS-13] over REST", () => {
  async function call(from: string, path: string, body: object): Promise<[number, Record<string, unknown>]> {
    const response = await fetch(`${server.address}/_matrix/client/v3${path}`, {
      method: "POST",
      headers: { "x-forwarded-for": from },
      body: JSON.stringify(body),
    });
    return [response.status, (await response.json()) as Record<string, unknown>];
  }

  test("logging in is slowed with that of GraphQL", async () => {
    const from = anywhere();
    const body = { type: "m.login.password", user: "carol", password: "wrong password" };
    expect(await logIn(from, "carol")).toEqual(wrong);
    for (let tried = 0; tried < 2; tried++) expect((await call(from, "/login", body))[0]).toBe(403);
    expect(await call(from, "/login", body)).toMatchObject([
      429,
      { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 20_000 },
    ]);
  });

  test("registering is slowed for its address, and asking what it takes is not", async () => {
    const from = anywhere();
    const body = (username: string) => ({ username, password: right, auth: { type: "m.login.dummy" } });
    for (let asked = 0; asked < 5; asked++) expect((await call(from, "/register", {}))[0]).toBe(401);
    for (const name of ["eve", "eve", "frank"]) await call(from, "/register", body(name));
    expect((await call(from, "/register", body("grace")))[0]).toBe(429);
    const input = { username: "grace", password: right, deviceId: "d" };
    expect(await mutate(from, "register", input)).toEqual(slowed(20_000));
    expect(await mutate(anywhere(), "register", input)).toEqual(done);
  });
});

test("attempts are forgotten when they count no more, and the store knows no names", async () => {
  const from = anywhere();
  await logIn(from, "alice");
  await logIn(from, "bob", right);
  const rows = () => sql<{ key: string; known_until: Date | null }>(server.databaseUrl, "SELECT * FROM attempt");
  expect(JSON.stringify(await rows())).not.toMatch(/alice|bob|203/);
  now += 60_000;
  const attempts = createAttempts({
    ...{ rates: config.rates, connection: server.database.reader, clock },
  });
  await attempts.clean();
  const left = await rows();
  expect(left.length).toBeGreaterThan(0);
  expect(left.every(({ known_until }) => known_until !== null && known_until.getTime() > now)).toBe(true);
  now += 40 * 86_400_000;
  await attempts.clean();
  expect(await rows()).toEqual([]);
});
