import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createAlias } from "../../src/domain/actions/createAlias.ts";
import { existingAccounts } from "../../src/store/accounts.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { makeGhost } from "../kit/ghosts.ts";
import { startService, takesAll, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let service: ScriptedService;

beforeAll(async () => {
  service = await startService();
  server = await startApp({ config: { serviceRegistration: ["T_a", "T_b"], admins: ["root"] } });
});
beforeEach(async () => {
  service.script = takesAll;
  await registrations().takeFiles([service.registration()]);
});
afterAll(async () => {
  await server.close();
  await service.close();
});

const registrations = () => server.app.domain.services.registrations;

/** The code of what refuses it; null where nothing does. */
async function refusal(work: Promise<unknown>): Promise<string | null> {
  return work.then(
    () => null,
    (error: { code: string }) => error.code,
  );
}

test("[AS-6] a service that has everybody in its namespaces gets no token of an admin", async () => {
  await server.user("root");
  await server.user("bob");
  const namespaces = { users: [{ exclusive: false, regex: "@.*" }] };
  await registrations().takeFiles([service.registration({ namespaces })]);
  const { accounts } = server.app.domain;
  expect(await refusal(accounts.loginByService("irc", "@bob:localhost", {}))).toBeNull();
  expect(await refusal(accounts.loginByService("irc", "@root:localhost", {}))).toBe("FORBIDDEN");
  await sql(server.databaseUrl, "UPDATE account SET admin = true WHERE user_id = '@bob:localhost'");
  expect(await refusal(accounts.loginByService("irc", "@bob:localhost", {}))).toBe("FORBIDDEN");
});

test("[AS-5] an alias of a deleted room is of interest in the next room that has it, too", async () => {
  const root = await Client.login(server.address, "root", "second");
  const { tools } = server.app.domain;
  const ghost = await makeGhost(server, "irc", "irc_carl");
  const [first, next] = [await root.createRoom({ joinRule: "PUBLIC" }), await root.createRoom({ joinRule: "PUBLIC" })];
  await createAlias(tools, ghost.requester, { roomId: first, alias: "#irc_again:localhost" });
  await root.do("mutation ($id: ID!) { deleteRoom(input: { roomId: $id }) { roomId } }", { id: first });
  await createAlias(tools, ghost.requester, { roomId: next, alias: "#irc_again:localhost" });
  await root.send(next, "heard");
  await until(() => service.events().some(({ room_id, type }) => room_id === next && type === "m.room.message"));
});

test("[AS-1] a file may give its service another id, exchange tokens with another, or bring one that registered itself", async () => {
  const ids = () => server.app.domain.services.registry.current().services.map(({ id }) => id);
  const last = async (id: string) =>
    (
      await sql<{ last: string }>(
        server.databaseUrl,
        `SELECT last_transaction AS last FROM app_service WHERE id = '${id}'`,
      )
    )[0]!.last;
  await sql(server.databaseUrl, "UPDATE app_service SET last_transaction = 70 WHERE id = 'irc'");
  await registrations().takeFiles([service.registration({ id: "irc2" })]);
  expect(ids()).toEqual(["irc2"]);
  // The software behind it has seen those ids.
  expect(Number(await last("irc2"))).toBeGreaterThanOrEqual(70);

  const file = (id: string, token: string) =>
    service.registration({ id, as_token: token, sender_localpart: `${id}bot` });
  await registrations().takeFiles([file("a", "one"), file("b", "two")]);
  await registrations().takeFiles([file("a", "two"), file("b", "one")]);
  const { identity } = server.app.domain.services;
  expect([identity.service("one")?.id, identity.service("two")?.id]).toEqual(["b", "a"]);

  await registrations().register({ url: service.url, as_token: "T_a" });
  await registrations().takeFiles([file("c", "T_a")]);
  expect(ids()).toEqual(["c"]);
  expect(identity.service("T_a")?.id).toBe("c");
});

test("[AS-1] registering several times at once gives one and the same token of the server's", async () => {
  const register = () => registrations().register({ url: service.url, as_token: "T_b" });
  const given = await Promise.all([register(), register(), register(), register()]);
  expect(new Set(given.map(({ hsToken }) => hsToken)).size).toBe(1);
  await registrations().unregister({ as_token: "T_b" });
});

test("[AS-4] who needs more users than a service is asked about at once waits for their turn", async () => {
  service.script = (asked) =>
    asked.path.includes("/users/") ? [200, { profile: { display_name: "One" } }] : takesAll(asked, null as never);
  const named = Array.from({ length: 130 }, (_, index) => `@irc_many${index}:localhost`);
  const { tools } = server.app.domain;
  await tools.queries.users(named);
  expect(await existingAccounts(tools.database.reader, named)).toHaveLength(130);
});

test("[AS-4] a described profile holds what profiles may hold; what it can't is left out", async () => {
  const profiles: Record<string, object> = {
    "@irc_long:localhost": { display_name: "x".repeat(100_000) },
    "@irc_nul:localhost": { display_name: "x\u0000" },
    "@irc_script:localhost": { display_name: "Script", avatar_url: "javascript:alert(1)" },
  };
  service.script = ({ path }) => [200, { profile: profiles[path.split("/").at(-1)!] }];
  const { tools } = server.app.domain;
  await tools.queries.users(Object.keys(profiles));
  expect(await existingAccounts(tools.database.reader, Object.keys(profiles))).toHaveLength(3);
  const rows = await sql(
    server.databaseUrl,
    "SELECT user_id, key FROM profile WHERE user_id ~ '^@irc_(long|nul|script):'",
  );
  expect(rows).toEqual([{ user_id: "@irc_script:localhost", key: "displayname" }]);
});

test("[AS-1] expressions that are costly together are refused, however small each is", async () => {
  const users = Array(50).fill("((.{0,20}){0,20})") as string[];
  expect(await refusal(registrations().register({ url: service.url, as_token: "T_b", namespaces: { users } }))).toBe(
    "BAD_INPUT",
  );
});

test("[AS-5] a service that calls one process is tried at once by the one that sends to it", async () => {
  const root = await Client.login(server.address, "root", "third");
  const room = await root.createRoom({ joinRule: "PUBLIC" });
  await (await makeGhost(server, "irc", "irc_dora")).join(room);
  await until(() => service.events().at(-1)?.room_id === room);
  service.script = () => [500, {}];
  await root.send(room, "comes back");
  const failures = async (): Promise<number> => {
    const [row] = await sql<{ failures: number }>(
      server.databaseUrl,
      "SELECT failures FROM app_service WHERE id = 'irc'",
    );
    return row!.failures;
  };
  // By then it is a while until the next try.
  await until(async () => (await failures()) >= 3);
  const other = await startApp({ databaseUrl: server.databaseUrl, mirrors: false, services: [service.registration()] });
  try {
    service.script = takesAll;
    const began = Date.now();
    other.app.domain.services.delivery.seen("irc");
    await until(() => service.events().some(({ content }) => content["body"] === "comes back"));
    expect(Date.now() - began).toBeLessThan(1000);
  } finally {
    await other.close();
  }
});

test("[AS-6] [AS-8] who registers where anybody may acts as no user of another service", async () => {
  const files = [service.registration()];
  const open = await startApp({ config: { serviceRegistration: "open" }, services: files, mirrors: false });
  try {
    const { services, accounts } = open.app.domain;
    await accounts.registerByService("irc", "irc_bob");
    const namespaces = { users: ["@irc_.*", "@own_.*"] };
    const given = { url: service.url, as_token: "anybody", namespaces };
    expect(await refusal(services.registrations.register({ ...given, sender_localpart: "ircbot" }))).toBe("EXCLUSIVE");
    await services.registrations.register({ ...given, sender_localpart: "own_bot" });
    const stranger = services.identity.service("anybody")!;
    const acting = (userId: string) =>
      services.identity.requester(stranger, { userId, userToken: null }, { ip: null, userAgent: null });
    expect(await refusal(acting("@irc_bob:localhost"))).toBe("FORBIDDEN");
    expect(await refusal(acting("@own_bot:localhost"))).toBeNull();
    expect(await refusal(accounts.registerByService(stranger.id, "irc_new"))).toBe("EXCLUSIVE");
  } finally {
    await open.close();
  }
});

test("[AS-1] who registers where anybody may is called at public addresses only, once the server has one itself", async () => {
  const asked: string[] = [];
  const publicFetch = async (url: string): Promise<Response> => {
    asked.push(new URL(url).origin);
    throw new Error("it is no public address");
  };
  for (const [publicUrl, reached] of [
    ["https://chat.example.org", false],
    ["http://127.0.0.1:8008", true],
    [null, true],
  ] as const) {
    const config = { serviceRegistration: "open" as const, publicUrl };
    const open = await startApp({ config, mirrors: false, publicFetch });
    try {
      const { services } = open.app.domain;
      const given = { url: service.url, as_token: "anybody", sender_localpart: "own_bot", namespaces: {} };
      await services.registrations.register(given);
      const { id } = services.identity.service("anybody")!;
      service.script = () => [200, {}];
      const { outcome } = await services.ping(id, id, null);
      expect({ publicUrl, outcome }).toEqual({ publicUrl, outcome: reached ? "answered" : "unreachable" });
    } finally {
      await open.close();
    }
  }
  expect(new Set(asked)).toEqual(new Set([service.url]));
});
