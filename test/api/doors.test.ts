import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  buildSchema,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  type GraphQLField,
  type GraphQLInputType,
} from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

const schema = buildSchema(readFileSync("schema.graphql", "utf8"));
let server: TestApp;

beforeAll(async () => {
  server = await startApp();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

/** Root fields that answer somebody without a token. Whatever is added to the schema isn't among them by itself. */
const open: Readonly<Record<string, readonly string[]>> = {
  // Filters are computed from what is given, and kept nowhere.
  query: ["capabilities", "decodeFilter", "filter", "server", "viewer"],
  mutation: ["login", "register"],
  subscription: [],
};

/** What a field that isn't called takes: nothing is ever done with it. */
function anything(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return anything(type.ofType);
  if (isListType(type)) return [anything(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]!.value;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const [first] = fields;
    const given = type.isOneOf ? [first!] : fields.filter(isRequiredInputField);
    return Object.fromEntries(given.map(({ name, type: inner }) => [name, anything(inner)]));
  }
  return { Int: 1, Float: 1, Boolean: true, JSONObject: {} }[type.name] ?? "x";
}

function documentOf(operation: string, { name, args, type }: GraphQLField<unknown, unknown>): string {
  const required = args.filter((argument) => isNonNullType(argument.type));
  const declared = required.map((argument) => `$${argument.name}: ${String(argument.type)}`).join(", ");
  const passed = required.map((argument) => `${argument.name}: $${argument.name}`).join(", ");
  const named = getNamedType(type);
  const selection = isLeafType(named) || isAbstractType(named) ? "" : "{ __typename }";
  const shown = isAbstractType(named) ? "{ __typename }" : selection;
  const inside = passed === "" ? "" : `(${passed})`;
  return `${operation}${declared === "" ? "" : ` (${declared})`} { ${name}${inside} ${shown} }`;
}

const fields = (["query", "mutation", "subscription"] as const).flatMap((operation) => {
  const root = { query: schema.getQueryType(), mutation: schema.getMutationType() }[operation as "query"];
  const type = root ?? schema.getSubscriptionType()!;
  return Object.values(type.getFields()).map((field) => ({ operation, field, title: `${operation} ${field.name}` }));
});

describe("without a token", () => {
  test.each(fields.filter(({ operation, field }) => !open[operation]!.includes(field.name)))(
    "$title is UNAUTHENTICATED, whatever it is asked",
    async ({ operation, field }) => {
      const query = documentOf(operation, field);
      const required = field.args.filter((argument) => isNonNullType(argument.type));
      const variables = Object.fromEntries(required.map(({ name, type }) => [name, anything(type)]));
      if (operation !== "subscription")
        return expect(await server.stranger().code(query, variables)).toBe("UNAUTHENTICATED");
      const stranger = server.stranger();
      const codes: unknown[] = [];
      for await (const { errors } of stranger.socket.iterate({ query, variables })) {
        codes.push(errors?.[0]?.extensions?.["code"]);
      }
      await stranger.close();
      expect(codes).toEqual(["UNAUTHENTICATED"]);
    },
  );

  test("no call of the REST API but the open ones answers", async () => {
    const description = (await (await fetch(`${server.address}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { security?: object[] }>>;
    };
    const answered: string[] = [];
    let open = 0;
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, { security }] of Object.entries(methods)) {
        if (security === undefined || security.length === 0) {
          open++;
          continue;
        }
        const body = method === "get" ? null : "{}";
        const address = server.address + path.replace(/\{\w+\}/g, "x");
        const { status } = await fetch(address, { method: method.toUpperCase(), body });
        if (status !== 401) answered.push(`${method} ${path}: ${status}`);
      }
    }
    expect(answered).toEqual([]);
    expect(open).toBeLessThan(40);
  });
});

describe("[EV-9] a node's id is no key to it", () => {
  let alice: Client;
  let mallory: Client;
  /** Ids of nodes that are alice's alone, by their type. */
  const ids: Record<string, string> = {};

  beforeAll(async () => {
    alice = await server.user("alice");
    mallory = await server.user("mallory");
    const bob = await server.user("bob");
    const roomId = await alice.createRoom({ name: "Private" });
    await alice.membership("invite", roomId, bob.userId);
    const { viewer } = await bob.do<{ viewer: { invites: { id: string }[] } }>("{ viewer { invites { id } } }");
    ids["Invite"] = viewer.invites[0]!.id;
    await bob.join(roomId);
    ids["Room"] = roomId;
    ids["MessageEvent"] = await bob.send(roomId, "between us");
    ids["StateEvent"] = await alice.setState(roomId, "m.room.topic", { topic: "between us" });
    ids["Marker"] = (await alice.mark(ids["MessageEvent"])).id;
    const call = await alice.do<{ placeCall: { call: { id: string } } }>(
      "mutation ($input: PlaceCallInput!) { placeCall(input: $input) { call { id } } }",
      { input: { roomId, offer: { type: "offer", sdp: "v=0" } } },
    );
    ids["Call"] = call.placeCall.call.id;
    const more = await alice.do<{
      viewer: { device: { id: string } };
      room: { members: { nodes: { id: string }[] } };
    }>("query ($roomId: ID!) { viewer { device { id } } room(id: $roomId) { members { nodes { id } } } }", { roomId });
    ids["Device"] = more.viewer.device.id;
    ids["Member"] = more.room.members.nodes[0]!.id;
  });

  const ask = "query ($id: ID!) { node(id: $id) { __typename id } }";
  const types = schema
    .getPossibleTypes(schema.getType("Node") as never)
    .map(({ name }) => name)
    // Users are known to all who are signed in, as far as their profile goes.
    .filter((name) => name !== "User");

  test.each(types)("of %s", async (type) => {
    const id = ids[type]!;
    if (type !== "Invite") expect(await alice.do(ask, { id })).toMatchObject({ node: { __typename: type, id } });
    expect(await mallory.do(ask, { id })).toEqual({ node: null });
    expect(await server.stranger().code(ask, { id })).toBe("UNAUTHENTICATED");
  });

  test("nor does an id that somebody makes up do any harm", async () => {
    const made = (kind: string, payload: unknown): string =>
      `${kind}_${Buffer.from(JSON.stringify(payload)).toString("base64url")}`;
    const nul = `${ids["Room"]}\0`;
    for (const id of [
      ...["", "_", "member_", "device_%%%", "constructor_W10", `${ids["Room"]}\0`, "@alice\0:localhost"],
      ...[made("member", [nul, nul]), made("member", [ids["Room"], "@alice\0:localhost"])],
      ...[made("member", { length: 2 }), made("marker", [ids["Room"], "\0", "READ", "public"])],
      ...[made("device", [alice.userId, "device"]), made("device", ["\0", "\0"]), made("invite", "$\0")],
      ...[made("__proto__", []), made("call", [ids["Call"]])],
    ]) {
      expect(await mallory.do(ask, { id }), JSON.stringify(id)).toEqual({ node: null });
    }
  });
});

test("[AS-14] files lie where nobody else on the machine reads them", async () => {
  const carol = await server.user("carol");
  const headers = { authorization: `Bearer ${carol.token}`, "content-type": "text/plain" };
  const address = `${server.address}/_matrix/media/v3/upload`;
  expect((await fetch(address, { method: "POST", headers, body: "private" })).status).toBe(200);
  const { mode } = await stat(join(server.dataDir, "media"));
  expect(mode & 0o777).toBe(0o700);
});
