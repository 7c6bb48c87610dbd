import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let eve: Client;
beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { presence: true } });
  [alice, bob, eve] = [await server.user("alice"), await server.user("bob"), await server.user("eve")];
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
});
afterAll(() => server.close());

const hashOf = (json: string): string => createHash("sha256").update(json).digest("base64").replaceAll("=", "");
const upload = (client: Client, set: unknown, hash: string | null = null) =>
  client.ask(
    "mutation ($set: JSONObject!, $hash: String) { uploadCapabilities(input: { set: $set, hash: $hash }) { capabilities { hash set } } }",
    { set, hash },
  );
const announce = (client: Client, hash: string) =>
  client.ask(
    "mutation ($hash: String!) { announceCapabilities(input: { hash: $hash }) { presence { capabilityHashes } } }",
    { hash },
  );
const find = (client: Client, hash: string, userId: string | null = null) =>
  client.ask("query ($hash: String!, $userId: ID) { capabilities(hash: $hash, userId: $userId) { hash set } }", {
    hash,
    userId,
  });

test("[CAP-1] [CAP-2] [CAP-5] the server's capabilities go by the hash of their canonical JSON, also without login", async () => {
  for (const client of [server.stranger(), alice]) {
    const { server: own } = await client.do<{ server: { capabilitiesHash: string } }>(
      "{ server { capabilitiesHash } }",
    );
    const { capabilities } = (await find(client, own.capabilitiesHash)).data as {
      capabilities: { hash: string; set: object };
    };
    expect(capabilities.hash).toBe(own.capabilitiesHash);
    const keys = Object.keys(capabilities.set);
    expect(keys).toEqual([...keys].sort());
    expect(hashOf(JSON.stringify(capabilities.set))).toBe(own.capabilitiesHash);
    expect(capabilities.set).toHaveProperty(["m.cap.federation.event_format.v1"]);
  }
  expect((await find(alice, hashOf("{}"))).data).toEqual({ capabilities: null });
});

test("[CAP-3] [CAP-4] [PRE-5] a hash is refused until its set is uploaded once; who sees the hash can fetch the set", async () => {
  const set = { "m.cap.calls.v1": { video: true }, "a.first": {} };
  const json = '{"a.first":{},"m.cap.calls.v1":{"video":true}}';
  const hash = hashOf(json);
  expect((await announce(alice, hash)).errors![0]!.extensions).toEqual({ code: "UNKNOWN_CAPABILITIES", field: "hash" });
  expect((await upload(alice, set, hash)).data).toEqual({ uploadCapabilities: { capabilities: { hash, set } } });
  await alice.do("mutation { setPresence(input: { state: ONLINE }) { presence { state } } }");
  expect((await announce(alice, hash)).data).toEqual({
    announceCapabilities: { presence: { capabilityHashes: [hash] } },
  });
  const seen = await bob.do<{ node: { presence: object } }>(
    "query ($id: ID!) { node(id: $id) { ... on User { presence { capabilityHashes } } } }",
    { id: alice.userId },
  );
  expect(seen.node.presence).toEqual({ capabilityHashes: [hash] });
  expect((await find(bob, hash, alice.userId)).data).toEqual({ capabilities: { hash, set } });
  for (const client of [eve, server.stranger()]) {
    expect((await find(client, hash, alice.userId)).data).toEqual({ capabilities: null });
  }
  // Another client of the same kind needn't upload it again.
  expect((await announce(bob, hash)).errors).toBeUndefined();
  await alice.do("mutation { endSession { sessionId } }");
  expect((await find(bob, hash, alice.userId)).data).toEqual({ capabilities: null });
});

test.each<[string, unknown, string | null, object]>([
  ["a hash of another set", { a: 1 }, hashOf("{}"), { code: "BAD_INPUT", field: "hash" }],
  ["a fraction", { a: 1.5 }, null, { code: "BAD_INPUT", field: "set.a" }],
  ["a set that is too large", { a: "x".repeat(17_000) }, null, { code: "TOO_LARGE", field: "set" }],
])("[CAP-3] %s is refused, and nothing stored", async (_what, set, hash, extensions) => {
  const count = () => server.database.reader.capabilitySet.count();
  const before = await count();
  expect((await upload(alice, set, hash)).errors![0]!.extensions).toMatchObject(extensions);
  expect(await count()).toBe(before);
});

test.each(["", "short", "_".repeat(43), "a".repeat(1000)])("[CAP-3] no hash at all: %j", async (hash) => {
  expect((await announce(alice, hash)).errors![0]!.extensions!["code"]).toBe("UNKNOWN_CAPABILITIES");
});

test("[CAP-3] nobody makes the server keep sets without end", async () => {
  const sets = Array.from({ length: 100 }, (_, index) => ({
    hash: `hash ${index}`,
    set: "{}",
    uploadedBy: eve.userId,
  }));
  await server.database.reader.capabilitySet.createMany({ data: sets });
  expect((await upload(eve, { one: "more" })).errors![0]!.extensions).toEqual({ code: "TOO_LARGE", field: "set" });
});
