import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";

let server: TestApp;
beforeAll(async () => {
  server = await startApp();
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const register = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }";
const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
const whoAmI = "{ viewer { user { id } device { deviceId name accessTokens { id } } } }";
const password = "correct horse battery";

test("[ACC-1] who registers is signed in on their device", async () => {
  const alice = await server.user("alice", "phone");
  const data = await alice.do<{
    viewer: { user: { id: string }; device: { deviceId: string; accessTokens: unknown[] } };
  }>(whoAmI);
  expect(data.viewer).toMatchObject({ user: { id: "@alice:localhost" }, device: { deviceId: "phone", name: null } });
  expect(data.viewer.device.accessTokens).toHaveLength(1);
});

test("[ACC-1] without a token there is no viewer; a wrong one is UNKNOWN_TOKEN", async () => {
  const stranger = server.stranger();
  expect(await stranger.do(whoAmI)).toEqual({ viewer: null });
  stranger.token = "hearth_nonsense";
  expect(await stranger.code(whoAmI)).toBe("UNKNOWN_TOKEN");
});

test.each([
  ["USER_IN_USE", "taken"],
  ["INVALID_USERNAME", "Capital"],
  ["INVALID_USERNAME", "white space"],
  ["INVALID_USERNAME", ""],
  ["INVALID_USERNAME", "x".repeat(300)],
])("[ACC-1] %s for the name %j", async (code, username) => {
  await server.user("taken").catch(() => undefined);
  expect(await server.stranger().code(register, { input: { username, password, deviceId: "d" } })).toBe(code);
});

test("[ACC-1] the same name registered at once goes to one of them", async () => {
  const input = { username: "race", password, deviceId: "d" };
  const codes = await Promise.all([1, 2, 3, 4].map(() => server.stranger().code(register, { input })));
  expect(codes.sort()).toEqual(["USER_IN_USE", "USER_IN_USE", "USER_IN_USE", null].sort());
});

test("[ACC-1] a short password is WEAK_PASSWORD, and nothing is stored", async () => {
  const input = { username: "weak", password: "short", deviceId: "d" };
  expect(await server.stranger().code(register, { input })).toBe("WEAK_PASSWORD");
  expect(await sql(server.databaseUrl, "SELECT FROM account WHERE user_id = '@weak:localhost'")).toEqual([]);
});

test("[ACC-1] a new login on a device replaces its token, and others stay", async () => {
  const first = await server.user("carol", "laptop");
  const phone = await Client.login(server.address, "carol", "phone");
  const again = await Client.login(server.address, "@carol:localhost", "laptop");
  expect(await first.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  expect(await phone.code(whoAmI)).toBeNull();
  expect(await again.code(whoAmI)).toBeNull();
});

test("[ACC-1] wrong names and wrong passwords are told apart by nothing", async () => {
  await server.user("dave");
  const answers = await Promise.all([
    server.stranger().ask(login, { input: { username: "dave", password: "wrong password", deviceId: "d" } }),
    server.stranger().ask(login, { input: { username: "nobody", password: "wrong password", deviceId: "d" } }),
    server.stranger().ask(login, { input: { username: "no\0body", password: "wrong password", deviceId: "d" } }),
  ]);
  expect(answers[0]!.errors![0]!.extensions).toEqual({ code: "BAD_CREDENTIALS" });
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
});

test("[ACC-2] logging out ends the token and its live streams", async () => {
  const erin = await server.user("erin");
  const following = await erin.follow();
  await erin.do("mutation { logout { deviceId } }");
  expect(await erin.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  await following.until(({ ended, failure }) => ended || failure !== null).catch(() => undefined);
  expect(JSON.stringify(following.failure)).toContain("UNKNOWN_TOKEN");
  await erin.close();
});

test("[ACC-1] changing the password takes the present one and logs other devices out", async () => {
  const frank = await server.user("frank", "laptop");
  const phone = await Client.login(server.address, "frank", "phone");
  const change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { viewer { user { id } } } }";
  expect(await frank.code(change, { input: { password: "wrong", newPassword: "another password" } })).toBe(
    "BAD_CREDENTIALS",
  );
  expect(await frank.code(change, { input: { password, newPassword: "short" } })).toBe("WEAK_PASSWORD");
  expect(await frank.code(change, { input: { password, newPassword: "another password" } })).toBeNull();
  expect(await frank.code(whoAmI)).toBeNull();
  expect(await phone.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  expect(await server.stranger().code(login, { input: { username: "frank", password, deviceId: "d" } })).toBe(
    "BAD_CREDENTIALS",
  );
});

test("[ACC-4] passwords are kept as Argon2id, tokens as hashes alone", async () => {
  const grace = await server.user("grace");
  const [account] = await sql<{ password_hash: string }>(
    server.databaseUrl,
    "SELECT password_hash FROM account WHERE user_id = '@grace:localhost'",
  );
  expect(account!.password_hash).toMatch(/^\$argon2id\$/);
  const tokens = await sql<{ all: string }>(
    server.databaseUrl,
    "SELECT json_agg(access_token)::text AS all FROM access_token",
  );
  expect(tokens[0]!.all).not.toContain(grace.token!.slice(7));
});

test("[ACC-5] registration by token, and closed", async () => {
  const byToken = await startApp({ config: { registration: "token", registrationTokens: ["sesame"] } });
  const closed = await startApp({ config: { registration: "closed" } });
  const input = { username: "alice", password, deviceId: "d" };
  expect(await byToken.stranger().code(register, { input })).toBe("REGISTRATION_CLOSED");
  expect(await byToken.stranger().code(register, { input: { ...input, registrationToken: "wrong" } })).toBe(
    "REGISTRATION_CLOSED",
  );
  expect(await byToken.stranger().code(register, { input: { ...input, registrationToken: "sesame" } })).toBeNull();
  expect(await closed.stranger().code(register, { input })).toBe("REGISTRATION_CLOSED");
  expect(await closed.stranger().do("{ server { registration } }")).toEqual({ server: { registration: "CLOSED" } });
  await byToken.close();
  await closed.close();
});

test("[ACC-2] a stream that is only just opening when its token is revoked ends as well", async () => {
  const { stream, head } = server.app.domain;
  const base = { userId: "@alice:localhost", deviceId: "phone", rooms: null, users: null };
  // A position that no process has reached yet keeps it waiting.
  const opening = stream.open({ ...base, position: head.position + 1000 }, "revoked while opening");
  stream.end(["revoked while opening"], new Error("revoked"));
  await expect((await opening).next()).rejects.toThrow("revoked");
  const late = await stream.open({ ...base, position: null }, "revoked while opening");
  await expect(late.next()).rejects.toThrow("revoked");
  for (const follower of [await opening, late]) stream.close(follower);
});
