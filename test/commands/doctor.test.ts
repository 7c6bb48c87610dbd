import { randomBytes } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { checkDataDirectory } from "../../src/commands/doctor/disk.ts";
import type { Finding, Findings } from "../../src/commands/doctor/finding.ts";
import { checkMedia } from "../../src/commands/doctor/media.ts";
import { checkPolicy, checkServer } from "../../src/commands/doctor/reach.ts";
import { checkServiceFiles, checkServices } from "../../src/commands/doctor/services.ts";
import { checkNode, checkSettings } from "../../src/commands/doctor/settings.ts";
import { checkStore } from "../../src/commands/doctor/store.ts";
import { checkTurn } from "../../src/commands/doctor/turn.ts";
import { parseTurnUri } from "../../src/commands/doctor/turnClient.ts";
import { readConfig, type Config } from "../../src/config.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { coturnInstalled, startCoturn } from "../kit/coturn.ts";
import { createDatabase, sql } from "../kit/database.ts";
import { filesIn } from "../kit/media.ts";
import { freePort } from "../kit/ports.ts";
import { startService, takesAll, type ScriptedService } from "../kit/scriptedService.ts";
import { runCommand } from "../processes/support/command.ts";

let app: TestApp;
let service: ScriptedService;
/** An address at which nothing answers. */
let nowhere: string;

beforeAll(async () => {
  service = await startService(({ path, ...asked }, res) =>
    path.endsWith("/ping") ? [200, {}] : takesAll({ path, ...asked }, res),
  );
  app = await startApp({ services: [service.registration()], mirrors: false });
  nowhere = `http://127.0.0.1:${await freePort()}`;
});
afterAll(async () => {
  await app.close();
  await service.close();
});

const configOf = (settings: Record<string, string> = {}): Config =>
  readConfig({ DATABASE_URL: app.databaseUrl, HEARTH_DATA_DIR: app.dataDir, ...settings }, null);

async function all(findings: Findings): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of findings) found.push(finding);
  return found;
}

/** Of what was found what isn't well, as one line each. */
async function bad(findings: Findings): Promise<string[]> {
  return (await all(findings)).flatMap(({ level, what }) => (level === "ok" ? [] : [`${level}: ${what}`]));
}

test("Node is new enough, or is named", () => {
  expect(checkNode("20.19.0").level).toBe("ok");
  expect(checkNode("24.0.0").level).toBe("ok");
  expect(checkNode("20.18.9")).toMatchObject({ level: "problem", what: "Node 20.18.9 is too old" });
});

describe("settings", () => {
  const outside = {
    HEARTH_HOST: "0.0.0.0",
    HEARTH_PUBLIC_URL: "https://chat.example.org",
    HEARTH_SERVER_NAME: "example.org",
  };

  test("of a server that only its own machine reaches may be as they are", async () => {
    expect(await bad(checkSettings(configOf(), {}))).toEqual([]);
    expect(await bad(checkSettings(configOf(), { HEARTH_PROT: "1" }))).toEqual([
      "warning: HEARTH_PROT is no setting of this release",
    ]);
  });

  test.each([
    [{ HEARTH_REGISTRATION: "closed" }, []],
    [{}, ["warning: anybody may register"]],
    [
      { HEARTH_REGISTRATION: "token", HEARTH_SERVER_NAME: "localhost" },
      ["warning: others reach a server that calls itself localhost"],
    ],
    [{ HEARTH_REGISTRATION: "token", HEARTH_PUBLIC_URL: "" }, ["warning: clients aren't told"]],
    [
      { HEARTH_REGISTRATION: "token", HEARTH_PUBLIC_URL: "http://chat.example.org" },
      ["warning: HEARTH_PUBLIC_URL is not encrypted"],
    ],
    [
      { HEARTH_REGISTRATION: "token", HEARTH_AS_REGISTRATION: "open" },
      ["problem: anybody may register an application service"],
    ],
  ])("of one that others reach: %o", async (settings, expected) => {
    const found = await bad(checkSettings(configOf({ ...outside, ...settings }), {}));
    expect(found.length).toBe(expected.length);
    expected.forEach((text, number) => expect(found[number]).toContain(text));
  });
});

test("the data directory is there and has room, or can't be used", async () => {
  expect(await all(checkDataDirectory(configOf()))).toMatchObject([{ level: "ok" }]);
  const file = join(app.dataDir, "file");
  await writeFile(file, "");
  expect(await bad(checkDataDirectory(configOf({ HEARTH_DATA_DIR: join(file, "below") })))).toMatchObject([
    expect.stringMatching(/^problem: .*file can't be written/),
  ]);
});

describe("the store", () => {
  test("is told to be unsafe in a crash, as that of the tests is, and to belong to another server", async () => {
    const found = await bad(checkStore(configOf({ HEARTH_SERVER_NAME: "example.org" }), app.databaseUrl));
    expect(found).toContain("problem: fsync is off: a crash may destroy the database");
    expect(found).toContain("problem: the store is that of the server localhost");
  });

  test("may need more connections than it takes", async () => {
    const found = await bad(checkStore(configOf({ HEARTH_DATABASE_CONNECTIONS: "100" }), app.databaseUrl));
    expect(found).toContainEqual(
      expect.stringMatching(/^warning: the database takes \d+ connections, and 107 may be needed$/),
    );
  });

  test("may be out of reach, empty, of a newer release or half an import", async () => {
    const gone = await bad(checkStore(configOf(), "postgresql://127.0.0.1:1/nothing"));
    expect(gone).toEqual([expect.stringMatching(/^problem: the database can't be reached: connect ECONNREFUSED/)]);
    const url = await createDatabase(inject("postgresUrl"), `test_${randomBytes(8).toString("hex")}`, null);
    expect((await all(checkStore(configOf(), url))).at(-1)!.what).toContain("the database is empty");
    await sql(url, "CREATE TABLE hearth_import (what text)");
    expect((await bad(checkStore(configOf(), url))).at(-1)).toContain(
      "An import into this database was begun and isn't finished",
    );
  });
});

test("files are put, read and taken away, or can't be", async () => {
  expect(await bad(checkMedia(configOf()))).toEqual([]);
  expect(await filesIn(app.dataDir, "files")).toEqual([]);
  expect(await readdir(join(app.dataDir, "media", "spool"))).toEqual([]);
  const s3 = { HEARTH_MEDIA_S3_ENDPOINT: nowhere, HEARTH_MEDIA_S3_BUCKET: "b", HEARTH_MEDIA_S3_ACCESS_KEY: "k" };
  const found = await all(checkMedia(configOf({ ...s3, HEARTH_MEDIA_S3_SECRET_KEY: "very-secret" })));
  expect(found).toMatchObject([
    { level: "problem", what: expect.stringContaining(`the bucket b at ${nowhere} can't be used`) as string },
  ]);
  expect(JSON.stringify(found)).not.toContain("very-secret");
});

test("[AS-13] application services answer, or it is told what is wrong with them", async () => {
  expect(await bad(checkServices(configOf(), app.databaseUrl))).toEqual([]);
  expect(service.asked.some(({ path }) => path.endsWith("/ping"))).toBe(true);
  const { script } = service;
  service.script = () => [403, {}];
  expect(await bad(checkServices(configOf(), app.databaseUrl))).toEqual([
    `problem: irc at ${service.url} refuses the server's token`,
  ]);
  service.script = script;
  await sql(
    app.databaseUrl,
    "UPDATE app_service SET paused = true, url = $1, registration = replace(registration, $2, $1)",
    [nowhere, service.url],
  );
  expect(await bad(checkServices(configOf(), app.databaseUrl))).toEqual([
    expect.stringContaining(`problem: irc at ${nowhere} isn't reached`),
    "warning: irc is paused, with 0 events waiting",
  ]);
  expect(await bad(checkServiceFiles(configOf({ HEARTH_APPSERVICES: "/nowhere.yaml" })))).toEqual([
    expect.stringContaining("problem: The registration /nowhere.yaml can't be read"),
  ]);
});

test("the policy hook and the server are there, or not", async () => {
  expect(await bad(checkPolicy(configOf()))).toEqual([]);
  expect(await bad(checkPolicy(configOf({ HEARTH_POLICY_URL: service.url })))).toEqual([]);
  expect(await bad(checkPolicy(configOf({ HEARTH_POLICY_URL: nowhere })))).toEqual([
    expect.stringContaining("problem: it isn't reached, so that nothing can be sent"),
  ]);
  const { port } = new URL(app.address);
  expect(await all(checkServer(configOf({ HEARTH_PORT: port })))).toMatchObject([
    { level: "ok", what: `it runs at 127.0.0.1:${port}, and is well` },
  ]);
  const url = { HEARTH_PUBLIC_URL: nowhere };
  expect(await bad(checkServer(configOf({ HEARTH_PORT: port, ...url })))).toEqual([
    expect.stringContaining(`warning: ${nowhere} isn't reached from here`),
  ]);
  expect(await all(checkServer(configOf({ HEARTH_PORT: new URL(nowhere).port })))).toMatchObject([
    { level: "ok", what: expect.stringContaining("none runs at") as string },
  ]);
});

test.each([
  ["turn:turn.example.org", { turn: true, host: "turn.example.org", port: 3478, transport: "udp" }],
  ["turn:turn.example.org:3000?transport=tcp", { turn: true, host: "turn.example.org", port: 3000, transport: "tcp" }],
  ["turns:[2001:db8::1]?transport=tcp", { turn: true, host: "2001:db8::1", port: 5349, transport: "tls" }],
  ["stun:192.0.2.1", { turn: false, host: "192.0.2.1", port: 3478, transport: "udp" }],
])("[VOIP-8] %s is understood", (uri, address) => expect(parseTurnUri(uri)).toEqual(address));

test("[VOIP-8] a TURN server that isn't there is told", async () => {
  const { port } = new URL(nowhere);
  const uris = `turn:127.0.0.1:${port}?transport=tcp,turn:no-such-name.invalid`;
  expect(await bad(checkTurn(configOf({ HEARTH_TURN_URIS: uris, HEARTH_TURN_SECRET: "north" })))).toEqual([
    expect.stringContaining("ECONNREFUSED"),
    expect.stringContaining("turn:no-such-name.invalid: the name leads nowhere"),
  ]);
});

test.skipIf(!coturnInstalled)(
  `[VOIP-8] a TURN server relays for the credentials that clients get${coturnInstalled ? "" : " (skipped: needs turnserver)"}`,
  async () => {
    const turn = await startCoturn("open sesame");
    try {
      const at = `127.0.0.1:${turn.port}`;
      const uris = [`turn:${at}`, `turn:${at}?transport=tcp`, `stun:${at}`].join(",");
      const right = await all(checkTurn(configOf({ HEARTH_TURN_URIS: uris, HEARTH_TURN_SECRET: "open sesame" })));
      expect(right.map(({ level, what }) => `${level}: ${what}`)).toEqual([
        `ok: turn:${at} relays for the credentials that clients get`,
        `ok: turn:${at}?transport=tcp relays for the credentials that clients get`,
        `ok: stun:${at} answers`,
      ]);
      const [wrong] = await all(checkTurn(configOf({ HEARTH_TURN_URIS: uris, HEARTH_TURN_SECRET: "another" })));
      expect(wrong).toMatchObject({ level: "problem", what: `turn:${at}: it refuses to relay: 401 Unauthorized` });
      expect(wrong!.todo).toContain("HEARTH_TURN_SECRET");
    } finally {
      await turn.close();
    }
  },
);

test("the command says it all, for people and for machines, and shows no secret", async () => {
  const secrets = { HEARTH_TURN_URIS: "turn:127.0.0.1:1?transport=tcp", HEARTH_TURN_SECRET: "a-secret-of-turn" };
  const settings = {
    DATABASE_URL: app.databaseUrl,
    HEARTH_DATA_DIR: app.dataDir,
    HEARTH_PORT: new URL(nowhere).port,
    ...secrets,
  };
  const [people, machines, wrong] = await Promise.all([
    runCommand(["doctor"], settings),
    runCommand(["doctor", "--json"], settings),
    runCommand(["doctor"], { HEARTH_PORT: "many" }),
  ]);
  expect(people).toMatchObject({ code: 1, problem: "" });
  expect(people.output).toContain(
    "problem  store: fsync is off: a crash may destroy the database\n         → switch fsync on",
  );
  const findings = JSON.parse(machines.output) as Finding[];
  expect(machines.code).toBe(1);
  const abouts = new Set(findings.map(({ about }) => about));
  expect([...abouts]).toEqual([
    "node",
    "settings",
    "data directory",
    "store",
    "application services",
    "files",
    "TURN",
    "server",
  ]);
  expect(people.output + machines.output).not.toMatch(/a-secret-of-turn|postgresql:/);
  expect(wrong.code).toBe(1);
  expect(wrong.output).toContain("problem  settings: HEARTH_PORT: ");
});
