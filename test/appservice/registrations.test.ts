import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { makeGhost } from "../kit/ghosts.ts";
import { startService, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let service: ScriptedService;
let other: ScriptedService;

beforeAll(async () => {
  [service, other] = await Promise.all([startService(undefined, "irc"), startService(undefined, "sms")]);
  server = await startApp({ config: { serviceRegistration: ["T_a", "T_b"], admins: ["root"] } });
  alice = await server.user("alice");
});
afterAll(async () => {
  await server.close();
  await Promise.all([service.close(), other.close()]);
});

const registrations = () => server.app.domain.services.registrations;
const draft = (changes: object = {}): Record<string, unknown> => ({
  url: service.url,
  as_token: "T_a",
  namespaces: { users: ["@irc\\.freenode\\.net/.*"], aliases: ["#irc\\.freenode\\.net/.*"], rooms: [] },
  ...changes,
});

/** The code and the field of what refuses it; null where nothing does. */
async function refusal(work: Promise<unknown>): Promise<[string, unknown] | null> {
  return work.then(
    () => null,
    (error: { code: string; details: { field?: unknown } }) => [error.code, error.details.field],
  );
}

describe("[AS-1] registering over REST", () => {
  test("takes a token that the admin stored, and patterns that are regular expressions", async () => {
    expect(await refusal(registrations().register(draft({ as_token: undefined })))).toEqual([
      "UNAUTHENTICATED",
      "as_token",
    ]);
    expect(await refusal(registrations().register(draft({ as_token: "T_x" })))).toEqual(["FORBIDDEN", "as_token"]);
    expect(await refusal(registrations().register(draft({ as_token: 5 })))).toEqual(["UNAUTHENTICATED", "as_token"]);
    const bad: [object, string][] = [
      [{ namespaces: { users: ["@("] } }, "namespaces.users.0"],
      [{ namespaces: { aliases: ["#ok", { regex: "a{2000}", exclusive: false }] } }, "namespaces.aliases.1"],
      [{ namespaces: { rooms: ["(?!no)lookaround"] } }, "namespaces.rooms.0"],
      [{ namespaces: { users: [5] } }, "namespaces.users.0"],
      [{ namespaces: { users: Array(101).fill("@a") } }, "namespaces.users"],
      [{ namespaces: { users: ["x".repeat(1001)] } }, "namespaces.users.0"],
      [{ url: "file:///etc/passwd" }, "url"],
      [{ url: "http://user:password@host" }, "url"],
      [{ sender_localpart: "a b\u0000" }, "sender_localpart"],
    ];
    for (const [changes, field] of bad) {
      expect(await refusal(registrations().register(draft(changes))), JSON.stringify(changes)).toEqual([
        "BAD_INPUT",
        field,
      ]);
    }
    expect(await sql(server.databaseUrl, "SELECT id FROM app_service")).toEqual([]);
  });

  test("again with the same token replaces the entry and keeps what the server shows; then names are its own", async () => {
    const { hsToken } = await registrations().register(draft());
    const again = await registrations().register(
      draft({ namespaces: { users: [{ regex: "@irc_.*", exclusive: true }] } }),
    );
    expect(again.hsToken).toBe(hsToken);
    const [row] = await sql<{ id: string }>(server.databaseUrl, "SELECT id FROM app_service");
    await expect(server.user("irc_me")).rejects.toThrow("EXCLUSIVE");
    const { accounts } = server.app.domain;
    expect(await refusal(accounts.registerByService(row!.id, "outside"))).toEqual(["EXCLUSIVE", "username"]);
    expect(await accounts.registerByService(row!.id, "irc_-Server-")).toBe("@irc_-Server-:localhost");
    expect(await refusal(accounts.registerByService(row!.id, "irc_-Server-"))).toEqual(["USER_IN_USE", "username"]);
    expect(await refusal(accounts.registerByService(row!.id, "irc_a:b"))).toEqual(["INVALID_USERNAME", "username"]);
    const both = await Promise.all([1, 2].map(() => refusal(accounts.registerByService(row!.id, "irc_twice"))));
    expect(both).toContainEqual(null);
    expect(both).toContainEqual(["USER_IN_USE", "username"]);
  });

  test("takes over no person's account", async () => {
    const taken = draft({ as_token: "T_b", id: "second", sender_localpart: "alice" });
    expect(await refusal(registrations().register(taken))).toEqual(["EXCLUSIVE", "sender_localpart"]);
  });
});

test("[AS-1] [AS-5] a registration finds what was there before it: ghosts, aliases and rooms by their ids; and lets go of what it no longer names", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC", alias: "#sms_old:localhost" });
  const named = await alice.createRoom({ joinRule: "PUBLIC" });
  const peopled = await alice.createRoom({ joinRule: "PUBLIC" });
  const early = await server.user("sms_early");
  await early.join(peopled);
  await alice.createRoom({});
  const namespaces = {
    users: [{ regex: "@sms_.*" }],
    aliases: [{ regex: "#sms_.*" }],
    rooms: [{ regex: named.replace(/[+]/g, "\\+") }],
  };
  await registrations().takeFiles([other.registration({ namespaces })]);
  const interests = () =>
    sql<{ room_id: string }>(
      server.databaseUrl,
      "SELECT room_id FROM app_service_room WHERE app_service_id = 'sms' ORDER BY room_id",
    );
  await until(async () => (await interests()).length === 3);
  expect((await interests()).map(({ room_id: id }) => id).sort()).toEqual([room, named, peopled].sort());
  for (const each of [room, named, peopled]) await alice.send(each, `in ${each}`);
  await until(() => other.events().length === 3);
  await registrations().takeFiles([other.registration({ namespaces: { users: [{ regex: "@sms_.*" }] } })]);
  await until(async () => (await interests()).length === 1);
  for (const each of [room, named, peopled]) await alice.send(each, `again in ${each}`);
  await until(() => other.events().length === 4);
  expect(other.events().at(-1)!.room_id).toBe(peopled);
});

test("[AS-1] a file that is gone ends its service, and what waited for it waits until it is back", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  await (await makeGhost(server, "sms", "sms_waits")).join(room);
  await until(() => other.events().at(-1)?.room_id === room);
  other.script = () => [500, {}];
  await alice.send(room, "waits");
  await until(() => other.asked.at(-1)!.body.includes('"waits"'));
  await registrations().takeFiles([]);
  expect(server.app.domain.services.identity.service("as-token-of-sms")).toBeNull();
  await alice.send(room, "unheard");
  other.script = () => [200, {}];
  await registrations().takeFiles([other.registration()]);
  await until(() => other.events().some(({ content }) => content["body"] === "waits"));
  expect(other.events().some(({ content }) => content["body"] === "unheard")).toBe(false);
  expect(server.app.domain.services.identity.service("as-token-of-sms")?.id).toBe("sms");
});

test("[AS-1] files that contradict each other or lack something are refused whole, naming the file and the field", async () => {
  const good = other.registration();
  const broken: [{ name: string; content: unknown }[], string][] = [
    [[good, { ...other.registration({ id: "twin" }), name: "twin.yaml" }], "twin.yaml"],
    [[{ name: "a.yaml", content: { ...good.content, as_token: undefined } }], "a.yaml.as_token"],
    [[{ name: "b.yaml", content: "text" }], "b.yaml"],
    [
      [{ name: "c.yaml", content: { ...good.content, namespaces: { users: [{ regex: "(" }] } } }],
      "c.yaml: namespaces.users.0",
    ],
  ];
  for (const [files, field] of broken) {
    expect(await refusal(registrations().takeFiles(files))).toEqual(["BAD_INPUT", field]);
  }
  expect(server.app.domain.services.identity.service("as-token-of-sms")?.id).toBe("sms");
});

test("[AS-2] unregistering ends everything: the token, the names, what was on its way", async () => {
  expect(await refusal(registrations().unregister({}))).toEqual(["UNAUTHENTICATED", "as_token"]);
  expect(await refusal(registrations().unregister({ as_token: "T_x" }))).toEqual(["FORBIDDEN", "as_token"]);
  expect(await refusal(registrations().unregister({ as_token: "as-token-of-sms" }))).toEqual(["CONFLICT", "as_token"]);
  const before = server.app.domain.services.identity.service("T_a");
  await registrations().unregister({ as_token: "T_a" });
  expect(server.app.domain.services.identity.service("T_a")).toBeNull();
  await server.user("irc_free");
  const left = await sql(
    server.databaseUrl,
    `SELECT 1 FROM app_service_user WHERE app_service_id = $1 UNION SELECT 1 FROM app_service_queue WHERE app_service_id = $1
     UNION SELECT 1 FROM app_service_room WHERE app_service_id = $1`,
    [before!.id],
  );
  expect(left).toEqual([]);
});
