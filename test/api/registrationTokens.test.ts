import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { documents, refused, register } from "./support/admin.ts";

const password = "correct horse battery";
const minute = 60_000;
let server: TestApp;
let admin: Client;
let now = Date.now();

beforeAll(async () => {
  const settings = { admins: ["admin"], registration: "token" as const, registrationTokens: ["sesame"] };
  server = await startApp({ config: settings, clock: { now: () => now }, mirrors: false });
  const input = { username: "admin", password, deviceId: "d", registrationToken: "sesame" };
  expect(await server.stranger().code(register, { input })).toBeNull();
  admin = await Client.login(server.address, "admin", "d");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
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
  const { errors } = await server.stranger().ask(register, { input });
  return errors?.[0]?.extensions ?? null;
}

async function usesLeft(token: unknown): Promise<unknown> {
  const data = await admin.do<{ registrationTokens: { token: string; usesLeft: number | null }[] }>(
    "{ registrationTokens { token usesLeft } }",
  );
  return data.registrationTokens.find((each) => each.token === token)?.usesLeft;
}

const closed = { code: "REGISTRATION_CLOSED", field: "registrationToken" };

test("[ACC-5] registration tokens let as many register as they have uses, and any number without a bound", async () => {
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
  const made = await sql(server.databaseUrl, "SELECT FROM account WHERE user_id LIKE '@crowd-%'");
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

test("[ACC-5] registration tokens end at their time", async () => {
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

test("[ACC-5] registration tokens that are made again are the same, and made otherwise a CONFLICT", async () => {
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

test("[ACC-5] registration tokens are listed, the newest first, and count no more once deleted", async () => {
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
