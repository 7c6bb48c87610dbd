import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let root: Client;
let number = 0;
beforeAll(async () => {
  server = await startApp({ config: { admins: ["root"] } });
  root = await server.user("root");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

interface Listed {
  id: string;
  deviceId: string;
  name: string | null;
  createdAt: string;
  lastSeenAt: string | null;
  lastSeenIp: string | null;
  userAgent: string | null;
  accessTokens: { id: string; createdAt: string; lastUsedAt: string | null }[];
}

const list = `query ($userId: ID) { devices(userId: $userId) {
  id deviceId name createdAt lastSeenAt lastSeenIp userAgent user { id }
  accessTokens { id createdAt lastUsedAt } signingKeys { keyId } } }`;
const remove = "mutation ($input: RemoveDeviceInput!) { removeDevice(input: $input) { userId deviceId } }";
const revoke = "mutation ($input: RevokeAccessTokenInput!) { revokeAccessToken(input: $input) { tokenId } }";
const whoAmI = "{ viewer { user { id } } }";

async function devices(client: Client, userId: string | null = null): Promise<Listed[]> {
  return (await client.do<{ devices: Listed[] }>(list, { userId })).devices;
}

async function twoDevices(): Promise<{ name: string; desk: Client; phone: Client }> {
  const name = `user${++number}`;
  const desk = await server.user(name, "desk");
  return { name, desk, phone: await Client.login(server.address, name, "phone") };
}

async function tokenOf(client: Client, deviceId: string): Promise<string> {
  return (await devices(client)).find((device) => device.deviceId === deviceId)!.accessTokens[0]!.id;
}

test("[ACC-2] a user's devices are listed, with when and whence they were used, and tokens without secrets", async () => {
  const { desk, phone } = await twoDevices();
  await phone.ask(whoAmI, {}, { "user-agent": "Pocket/1.0" });
  await until(async () => (await devices(desk)).every(({ lastSeenAt }) => lastSeenAt !== null));
  const found = await devices(desk);
  expect(found.map(({ deviceId }) => deviceId)).toEqual(["desk", "phone"]);
  expect(found[1]).toEqual({
    ...{ id: expect.any(String), deviceId: "phone", name: null, user: { id: desk.userId }, signingKeys: [] },
    ...{ createdAt: expect.any(String), lastSeenAt: expect.any(String), lastSeenIp: "127.0.0.1" },
    ...{
      userAgent: "Pocket/1.0",
      accessTokens: [{ id: expect.any(String), createdAt: expect.any(String), lastUsedAt: expect.any(String) }],
    },
  });
  const secrets = [desk, phone].flatMap(({ token }) => [token!, token!.slice("hearth_".length)]);
  for (const secret of secrets) expect(JSON.stringify(found)).not.toContain(secret);
  // An admin sees the same.
  expect(await devices(root, desk.userId)).toEqual(found);
  expect(await devices(desk, desk.userId)).toEqual(found);
  const { id } = found[1]!;
  const node = "query ($id: ID!) { node(id: $id) { id ... on Device { deviceId accessTokens { id } } } }";
  const { deviceId, accessTokens } = found[1]!;
  const shown = { node: { id, deviceId, accessTokens: [{ id: accessTokens[0]!.id }] } };
  expect(await desk.do(node, { id })).toEqual(shown);
  expect(await root.do(node, { id })).toEqual(shown);
  expect(await (await server.user(`user${++number}`)).do(node, { id })).toEqual({ node: null });
});

test("[ACC-2] the devices of several users each show their own tokens", async () => {
  const [one, two] = [await twoDevices(), await twoDevices()];
  const both = await root.do<Record<"one" | "two", Listed[]>>(
    `query ($one: ID, $two: ID) { one: devices(userId: $one) { accessTokens { id } }
       two: devices(userId: $two) { accessTokens { id } } }`,
    { one: one.desk.userId, two: two.desk.userId },
  );
  const ids = (listed: Listed[]): string[] => listed.flatMap(({ accessTokens }) => accessTokens.map(({ id }) => id));
  expect(ids(both.one)).toEqual(ids(await devices(one.desk)));
  expect(ids(both.two)).toEqual(ids(await devices(two.desk)));
  expect(new Set([...ids(both.one), ...ids(both.two)]).size).toBe(4);
});

test("[ACC-2] nobody else sees or ends them, and nobody learns whether they exist", async () => {
  const { desk } = await twoDevices();
  const eve = await server.user(`user${++number}`);
  const tokenId = await tokenOf(desk, "desk");
  for (const userId of [desk.userId, "@nobody:localhost"]) {
    expect(await eve.code(list, { userId })).toBe("FORBIDDEN");
    expect(await eve.code(remove, { input: { userId, deviceId: "desk" } })).toBe("FORBIDDEN");
    expect(await eve.code(revoke, { input: { userId, tokenId } })).toBe("FORBIDDEN");
  }
  // As if it were one's own: there is none.
  expect(await eve.code(revoke, { input: { tokenId } })).toBe("NOT_FOUND");
  expect(await eve.code(remove, { input: { deviceId: "desk" } })).toBe("NOT_FOUND");
  const stranger = server.stranger();
  expect(await stranger.code(list)).toBe("UNAUTHENTICATED");
  expect(await stranger.code(remove, { input: { deviceId: "desk" } })).toBe("UNAUTHENTICATED");
  expect(await stranger.code(revoke, { input: { tokenId } })).toBe("UNAUTHENTICATED");
  expect(await desk.code(whoAmI)).toBeNull();
});

test("[ACC-2] what doesn't exist is NOT_FOUND, what is no id BAD_INPUT", async () => {
  for (const [document, input] of [
    [remove, { deviceId: "nowhere" }],
    [revoke, { tokenId: "nothing" }],
  ] as const) {
    expect(await root.code(document, { input })).toBe("NOT_FOUND");
    expect(await root.code(document, { input: { ...input, userId: "@nobody:localhost" } })).toBe("NOT_FOUND");
    expect(await root.code(document, { input: { ...input, userId: "nonsense" } })).toBe("BAD_INPUT");
    const odd = Object.fromEntries(Object.keys(input).map((key) => [key, "a\0b"]));
    expect(await root.code(document, { input: odd })).toBe("BAD_INPUT");
  }
  expect(await root.code(list, { userId: "@nobody:localhost" })).toBe("NOT_FOUND");
  expect(await root.code(list, { userId: "nonsense" })).toBe("BAD_INPUT");
});

test("[ACC-2] a device that is removed is gone with its token, keys and session, and the name can log in anew", async () => {
  const { name, desk, phone } = await twoDevices();
  await phone.do("mutation ($input: AddSigningKeyInput!) { addSigningKey(input: $input) { signingKey { keyId } } }", {
    input: { keyId: "ed25519:phone", publicKey: Buffer.alloc(32, 7).toString("base64").replace("=", "") },
  });
  expect(server.app.domain.sessions.of(phone)).not.toBeNull();
  const { userId } = desk;
  expect(await desk.do(remove, { input: { deviceId: "phone" } })).toEqual({
    removeDevice: { userId, deviceId: "phone" },
  });
  expect(await phone.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  await until(() => server.app.domain.sessions.of(phone) === null);
  for (const table of ["device", "access_token", "device_key", "session"]) {
    const rows = await sql(server.databaseUrl, `SELECT FROM ${table} WHERE user_id = $1 AND device_id = 'phone'`, [
      userId,
    ]);
    expect(rows, table).toEqual([]);
  }
  expect((await devices(desk)).map(({ deviceId }) => deviceId)).toEqual(["desk"]);
  expect(await desk.code(remove, { input: { deviceId: "phone" } })).toBe("NOT_FOUND");
  const again = await Client.login(server.address, name, "phone");
  expect(await again.code(whoAmI)).toBeNull();
});

test("[ACC-2] a token that is revoked ends, and its device stays", async () => {
  const { desk, phone } = await twoDevices();
  const follow = await phone.follow();
  const tokenId = await tokenOf(desk, "phone");
  expect(await root.do(revoke, { input: { userId: desk.userId, tokenId } })).toEqual({
    revokeAccessToken: { tokenId },
  });
  expect(await phone.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  await until(() => JSON.stringify(follow.failure ?? null).includes("UNKNOWN_TOKEN"));
  expect((await devices(desk))[1]).toMatchObject({ deviceId: "phone", accessTokens: [] });
  expect(await desk.code(revoke, { input: { tokenId } })).toBe("NOT_FOUND");
  expect(await desk.code(whoAmI)).toBeNull();
});

test.each(["removeDevice", "revokeAccessToken"])(
  "[ACC-2] %s of what one acts with ends it, within the document too",
  async (name) => {
    const { desk } = await twoDevices();
    const [type, input] =
      name === "removeDevice"
        ? ["RemoveDeviceInput", { deviceId: "desk" }]
        : ["RevokeAccessTokenInput", { tokenId: await tokenOf(desk, "desk") }];
    const both = `mutation ($input: ${type}!) {
    first: ${name}(input: $input) { __typename }
    second: ${name}(input: $input) { __typename }
  }`;
    const { data, errors } = await desk.ask(both, { input });
    expect(data).toMatchObject({ first: {}, second: null });
    expect(errors).toMatchObject([{ path: ["second"], extensions: { code: "UNAUTHENTICATED" } }]);
    expect(await desk.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  },
);

test("[ACC-2] who is no admin any more when it happens is refused, whatever a process remembers", async () => {
  const { desk } = await twoDevices();
  const helper = await server.user(`user${++number}`);
  // Without the notices that tell processes, which come in their own time.
  const setAdmin = (admin: boolean) =>
    sql(server.databaseUrl, "UPDATE account SET admin = $2 WHERE user_id = $1", [helper.userId, admin]);
  await setAdmin(true);
  server.app.domain.accounts.forgetRights([helper.userId]);
  expect(await helper.do("{ viewer { admin } }")).toEqual({ viewer: { admin: true } });
  await setAdmin(false);
  expect(await helper.do("{ viewer { admin } }")).toEqual({ viewer: { admin: true } });
  expect(await helper.code(remove, { input: { userId: desk.userId, deviceId: "desk" } })).toBe("FORBIDDEN");
  expect(await desk.code(whoAmI)).toBeNull();
});

test("[ACC-2] logins on a device that is being removed leave a device that works, or none", async () => {
  const { name, desk } = await twoDevices();
  const logins = Array.from({ length: 6 }, () => Client.login(server.address, name, "phone"));
  await Promise.race(logins);
  const removals = Array.from({ length: 3 }, () => desk.code(remove, { input: { deviceId: "phone" } }));
  const codes = await Promise.all(removals);
  for (const code of codes) expect([null, "NOT_FOUND"]).toContain(code);
  const clients = await Promise.all(logins);
  const holding = await Promise.all(clients.map(async (client) => (await client.code(whoAmI)) === null));
  const listed = (await devices(desk)).find(({ deviceId }) => deviceId === "phone");
  expect(holding.filter(Boolean).length).toBe(listed?.accessTokens.length ?? 0);
});

test("[ACC-2] [ACC-3] a device that is removed while its account is deleted keeps neither from being done", async () => {
  const { desk } = await twoDevices();
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  // As the removal does it, between its steps.
  await client.query("BEGIN");
  await client.query("SELECT FROM device WHERE user_id = $1 AND device_id = 'phone' FOR UPDATE", [desk.userId]);
  const deleted = sql(server.databaseUrl, "SELECT delete_account($1, false)", [desk.userId]);
  deleted.catch(() => undefined);
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT delete_account%'
    AND datname = current_database()`;
  await until(async () => (await sql(server.databaseUrl, waiting)).length > 0);
  await client.query("DELETE FROM access_token WHERE user_id = $1 AND device_id = 'phone'", [desk.userId]);
  await client.query("DELETE FROM device WHERE user_id = $1 AND device_id = 'phone'", [desk.userId]);
  await client.query("COMMIT");
  await client.end();
  expect(await deleted).toHaveLength(1);
});
