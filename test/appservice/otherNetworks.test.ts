import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { rest } from "../kit/media.ts";
import { startService, type Asked, type ScriptedService } from "../kit/scriptedService.ts";

let server: TestApp;
let alice: Client;
let first: ScriptedService;
let second: ScriptedService;
const asFirst = (): Client => new Client(server.address, "as-token-of-first", "@firstbot:localhost", "");

beforeAll(async () => {
  [first, second] = await Promise.all([startService(undefined, "first"), startService(undefined, "second")]);
  server = await startApp({
    services: [
      first.registration({
        protocols: ["ymca", "irc"],
        namespaces: {
          users: [
            { exclusive: true, regex: "@irc\\.example\\.org/.*" },
            { exclusive: true, regex: "@first_.*" },
          ],
          aliases: [{ exclusive: true, regex: "#irc\\.example\\.org/.*" }],
        },
      }),
      second.registration({ protocols: ["ymca"] }),
    ],
  });
  alice = await server.user("alice");
});
afterAll(async () => {
  await server.close();
  await Promise.all([first.close(), second.close()]);
});

/** Answers what is below /thirdparty/ by the rest of the path. */
const answering =
  (answers: Record<string, unknown>) =>
  ({ path }: Asked): [number, unknown] => {
    const below = path.split("/thirdparty/")[1] ?? path;
    return below in answers ? [200, answers[below]] : [404, { errcode: "M_NOT_FOUND" }];
  };
beforeEach(() => {
  for (const service of [first, second]) {
    service.script = answering({});
    service.asked.length = 0;
  }
});

test("[AS-12] an address of another network stands for an id in a namespace, else for what a service says, else for nothing", async () => {
  const byUri = "query ($u: String!) { user: userByUri(uri: $u) alias: aliasByUri(uri: $u) }";
  expect(await alice.do(byUri, { u: "irc://irc.example.org/bob" })).toEqual({
    user: "@irc.example.org/bob:localhost",
    alias: "#irc.example.org/bob:localhost",
  });
  expect(await alice.do(byUri, { u: "irc://irc.example.org/%23chan" })).toMatchObject({
    alias: "#irc.example.org/#chan:localhost",
  });
  expect(first.asked).toEqual([]);
  first.script = answering({ "/_matrix/app/v1/user": { user_id: "@first_known:localhost" } });
  expect(await alice.do(byUri, { u: "irc://other.net/known" })).toEqual({
    user: "@first_known:localhost",
    alias: null,
  });
  expect(first.asked[0]!.query.get("uri")).toBe("irc://other.net/known");
  // It tells of its own ids only.
  first.script = answering({ "/_matrix/app/v1/user": { user_id: alice.userId } });
  expect(await alice.do(byUri, { u: "irc://other.net/known" })).toEqual({ user: null, alias: null });
  for (const uri of ["", "bob", "://x/y", `irc://${"x".repeat(1000)}/y`]) {
    expect(await alice.code(byUri, { u: uri })).toBe("BAD_INPUT");
  }
  expect(await server.stranger().code(byUri, { u: "irc://irc.example.org/bob" })).toBe("UNAUTHENTICATED");
  const path = "/_matrix/app/v1";
  expect((await rest(alice, `${path}/user?uri=irc%3A%2F%2Firc.example.org%2Fbob`)).body).toEqual({
    user_id: "@irc.example.org/bob:localhost",
  });
  expect((await rest(alice, `${path}/alias?uri=irc%3A%2F%2Firc.example.org%2Fc`)).body).toEqual({
    alias: "#irc.example.org/c:localhost",
  });
  expect(await rest(alice, `${path}/user?uri=xmpp%3A%2F%2Fnowhere%2Fx`)).toMatchObject({
    status: 404,
    body: { errcode: "M_NOT_FOUND" },
  });
  expect(await rest(alice, `${path}/user`)).toMatchObject({ status: 400, body: { field: "uri" } });
});

test("[AS-13] SyTest: HS provides query metadata, of one protocol and of all, merged from two services", async () => {
  const protocol = (network: string): object => ({
    user_fields: ["user"],
    location_fields: ["not"],
    instances: [{ network_id: network, desc: network }],
  });
  first.script = answering({ "protocol/ymca": protocol("net1") });
  second.script = answering({ "protocol/ymca": protocol("net2") });
  const instances = [
    { network_id: "net1", desc: "net1", instance_id: "first|net1" },
    { network_id: "net2", desc: "net2", instance_id: "second|net2" },
  ];
  const ymca = { user_fields: ["user"], location_fields: ["not"], instances };
  for (const version of ["v3", "r0", "unstable"]) {
    expect((await rest(alice, `/_matrix/client/${version}/thirdparty/protocols`)).body).toEqual({ ymca });
  }
  expect((await rest(alice, "/_matrix/client/v3/thirdparty/protocol/ymca")).body).toEqual(ymca);
  expect(await rest(alice, "/_matrix/client/v3/thirdparty/protocol/fax")).toMatchObject({ status: 404 });
});

test("[AS-13] SyTest: HS will proxy request for 3PU and 3PL mapping, and merges what several services answer", async () => {
  first.script = answering({
    "user/ymca": [{ userid: "@first_a:localhost" }],
    "location/ymca": [{ alias: "#a:localhost" }],
    user: [{ protocol: "ymca" }],
  });
  second.script = answering({ "user/ymca": [{ userid: "@second_b:localhost" }], "location/ymca": "nonsense" });
  const found = await rest(alice, "/_matrix/client/v3/thirdparty/user/ymca?field1=value1&access_token=" + alice.token!);
  expect(found.body).toEqual([{ userid: "@first_a:localhost" }, { userid: "@second_b:localhost" }]);
  expect(first.asked[0]!.query.get("field1")).toBe("value1");
  expect(first.asked[0]!.query.get("access_token")).toBe("hs-token-of-first");
  expect((await rest(alice, "/_matrix/client/v3/thirdparty/location/ymca?x=y")).body).toEqual([
    { alias: "#a:localhost" },
  ]);
  expect((await rest(alice, `/_matrix/client/v3/thirdparty/user?userid=${alice.userId}`)).body).toEqual([
    { protocol: "ymca" },
  ]);
  expect((await rest(alice, "/_matrix/client/v3/thirdparty/location?alias=%23a%3Alocalhost")).body).toEqual([]);
  second.script = (_asked, res) => void res.destroy();
  expect((await rest(alice, "/_matrix/client/v3/thirdparty/user/ymca")).body).toEqual([
    { userid: "@first_a:localhost" },
  ]);
  expect((await rest(server.stranger(), "/_matrix/client/v3/thirdparty/user/ymca")).status).toBe(401);
});

test("[AS-13] a service has itself called back: how long it took, or what is wrong", async () => {
  const ping = (client: Client, id = "first") =>
    rest(client, `/_matrix/client/v1/appservice/${id}/ping`, { method: "POST", body: '{"transaction_id":"t1"}' });
  first.script = () => [200, {}];
  expect(await ping(asFirst())).toMatchObject({ status: 200, body: { duration_ms: expect.any(Number) as number } });
  expect(first.asked.at(-1)).toMatchObject({
    method: "POST",
    path: "/_matrix/app/v1/ping",
    body: '{"transaction_id":"t1"}',
  });
  first.script = () => [403, { errcode: "M_FORBIDDEN" }];
  expect(await ping(asFirst())).toMatchObject({
    ...{ status: 502, body: { errcode: "M_BAD_STATUS", status: 403, body: '{"errcode":"M_FORBIDDEN"}' } },
  });
  first.script = (_asked, res) => void res.destroy();
  expect(await ping(asFirst())).toMatchObject({ status: 502, body: { errcode: "M_CONNECTION_FAILED" } });
  expect(await ping(asFirst(), "second")).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
  expect(await ping(alice)).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
  expect(await ping(server.stranger())).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
});
