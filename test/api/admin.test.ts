import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAdmin } from "../../src/domain/admin.ts";
import { createPasswords } from "../../src/domain/passwords.ts";
import { randomIds, systemClock } from "../../src/system.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { documents, refused, register, type Mutation } from "./support/admin.ts";

const password = "correct horse battery";
const config = { admins: ["root"] };

let server: TestApp;
/** Another process on the same database. */
let other: TestApp;
let root: Client;

beforeAll(async () => {
  server = await startApp({ config });
  other = await startApp({ config, databaseUrl: server.databaseUrl });
  root = await server.user("root");
});
afterAll(async () => {
  expect([...server.errors, ...other.errors]).toEqual([]);
  await other.close();
  await server.close();
});

const list = `query ($search: String, $includeDeactivated: Boolean! = true, $first: Int! = 50, $after: ChunkToken) {
  users(search: $search, includeDeactivated: $includeDeactivated, first: $first, after: $after) {
    nodes { user { id } admin createdAt deactivatedAt lastSeenAt deviceCount }
    totalCount
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}`;
const whoAmI = "{ viewer { user { id } admin } }";
const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken viewer { admin } } }";

interface AccountAnswer {
  user: { id: string };
  admin: boolean;
  deactivatedAt: string | null;
  deactivationReason: string | null;
}

/** Does it as an admin, and gives the account as it is then. */
async function act(admin: Client, name: Mutation, input: Record<string, unknown>): Promise<AccountAnswer> {
  const data = await admin.do<Record<string, { account: AccountAnswer }>>(documents[name], { input });
  return data[name]!.account;
}

async function codeOfLogin(app: TestApp, username: string, secret = password): Promise<string | null> {
  return app.stranger().code(login, { input: { username, password: secret, deviceId: "again" } });
}

/** Locks all accounts; gives what unlocks them. */
async function holdAccounts(databaseUrl: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query("BEGIN; SELECT FROM account FOR UPDATE");
  return () => client.end();
}

async function waitingForLocks(databaseUrl: string): Promise<number> {
  const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  return (await sql(databaseUrl, waiting)).length;
}

describe("only admins", () => {
  const inputs: [Mutation, Record<string, unknown>][] = [
    ["deactivateUser", { userId: "@root:localhost" }],
    ["reactivateUser", { userId: "@root:localhost" }],
    ["resetPassword", { userId: "@root:localhost", newPassword: "another password" }],
    ["setUserAdmin", { userId: "@root:localhost", admin: false }],
    ["createRegistrationToken", { token: "mine" }],
    ["deleteRegistrationToken", { token: "mine" }],
  ];

  test.each(inputs)(
    "%s is FORBIDDEN for others, whatever they name, and UNAUTHENTICATED without a token",
    async (name, input) => {
      const eve = (await Client.login(server.address, "eve", "d").catch(() => null)) ?? (await server.user("eve"));
      const forbidden = { code: "FORBIDDEN" };
      expect(await refused(eve, name, input)).toEqual(forbidden);
      const nonsense = Object.fromEntries(Object.keys(input).map((key) => [key, key === "admin" ? true : "nonsense"]));
      expect(await refused(eve, name, nonsense)).toEqual(forbidden);
      expect(await refused(server.stranger(), name, input)).toEqual({ code: "UNAUTHENTICATED" });
      expect(await root.code(whoAmI)).toBeNull();
      expect(await root.do("{ registrationTokens { token } }")).toEqual({ registrationTokens: [] });
    },
  );

  test("the lists are FORBIDDEN and UNAUTHENTICATED likewise", async () => {
    const mallory = await server.user("mallory");
    for (const query of [list, "{ registrationTokens { token } }"]) {
      expect(await mallory.code(query)).toBe("FORBIDDEN");
      expect(await mallory.code(query, { first: -1, after: "nonsense" })).toBe("FORBIDDEN");
      expect(await server.stranger().code(query)).toBe("UNAUTHENTICATED");
    }
  });

  test.each(inputs.slice(0, 4))("%s of nobody is NOT_FOUND, and of no user id BAD_INPUT", async (name, input) => {
    const error = { code: "NOT_FOUND", field: "userId" };
    expect(await refused(root, name, { ...input, userId: "@nobody:localhost" })).toEqual(error);
    expect(await refused(root, name, { ...input, userId: "root" })).toEqual({ ...error, code: "BAD_INPUT" });
  });
});

describe("users", () => {
  interface Users {
    users: {
      nodes: { user: { id: string }; admin: boolean; deactivatedAt: string | null; deviceCount: number }[];
      totalCount: number;
      pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; endCursor: string };
    };
  }

  test("are listed page by page, by user id, as far as they match", async () => {
    for (const name of ["list-c", "list-a", "list-b", "listless"]) await server.user(name);
    await Client.login(server.address, "list-a", "phone");
    await act(root, "deactivateUser", { userId: "@list-b:localhost" });

    const first = await root.do<Users>(list, { search: "LIST-", first: 2 });
    expect(first.users.nodes).toMatchObject([
      { user: { id: "@list-a:localhost" }, admin: false, deactivatedAt: null, deviceCount: 2 },
      { user: { id: "@list-b:localhost" }, deactivatedAt: expect.any(String), deviceCount: 1 },
    ]);
    expect(first.users).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const after = first.users.pageInfo.endCursor;
    const second = await root.do<Users>(list, { search: "list-", first: 2, after });
    expect(second.users.nodes.map(({ user }) => user.id)).toEqual(["@list-c:localhost"]);
    expect(second.users).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: false, hasPreviousPage: true } });

    const active = await root.do<Users>(list, { search: "list-", includeDeactivated: false });
    expect(active.users.nodes.map(({ user }) => user.id)).toEqual(["@list-a:localhost", "@list-c:localhost"]);
    expect(active.users.totalCount).toBe(2);
  });

  test("an admin by the settings is shown as one, and a search takes no wildcards", async () => {
    const found = await root.do<Users>(list, { search: "@root:" });
    expect(found.users.nodes).toMatchObject([{ user: { id: "@root:localhost" }, admin: true }]);
    expect((await root.do<Users>(list, { search: "r%t" })).users.nodes).toEqual([]);
    expect((await root.do<Users>(list, { search: "ro\0ot" })).users.nodes).toHaveLength(1);
  });

  test("when somebody was there last is told", async () => {
    const seen = await server.user("list-seen");
    await seen.do(whoAmI);
    const lastSeen = async (): Promise<unknown> =>
      (await root.do<{ users: { nodes: { lastSeenAt: unknown }[] } }>(list, { search: "list-seen" })).users.nodes[0];
    await until(async () => ((await lastSeen()) as { lastSeenAt: unknown }).lastSeenAt !== null);
  });

  test("pages too large are BAD_INPUT, tokens of other lists BAD_TOKEN", async () => {
    expect(await root.code(list, { first: 501 })).toBe("BAD_INPUT");
    expect(await root.code(list, { first: -1 })).toBe("BAD_INPUT");
    const roomId = await root.createRoom();
    const data = await root.do<{ room: { members: { edges: { cursor: string }[] } } }>(
      "query ($roomId: ID!) { room(id: $roomId) { members { edges { cursor } } } }",
      { roomId },
    );
    expect(await root.code(list, { after: data.room.members.edges[0]!.cursor })).toBe("BAD_TOKEN");
  });
});

test("the process that changes something needs no notification of its own", async () => {
  const leo = await server.user("leo");
  const told: string[][] = [];
  const { tokens, server: self } = server.app.domain;
  const admin = createAdmin({
    ...{ database: server.database, clock: systemClock, ids: randomIds, passwords: createPasswords(), tokens },
    ...{ log: pino({ level: "silent" }), serverName: self.name, registrationTokens: [] },
    admins: new Set([root.userId]),
    onRevoked: (tokenIds) => told.push(["revoked", String(tokenIds.length)]),
    onRights: (userIds) => told.push(["rights", ...userIds]),
  });
  const requester = { userId: root.userId, deviceId: "device", admin: true, tokenId: "" };
  const { userId } = leo;
  await admin.resetPassword(requester, { userId, newPassword: password });
  expect(told.splice(0)).toEqual([["revoked", "1"]]);
  await Client.login(server.address, "leo", "phone");
  await admin.deactivateUser(requester, { userId });
  expect(told.splice(0)).toEqual([["revoked", "1"]]);
  await admin.setUserAdmin(requester, { userId, admin: true });
  expect(told).toContainEqual(["rights", userId]);
});

describe("deactivating", () => {
  test("ends the tokens and streams of the user in every process, and keeps name, rooms and messages", async () => {
    const alice = await server.user("alice");
    const there = await Client.login(other.address, "alice", "phone");
    const roomId = await alice.createRoom({ joinRule: "PUBLIC", name: "Kept" });
    await root.join(roomId);
    const message = await alice.send(roomId, "still here");
    const streams = [await alice.follow(), await there.follow()];

    const shut = await act(root, "deactivateUser", { userId: alice.userId, reason: "left the team" });
    expect(shut).toMatchObject({ user: { id: alice.userId }, deactivationReason: "left the team" });
    expect(await alice.code(whoAmI)).toBe("UNKNOWN_TOKEN");
    await until(async () => (await there.code(whoAmI)) === "UNKNOWN_TOKEN");
    for (const stream of streams) {
      await until(() => stream.failure !== null);
      expect(JSON.stringify(stream.failure)).toContain("UNKNOWN_TOKEN");
    }
    const input = { username: "alice", password, deviceId: "d" };
    expect(await server.stranger().code(register, { input })).toBe("USER_IN_USE");
    expect(await root.timeline(roomId)).toContain(message);
    await alice.close();
    await there.close();
  });

  test("a login is refused exactly as with a wrong password, and reactivating brings the account back as it was", async () => {
    const bob = await server.user("bob");
    await act(root, "deactivateUser", { userId: bob.userId });
    const ask = async (secret: string) => {
      const before = server.database.statements();
      const input = { username: "bob", password: secret, deviceId: "d" };
      const answer = await server.stranger().ask(login, { input });
      // As many statements: it takes the same time, too.
      return { ...answer, statements: server.database.statements() - before };
    };
    const right = await ask(password);
    expect(right.errors![0]!.extensions).toEqual({ code: "BAD_CREDENTIALS" });
    expect(await ask("wrong password")).toEqual(right);

    expect(await act(root, "reactivateUser", { userId: bob.userId })).toMatchObject({ deactivatedAt: null });
    expect(await bob.code(whoAmI)).toBe("UNKNOWN_TOKEN");
    expect(await codeOfLogin(server, "bob")).toBeNull();
  });

  test("doing it again is no error, and the first time and reason stay", async () => {
    const carol = await server.user("carol");
    const first = await act(root, "deactivateUser", { userId: carol.userId, reason: "first" });
    expect(await act(root, "deactivateUser", { userId: carol.userId, reason: "second" })).toEqual(first);
    const open = { deactivatedAt: null, deactivationReason: null };
    expect(await act(root, "reactivateUser", { userId: carol.userId })).toMatchObject(open);
    expect(await act(root, "reactivateUser", { userId: carol.userId })).toMatchObject(open);
  });

  test("nobody deactivates themselves, and a reason is short", async () => {
    const error = { code: "BAD_INPUT", field: "userId" };
    expect(await refused(root, "deactivateUser", { userId: root.userId })).toEqual(error);
    const long = { userId: "@eve:localhost", reason: "x".repeat(1001) };
    expect(await refused(root, "deactivateUser", long)).toEqual({ ...error, field: "reason" });
    expect(await root.code(whoAmI)).toBeNull();
  });

  test("a login that is under way meanwhile leaves no token that would hold later", async () => {
    const dora = await server.user("dora");
    const devices = Array.from({ length: 8 }, (_, number) => `device${number}`);
    const logins = devices.map((deviceId) => Client.login(server.address, "dora", deviceId).catch(() => null));
    // Passwords are verified two at a time, so that some are before and some after.
    await Promise.race(logins);
    await act(root, "deactivateUser", { userId: dora.userId });
    const signedIn = (await Promise.all(logins)).filter((client) => client !== null);
    expect(signedIn.length).toBeGreaterThan(0);
    await act(root, "reactivateUser", { userId: dora.userId });
    for (const client of signedIn) expect(await client.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  });

  test("a token that is left over for whatever reason doesn't hold", async () => {
    const fay = await server.user("fay");
    await sql(server.databaseUrl, "UPDATE account SET deactivated_at = now() WHERE user_id = $1", [fay.userId]);
    server.app.domain.accounts.forgetAll();
    expect(await fay.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  });

  test("who is deactivated still exists for others, and can be invited", async () => {
    const erin = await server.user("erin");
    await act(root, "deactivateUser", { userId: erin.userId });
    expect(await root.code("query ($id: ID!) { user(id: $id) { id } }", { id: erin.userId })).toBeNull();
    await root.membership("invite", await root.createRoom(), erin.userId);
  });
});

describe("resetting a password", () => {
  test("the new one counts, the old one doesn't, and all tokens end everywhere", async () => {
    const frank = await server.user("frank");
    const there = await Client.login(other.address, "frank", "phone");
    await there.do(whoAmI);
    await act(root, "resetPassword", { userId: frank.userId, newPassword: "another password" });
    expect(await frank.code(whoAmI)).toBe("UNKNOWN_TOKEN");
    await until(async () => (await there.code(whoAmI)) === "UNKNOWN_TOKEN");
    expect(await codeOfLogin(server, "frank")).toBe("BAD_CREDENTIALS");
    expect(await codeOfLogin(server, "frank", "another password")).toBeNull();
    await act(root, "resetPassword", { userId: frank.userId, newPassword: "another password" });
    expect(await codeOfLogin(server, "frank", "another password")).toBeNull();
  });

  test("devices stay logged in when that is wished", async () => {
    const grace = await server.user("grace");
    const input = { userId: grace.userId, newPassword: "another password", logoutDevices: false };
    await act(root, "resetPassword", input);
    expect(await grace.code(whoAmI)).toBeNull();
    expect(await codeOfLogin(server, "grace")).toBe("BAD_CREDENTIALS");
  });

  test("a weak password is refused, and so is an account without one", async () => {
    const heidi = await server.user("heidi");
    const weak = { userId: heidi.userId, newPassword: "short" };
    expect(await refused(root, "resetPassword", weak)).toEqual({ code: "WEAK_PASSWORD", field: "newPassword" });
    const long = { ...weak, newPassword: "x".repeat(1025) };
    expect(await refused(root, "resetPassword", long)).toEqual({ code: "BAD_INPUT", field: "newPassword" });
    await sql(server.databaseUrl, "INSERT INTO account (user_id) VALUES ('@bridge:localhost')");
    const bridge = { userId: "@bridge:localhost", newPassword: "another password" };
    expect(await refused(root, "resetPassword", bridge)).toEqual({ code: "BAD_INPUT", field: "userId" });
    expect(await heidi.code(whoAmI)).toBeNull();
    expect(await codeOfLogin(server, "heidi")).toBeNull();
  });

  test("logins and changes that showed the old password meanwhile are refused", async () => {
    const ivan = await server.user("ivan");
    const rootThere = await Client.login(other.address, "root", "there");
    const change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { viewer { admin } } }";
    const devices = Array.from({ length: 8 }, (_, number) => `device${number}`);
    const logins = devices.map((deviceId) => Client.login(server.address, "ivan", deviceId).catch(() => null));
    const changing = ivan.code(change, { input: { password, newPassword: "what ivan wants" } });
    await Promise.race(logins);
    // The other process hashes while this one verifies; here it would wait for the logins.
    await act(rootThere, "resetPassword", { userId: ivan.userId, newPassword: "what root wants" });
    const signedIn = (await Promise.all(logins)).filter((client) => client !== null);
    expect(signedIn.length).toBeGreaterThan(0);
    for (const client of signedIn) await until(async () => (await client.code(whoAmI)) === "UNKNOWN_TOKEN");
    // Whether the change came first or was refused.
    await changing;
    expect(await codeOfLogin(server, "ivan", "what root wants")).toBeNull();
  });
});

describe("admin rights", () => {
  test("are given and taken at once, also where a token is remembered", async () => {
    const judy = await server.user("judy");
    const there = await Client.login(other.address, "judy", "phone");
    for (const client of [judy, there]) expect(await client.code(list)).toBe("FORBIDDEN");
    const given = { userId: judy.userId, admin: true };
    expect(await act(root, "setUserAdmin", given)).toMatchObject({ admin: true });
    expect(await act(root, "setUserAdmin", given)).toMatchObject({ admin: true });
    expect(await judy.do(whoAmI)).toMatchObject({ viewer: { admin: true } });
    await until(async () => (await there.code(list)) === null);
    expect((await judy.do<{ users: { nodes: unknown[] } }>(list, { search: "judy" })).users.nodes).toMatchObject([
      { admin: true },
    ]);

    const taken = { userId: judy.userId, admin: false };
    expect(await act(root, "setUserAdmin", taken)).toMatchObject({ admin: false });
    expect(await act(root, "setUserAdmin", taken)).toMatchObject({ admin: false });
    expect(await judy.code(list)).toBe("FORBIDDEN");
    await until(async () => (await there.code(list)) === "FORBIDDEN");
  });

  test("those of the settings can't be changed", async () => {
    const error = { code: "BAD_INPUT", field: "userId" };
    expect(await refused(root, "setUserAdmin", { userId: root.userId, admin: false })).toEqual(error);
    const { errors } = await root.ask(documents.setUserAdmin, { input: { userId: root.userId, admin: true } });
    expect(errors![0]!.message).toContain("HEARTH_ADMINS");
  });

  test("a process that hasn't heard of it yet changes nothing either", async () => {
    const kim = await server.user("kim");
    const set = "UPDATE account SET admin = $1 WHERE user_id = $2";
    await sql(server.databaseUrl, set, [true, kim.userId]);
    server.app.domain.accounts.forgetAll();
    expect(await kim.code(list)).toBeNull();
    await sql(server.databaseUrl, set, [false, kim.userId]);
    expect(await kim.code(list)).toBeNull();
    expect(await refused(kim, "createRegistrationToken", { token: "late" })).toEqual({ code: "FORBIDDEN" });
    expect(await refused(kim, "deactivateUser", { userId: root.userId })).toEqual({ code: "FORBIDDEN" });
  });

  test("one admin is always left, also when two go for each other at once", async () => {
    const small = await startApp();
    const [ann, ben] = [await small.user("ann"), await small.user("ben")];
    const set = "UPDATE account SET admin = true WHERE user_id = ANY ($1)";
    await sql(small.databaseUrl, set, [[ann.userId]]);
    small.app.domain.accounts.forgetAll();
    expect(await refused(ann, "setUserAdmin", { userId: ann.userId, admin: false })).toEqual({
      code: "BAD_INPUT",
      field: "userId",
    });
    // An admin who can't sign in is none.
    await sql(small.databaseUrl, `${set.replace(" WHERE", ", deactivated_at = now() WHERE")}`, [[ben.userId]]);
    expect(await ann.code(documents.setUserAdmin, { input: { userId: ann.userId, admin: false } })).toBe("BAD_INPUT");
    await act(ann, "reactivateUser", { userId: ben.userId });
    const again = await Client.login(small.address, "ben", "d");

    for (const mutation of ["setUserAdmin", "deactivateUser"] as const) {
      await sql(small.databaseUrl, set, [[ann.userId, again.userId]]);
      small.app.domain.accounts.forgetAll();
      const extra = mutation === "setUserAdmin" ? { admin: false } : {};
      // Whatever they look at first, both have come as far as the accounts before either changes one.
      const release = await holdAccounts(small.databaseUrl);
      const asked = [
        ann.code(documents[mutation], { input: { userId: again.userId, ...extra } }),
        again.code(documents[mutation], { input: { userId: ann.userId, ...extra } }),
      ];
      await until(async () => (await waitingForLocks(small.databaseUrl)) === 2);
      await release();
      expect((await Promise.all(asked)).sort()).toEqual(["FORBIDDEN", null]);
    }
    await small.close();
  });

  test("who takes their own rights has none from then on", async () => {
    const lea = await server.user("lea");
    await act(root, "setUserAdmin", { userId: lea.userId, admin: true });
    expect(await act(lea, "setUserAdmin", { userId: lea.userId, admin: false })).toMatchObject({ admin: false });
    expect(await lea.code(list)).toBe("FORBIDDEN");
  });
});
