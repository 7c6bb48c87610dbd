import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
let roomId: string;

beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
  roomId = await alice.createRoom({ name: "Kitchen" });
  for (const body of ["one", "two", "three"]) {
    await alice.send(roomId, body);
    await alice.message(roomId, { type: "org.example.noise", content: { custom: { loud: body } } });
    await alice.setState(roomId, "m.room.topic", { topic: body });
  }
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

interface Page {
  scrollback: { events: { edges: { json: Record<string, unknown>; node: { qualifiedType: string } }[] } };
}

async function types(args: Record<string, unknown>): Promise<string[]> {
  const data = await alice.do<Page>(
    `query ($roomId: ID!, $last: Int, $filter: FilterToken, $tweak: FilterInput) {
       scrollback(roomId: $roomId, last: $last, filter: $filter, tweak: $tweak) { events { edges { node { qualifiedType } json } } }
     }`,
    { roomId, ...args },
  );
  return data.scrollback.events.edges.map((edge) => edge.node.qualifiedType);
}

async function documents(definition: Record<string, unknown>): Promise<Record<string, unknown>[]> {
  const data = await alice.do<Page>(
    `query ($roomId: ID!, $filter: FilterToken) { scrollback(roomId: $roomId, last: 1, filter: $filter) { events { edges { json node { qualifiedType } } } } }`,
    { roomId, filter: await alice.filter(definition) },
  );
  return data.scrollback.events.edges.map((edge) => edge.json);
}

test("[FIL-1] equal definitions give equal tokens, whatever the order of their entries, and tokens tell what they stand for", async () => {
  const token = await alice.filter({ types: ["m.b", "m.a", "m.a"], limit: 5, bundleUpdates: true });
  expect(await alice.filter({ limit: 5, types: ["m.a", "m.b"], senders: null })).toBe(token);
  expect(await alice.filter({ limit: 6, types: ["m.a", "m.b"] })).not.toBe(token);
  const stranger = server.stranger();
  expect(await stranger.filter({ types: ["m.a", "m.b"], limit: 5 })).toBe(token);
  const decoded = await alice.do(
    `query ($token: FilterToken!) { decodeFilter(token: $token) { token definition {
       types rooms senders users format bundleUpdates bundleRelations relationTypes relationOrder children fields limit } } }`,
    { token },
  );
  const nothing = { rooms: null, senders: null, users: null, relationTypes: null, fields: null };
  expect(decoded).toEqual({
    decodeFilter: {
      token,
      definition: {
        ...{ ...nothing, types: ["m.a", "m.b"], format: "CLIENT", bundleUpdates: true, bundleRelations: 0 },
        ...{ relationOrder: "NEWEST_LAST", children: true, limit: 5 },
      },
    },
  });
});

test("[FIL-1] the filter query stores nothing", async () => {
  await alice.filter({ types: ["m.warm"] });
  const before = server.database.statements();
  await server.stranger().filter({ types: ["m.never.seen"] });
  expect(server.database.statements()).toBe(before);
});

test("[FIL-2, FIL-3, FIL-7] types with wildcards, kinds and exclusions are applied before the limit", async () => {
  const noise = "message:org.example.noise";
  const of = async (list: string[] | null, last = 3) => types({ last, filter: await alice.filter({ types: list }) });
  expect(await of(["org.example.noise"])).toEqual([noise, noise, noise]);
  expect(await of(["org.*"])).toEqual([noise, noise, noise]);
  expect(await of(["*.noise"], 1)).toEqual([noise]);
  expect(await of(["state:m.room.*"], 2)).toEqual(["state:m.room.topic", "state:m.room.topic"]);
  expect(await of(["message:*", "-*.noise"], 5)).toEqual(Array(3).fill("message:m.room.message"));
  expect(await of(["-state:*", "-org.*"], 20)).toEqual(Array(3).fill("message:m.room.message"));
  expect(await of(["state:org.example.noise"])).toEqual([]);
  expect(await of([])).toEqual([]);
  expect(await of(null, 1)).toEqual(["state:m.room.topic"]);
});

test("[FIL-4] tweaks override single inputs, null lifts one; page sizes go by argument, tweak, filter, default", async () => {
  const filter = await alice.filter({ types: ["org.*"], limit: 2 });
  expect(await types({ filter })).toHaveLength(2);
  expect(await types({ filter, tweak: { limit: 1 } })).toHaveLength(1);
  expect(await types({ filter, tweak: { limit: 1 }, last: 3 })).toHaveLength(3);
  expect(await types({ filter, tweak: { limit: null } })).toHaveLength(3);
  expect(await types({ filter, tweak: { types: null }, last: 1 })).toEqual(["state:m.room.topic"]);
  expect(await types({ filter, tweak: { types: ["m.room.create"] } })).toEqual(["state:m.room.create"]);
  expect(await types({ tweak: { senders: ["-@alice:*"] } })).toEqual([]);
});

test("[FIL-2] `fields` names the keys to return, nested ones, patterns and exclusions", async () => {
  const definition = { types: ["org.*"], fields: ["type", "content.loud"] };
  expect(await documents(definition)).toEqual([{ type: "message:org.example.noise", content: { loud: "three" } }]);
  const [document] = await documents({ types: ["org.*"], fields: ["-content", "-origin_server_ts", "-*_id"] });
  expect(document).toEqual({ type: "message:org.example.noise", sender: "@alice:localhost" });
  expect(await documents({ types: ["org.*"], fields: [] })).toEqual([{}]);
});

test("[FIL-5] encrypted content is never cut", async () => {
  const content = { algorithm: "m.megolm", ciphertext: "…", nested: { a: 1 } };
  await alice.message(roomId, { type: "m.room.encrypted", content: { custom: content } });
  for (const fields of [["type", "content.algorithm"], ["type"], ["type", "-content.ciphertext"]]) {
    const [document] = await documents({
      types: ["m.room.encrypted"],
      fields: [...fields, "-*_id", "-sender", "-origin_*"],
    });
    expect(document).toEqual({ type: "message:m.room.encrypted", content });
  }
});

test("[FIL-6] tokens that are malformed, tampered with or of another kind are refused", async () => {
  const token = await alice.filter({ types: ["m.a"] });
  const stream = await alice.streamToken();
  const tampered = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
  const [version, key, payload, mac] = token.split(".");
  const forged = [version, key, Buffer.from('{"types":["m.b"]}').toString("base64url"), mac].join(".");
  for (const bad of [
    "",
    "x",
    tampered,
    forged,
    stream,
    `${token}.more`,
    [version, key, payload].join("."),
    "f1.".repeat(9999),
  ]) {
    expect(await alice.code("query ($t: FilterToken!) { decodeFilter(token: $t) { token } }", { t: bad })).toBe(
      "BAD_TOKEN",
    );
    const read = "query ($id: ID!, $t: FilterToken) { scrollback(roomId: $id, filter: $t) { moreLocally } }";
    expect(await alice.code(read, { id: roomId, t: bad })).toBe("BAD_TOKEN");
    expect(await alice.code("query ($t: FilterToken) { initialSync(stateFilter: $t) { stream } }", { t: bad })).toBe(
      "BAD_TOKEN",
    );
  }
});

test("[FIL-2] what no filter can be is refused, naming the key", async () => {
  const refuse = async (definition: Record<string, unknown>) => {
    const answer = await alice.ask("query ($d: FilterInput!) { filter(definition: $d) { token } }", { d: definition });
    const { code, field } = answer.errors![0]!.extensions as { code: string; field: string };
    return [code, field];
  };
  expect(await refuse({ limit: -1 })).toEqual(["BAD_INPUT", "limit"]);
  expect(await refuse({ limit: 501 })).toEqual(["BAD_INPUT", "limit"]);
  expect(await refuse({ bundleRelations: 101 })).toEqual(["BAD_INPUT", "bundleRelations"]);
  expect(await refuse({ types: ["ok", ""] })).toEqual(["BAD_INPUT", "types.1"]);
  expect(await refuse({ types: ["-"] })).toEqual(["BAD_INPUT", "types.0"]);
  expect(await refuse({ types: ["state:"] })).toEqual(["BAD_INPUT", "types"]);
  expect(await refuse({ senders: ["a\u0000b"] })).toEqual(["BAD_INPUT", "senders.0"]);
  expect(await refuse({ rooms: Array.from({ length: 101 }, (_, n) => `!${n}`) })).toEqual(["BAD_INPUT", "rooms"]);
  const long = Array.from({ length: 40 }, (_, n) => `${n}${"x".repeat(250)}`);
  expect(await refuse({ types: long })).toEqual(["TOO_LARGE", "definition"]);
});
