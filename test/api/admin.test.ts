import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

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

const account = "account { user { id } admin deactivatedAt deactivationReason }";
const documents = {
  deactivateUser: `mutation ($input: DeactivateUserInput!) { deactivateUser(input: $input) { ${account} } }`,
  reactivateUser: `mutation ($input: ReactivateUserInput!) { reactivateUser(input: $input) { ${account} } }`,
  resetPassword: `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { ${account} } }`,
  setUserAdmin: `mutation ($input: SetUserAdminInput!) { setUserAdmin(input: $input) { ${account} } }`,
  createRegistrationToken: `mutation ($input: CreateRegistrationTokenInput!) {
    createRegistrationToken(input: $input) { registrationToken { token createdAt expiresAt usesLeft } }
  }`,
  deleteRegistrationToken: `mutation ($input: DeleteRegistrationTokenInput!) {
    deleteRegistrationToken(input: $input) { token deleted }
  }`,
};
type Mutation = keyof typeof documents;

const list = `query ($search: String, $includeDeactivated: Boolean! = true, $first: Int! = 50, $after: ChunkToken) {
  users(search: $search, includeDeactivated: $includeDeactivated, first: $first, after: $after) {
    nodes { user { id } admin createdAt deactivatedAt lastSeenAt deviceCount }
    totalCount
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}`;
const whoAmI = "{ viewer { user { id } admin } }";
const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken viewer { admin } } }";
const register = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }";

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

/** The code and field of what is refused. */
async function refused(client: Client, name: Mutation, input: Record<string, unknown>): Promise<unknown> {
  const { data, errors } = await client.ask(documents[name], { input });
  expect(data?.[name] ?? null).toBeNull();
  return errors?.[0]?.extensions;
}

async function codeOfLogin(app: TestApp, username: string, secret = password): Promise<string | null> {
  return app.stranger().code(login, { input: { username, password: secret, deviceId: "again" } });
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
    const ask = (secret: string) =>
      server.stranger().ask(login, { input: { username: "bob", password: secret, deviceId: "d" } });
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
    const change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { viewer { admin } } }";
    const devices = Array.from({ length: 8 }, (_, number) => `device${number}`);
    const logins = devices.map((deviceId) => Client.login(server.address, "ivan", deviceId).catch(() => null));
    const changing = ivan.code(change, { input: { password, newPassword: "what ivan wants" } });
    await Promise.race(logins);
    await act(root, "resetPassword", { userId: ivan.userId, newPassword: "what root wants" });
    const codes = await Promise.all((await Promise.all(logins)).map((client) => client?.code(whoAmI)));
    expect(codes).not.toContain(null);
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
    await act(root, "setUserAdmin", { userId: kim.userId, admin: true });
    expect(await kim.code(list)).toBeNull();
    await sql(server.databaseUrl, "UPDATE account SET admin = false WHERE user_id = '@kim:localhost'");
    expect(await kim.code(list)).toBeNull();
    expect(await refused(kim, "createRegistrationToken", { token: "late" })).toEqual({ code: "FORBIDDEN" });
    expect(await refused(kim, "deactivateUser", { userId: root.userId })).toEqual({ code: "FORBIDDEN" });
  });

  test("one admin is always left, also when two go for each other at once", async () => {
    const small = await startApp();
    const [ann, ben] = [await small.user("ann"), await small.user("ben")];
    const set = "UPDATE account SET admin = true WHERE user_id = ANY ($1)";
    await sql(small.databaseUrl, set, [[ann.userId]]);
    await small.app.domain.accounts.forgetAll();
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
      const against = ({ userId }: Client) =>
        mutation === "setUserAdmin" ? { userId, admin: false } : { userId, reason: "quarrel" };
      const codes = await Promise.all([
        ann.code(documents[mutation], { input: against(again) }),
        again.code(documents[mutation], { input: against(ann) }),
      ]);
      expect(codes.filter((code) => code === null)).toHaveLength(1);
      const left = "SELECT user_id FROM account WHERE admin AND deactivated_at IS NULL";
      expect(await sql(small.databaseUrl, left)).toHaveLength(1);
      if (mutation === "deactivateUser") break;
      await sql(small.databaseUrl, set, [[ann.userId, again.userId]]);
      small.app.domain.accounts.forgetAll();
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

describe("registration tokens", () => {
  const minute = 60_000;
  let closedShop: TestApp;
  let admin: Client;
  let now = Date.now();

  beforeAll(async () => {
    const settings = { admins: ["admin"], registration: "token" as const, registrationTokens: ["sesame"] };
    closedShop = await startApp({ config: settings, clock: { now: () => now }, mirrors: false });
    const input = { username: "admin", password, deviceId: "d", registrationToken: "sesame" };
    expect(await closedShop.stranger().code(register, { input })).toBeNull();
    admin = await Client.login(closedShop.address, "admin", "d");
  });
  afterAll(async () => {
    expect(closedShop.errors).toEqual([]);
    await closedShop.close();
  });

  async function make(input: Record<string, unknown>): Promise<Record<string, unknown>> {
    const data = await admin.do<{ createRegistrationToken: { registrationToken: Record<string, unknown> } }>(
      documents.createRegistrationToken,
      { input },
    );
    return data.createRegistrationToken.registrationToken;
  }

  async function enter(username: string, registrationToken: unknown, more: Record<string, unknown> = {}) {
    const input = { username, password, deviceId: "d", registrationToken, ...more };
    const { errors } = await closedShop.stranger().ask(register, { input });
    return errors?.[0]?.extensions ?? null;
  }

  async function usesLeft(token: unknown): Promise<unknown> {
    const data = await admin.do<{ registrationTokens: { token: string; usesLeft: number | null }[] }>(
      "{ registrationTokens { token usesLeft } }",
    );
    return data.registrationTokens.find((each) => each.token === token)?.usesLeft;
  }

  const closed = { code: "REGISTRATION_CLOSED", field: "registrationToken" };

  test("[ACC-5] let as many register as they have uses, and any number without a bound", async () => {
    const { token } = await make({ uses: 2 });
    expect(token).toMatch(/^[\w-]{22}$/);
    expect(await enter("uses-a", token)).toBeNull();
    expect(await usesLeft(token)).toBe(1);
    expect(await enter("uses-b", token)).toBeNull();
    expect(await enter("uses-c", token)).toEqual(closed);
    const unbounded = await make({ token: "any number" });
    expect(unbounded).toMatchObject({ token: "any number", usesLeft: null, expiresAt: null });
    for (const name of ["any-a", "any-b"]) expect(await enter(name, "any number")).toBeNull();
    expect(await usesLeft("any number")).toBeNull();
    expect(await enter("uses-d", "sesame")).toBeNull();
    for (const wrong of ["wrong", "", "any\0number", null]) expect(await enter("uses-e", wrong)).toEqual(closed);
  });

  test("[ACC-5] of many who come at once with one use, one gets in", async () => {
    const { token } = await make({ uses: 1 });
    const names = Array.from({ length: 6 }, (_, number) => `crowd-${number}`);
    const answers = await Promise.all(names.map((name) => enter(name, token)));
    expect(answers.filter((answer) => answer === null)).toHaveLength(1);
    expect(answers.filter((answer) => answer !== null)).toEqual(Array(5).fill(closed));
    const made = await sql(closedShop.databaseUrl, "SELECT FROM account WHERE user_id LIKE '@crowd-%'");
    expect(made).toHaveLength(1);
    expect(await usesLeft(token)).toBe(0);
  });

  test("[ACC-5] who fails to register uses nothing", async () => {
    const { token } = await make({ uses: 1 });
    expect(await enter("admin", token)).toMatchObject({ code: "USER_IN_USE" });
    expect(await enter("Capital", token)).toMatchObject({ code: "INVALID_USERNAME" });
    expect(await enter("weak", token, { password: "short" })).toMatchObject({ code: "WEAK_PASSWORD" });
    expect(await enter("device", token, { deviceId: "" })).toMatchObject({ code: "BAD_INPUT" });
    const names = Array.from({ length: 4 }, () => enter("same-name", token));
    expect((await Promise.all(names)).filter((answer) => answer === null)).toHaveLength(1);
    expect(await usesLeft(token)).toBe(0);
  });

  test("[ACC-5] end at their time", async () => {
    const expiresAt = new Date(now + minute).toISOString();
    const { token, ...rest } = await make({ expiresAt });
    expect(rest).toMatchObject({ expiresAt, createdAt: new Date(now).toISOString() });
    expect(await enter("early", token)).toBeNull();
    now += minute;
    expect(await enter("late", token)).toEqual(closed);
    expect(await refused(admin, "createRegistrationToken", { expiresAt })).toEqual({
      code: "BAD_INPUT",
      field: "expiresAt",
    });
  });

  test("[ACC-5] made again they are the same, and made otherwise a CONFLICT", async () => {
    const input = { token: "twice", uses: 3, expiresAt: new Date(now + minute).toISOString() };
    expect(await make(input)).toEqual(await make(input));
    const conflict = { code: "CONFLICT", field: "token" };
    expect(await refused(admin, "createRegistrationToken", { ...input, uses: 4 })).toEqual(conflict);
    expect(await refused(admin, "createRegistrationToken", { token: "twice", uses: 3 })).toEqual(conflict);
    expect(await usesLeft("twice")).toBe(3);
  });

  test.each([
    ["token", { token: "sesame" }],
    ["token", { token: "" }],
    ["token", { token: "a\0b" }],
    ["token", { token: "x".repeat(256) }],
    ["uses", { uses: 0 }],
  ])("[ACC-5] a wrong %s is BAD_INPUT: %j", async (field, input) => {
    expect(await refused(admin, "createRegistrationToken", input)).toEqual({ code: "BAD_INPUT", field });
  });

  test("[ACC-5] are listed, the newest first, and count no more once deleted", async () => {
    now += minute;
    await make({ token: "older" });
    now += minute;
    await make({ token: "newer" });
    const data = await admin.do<{ registrationTokens: { token: string }[] }>("{ registrationTokens { token } }");
    expect(data.registrationTokens.slice(0, 2)).toEqual([{ token: "newer" }, { token: "older" }]);
    expect(data.registrationTokens).not.toContainEqual({ token: "sesame" });
    const input = { token: "older" };
    expect(await admin.do(documents.deleteRegistrationToken, { input })).toEqual({
      deleteRegistrationToken: { token: "older", deleted: true },
    });
    expect(await admin.do(documents.deleteRegistrationToken, { input })).toEqual({
      deleteRegistrationToken: { token: "older", deleted: false },
    });
    expect(await enter("too-late", "older")).toEqual(closed);
    expect(await refused(admin, "deleteRegistrationToken", { token: "" })).toMatchObject({ code: "BAD_INPUT" });
  });
});
