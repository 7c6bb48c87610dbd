import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { newKey, prepare, register, sendDocument, signed } from "../kit/signing.ts";

interface Shown {
  deviceId: string | null;
  keyId: string;
  publicKey: string;
  createdAt: string;
}

const now = Date.now();
let server: TestApp;
let ann: Client;
let laptop: Client;
let bob: Client;

beforeAll(async () => {
  server = await startApp({ clock: { now: () => now } });
  ann = await server.user("ann", "phone");
  laptop = await Client.login(server.address, "ann", "laptop");
  bob = await server.user("bob");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const add =
  "mutation ($input: AddSigningKeyInput!) { addSigningKey(input: $input) { signingKey { keyId publicKey } } }";
const remove = "mutation ($input: RemoveSigningKeyInput!) { removeSigningKey(input: $input) { keyId } }";
const fields = "signingKeys { deviceId keyId publicKey createdAt }";

/** The code of the refusal and the field that it names. */
async function refusal(client: Client, document: string, input: object): Promise<unknown[]> {
  const { errors } = await client.ask(document, { input });
  return errors ? [errors[0]?.extensions?.["code"], errors[0]?.extensions?.["field"]] : [];
}

async function keysOf(reader: Client, userId: string): Promise<Shown[]> {
  const document = `query ($userId: ID!) { user(id: $userId) { ${fields} } }`;
  return (await reader.do<{ user: { signingKeys: Shown[] } }>(document, { userId })).user.signingKeys;
}

async function keysOfDevice(client: Client): Promise<string[]> {
  const data = await client.do<{ viewer: { device: { signingKeys: Shown[] } } }>(`{ viewer { device { ${fields} } } }`);
  return data.viewer.device.signingKeys.map(({ keyId }) => keyId);
}

test("[ACT-13] a device registers keys; its user sees whose they are, others see the keys alone", async () => {
  const [first, second] = [await newKey("a_1"), await newKey("b")];
  await register(ann, first);
  await register(laptop, second);
  const createdAt = new Date(now).toISOString();
  const shown = (deviceIds: (string | null)[]) =>
    [first, second].map(({ keyId, publicKey }, index) => ({ deviceId: deviceIds[index], keyId, publicKey, createdAt }));
  expect(await keysOf(laptop, ann.userId)).toEqual(shown(["phone", "laptop"]));
  expect(await keysOf(bob, ann.userId)).toEqual(shown([null, null]));
  expect(await keysOf(ann, bob.userId)).toEqual([]);
  expect(await keysOfDevice(ann)).toEqual([first.keyId]);
  expect(await keysOfDevice(laptop)).toEqual([second.keyId]);
  const { keyId, publicKey } = first;
  expect(await server.stranger().code(add, { input: { keyId, publicKey } })).toBe("UNAUTHENTICATED");
});

test("[ACT-13] the same key again is no error; the id of another, or of another device's, is CONFLICT", async () => {
  const { keyId, publicKey } = await newKey("same");
  expect(await refusal(ann, add, { keyId, publicKey })).toEqual([]);
  expect(await refusal(ann, add, { keyId, publicKey })).toEqual([]);
  expect(await refusal(ann, add, { keyId, publicKey: (await newKey()).publicKey })).toEqual(["CONFLICT", "keyId"]);
  expect(await refusal(laptop, add, { keyId, publicKey })).toEqual(["CONFLICT", "keyId"]);
  expect(await refusal(bob, add, { keyId, publicKey })).toEqual([]);
  expect((await keysOf(ann, ann.userId)).filter((key) => key.keyId === keyId)).toHaveLength(1);
});

test("[ACT-13] malformed keys are BAD_INPUT and name their field", async () => {
  const { publicKey } = await newKey();
  for (const keyId of ["", "ed25519:", "rsa:a", "a", "ed25519:a-b", "ed25519:é", `ed25519:${"n".repeat(248)}`]) {
    expect(await refusal(ann, add, { keyId, publicKey })).toEqual(["BAD_INPUT", "keyId"]);
  }
  for (const wrong of ["", `${publicKey}=`, publicKey.slice(1), `${publicKey}A`, `!${publicKey.slice(1)}`]) {
    expect(await refusal(ann, add, { keyId: "ed25519:new", publicKey: wrong })).toEqual(["BAD_INPUT", "publicKey"]);
  }
  expect(await keysOfDevice(ann)).not.toContain("ed25519:new");
});

test("[ACT-13] a device has at most ten keys, a user at most a hundred, however they are added", async () => {
  const carol = await server.user("carol", "device0");
  const { publicKey } = await newKey();
  const adding = (client: Client, count: number, device: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        refusal(client, add, { keyId: `ed25519:d${device}_${index}`, publicKey }),
      ),
    );
  const outcomes = await adding(carol, 13, 0);
  expect(outcomes.filter(([code]) => code === undefined)).toHaveLength(10);
  expect(outcomes.filter(([code, field]) => code === "BAD_INPUT" && field === "keyId")).toHaveLength(3);
  const devices = "SELECT $1, 'made' || n FROM generate_series(1, 9) AS n";
  await sql(server.databaseUrl, `INSERT INTO device (user_id, device_id) ${devices}`, [carol.userId]);
  await sql(
    server.databaseUrl,
    `INSERT INTO device_key SELECT user_id, device_id, 'ed25519:' || device_id || '_' || n, $2
     FROM device, generate_series(1, 10) AS n WHERE user_id = $1 AND device_id LIKE 'made%'`,
    [carol.userId, publicKey],
  );
  const other = await Client.login(server.address, "carol", "eleventh");
  expect(await refusal(other, add, { keyId: "ed25519:more", publicKey })).toEqual(["BAD_INPUT", "keyId"]);
  expect(await keysOf(bob, carol.userId)).toHaveLength(100);
});

test("[ACT-13] a removed key verifies nothing any more, and what was signed with it stays", async () => {
  const key = await newKey("leaving");
  await register(ann, key);
  const roomId = await ann.createRoom();
  const before = await prepare(ann, roomId, { content: { text: { body: "before" } } });
  const forged = { [ann.userId]: { [key.keyId]: await key.sign({}) } };
  expect(await refusal(ann, sendDocument, { prepared: before.prepared, signatures: forged })).toEqual([
    "BAD_INPUT",
    `signatures.${ann.userId}.${key.keyId}`,
  ]);
  const signatures = await signed(ann, key, before);
  await ann.do(sendDocument, { input: { prepared: before.prepared, signatures } });
  expect(await refusal(bob, remove, { keyId: key.keyId })).toEqual(["NOT_FOUND", "keyId"]);
  // Another device of the user's, as the first may be lost.
  expect(await refusal(laptop, remove, { keyId: key.keyId })).toEqual([]);
  expect(await refusal(laptop, remove, { keyId: key.keyId })).toEqual(["NOT_FOUND", "keyId"]);
  expect((await keysOf(bob, ann.userId)).map(({ keyId }) => keyId)).not.toContain(key.keyId);
  const { event } = await ann.do<{ event: { json: object } }>("query ($id: ID!) { event(id: $id) { json } }", {
    id: before.json["event_id"],
  });
  expect(event.json).toMatchObject({ signatures });
  const after = await prepare(ann, roomId, { content: { text: { body: "after" } } });
  expect(await refusal(ann, sendDocument, { prepared: after.prepared, signatures: forged })).toEqual([]);
});

test("[ACT-13] keys go with their device", async () => {
  const tablet = await Client.login(server.address, "ann", "tablet");
  const key = await newKey("tablet");
  await register(tablet, key);
  await sql(server.databaseUrl, "DELETE FROM device WHERE user_id = $1 AND device_id = 'tablet'", [ann.userId]);
  expect((await keysOf(bob, ann.userId)).map(({ keyId }) => keyId)).not.toContain(key.keyId);
});

test("[ACT-13] the keys of many users are one statement", async () => {
  const users = await Promise.all(Array.from({ length: 6 }, (_, index) => server.user(`user${index}`)));
  for (const user of users) await register(user, await newKey());
  const statements = async (ids: string[]): Promise<number> => {
    await bob.do("{ viewer { admin } }");
    const before = server.database.statements();
    await bob.do(`query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { ${fields} } } }`, { ids });
    return server.database.statements() - before;
  };
  const ids = users.map(({ userId }) => userId);
  const one = await statements(ids.slice(0, 1));
  expect(await statements(ids)).toBe(one);
});
