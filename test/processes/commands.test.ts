import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { freshDatabase, startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { createDatabase, sql } from "../kit/database.ts";
import { runCommand } from "./support/command.ts";

let app: TestApp;
beforeAll(async () => {
  const namespaces = { users: [{ exclusive: true, regex: "@irc_.*" }], rooms: [], aliases: [] };
  const irc = { id: "irc", as_token: "a", hs_token: "h", sender_localpart: "ircbot", url: null, namespaces };
  const services = [{ name: "irc.yaml", content: irc }];
  app = await startApp({ config: { registration: "closed" }, services, mirrors: false });
});
afterAll(() => app.close());

const settings = () => ({ DATABASE_URL: app.databaseUrl });

test("[ACC-1] create-user makes accounts while the server runs, by the rules for names and passwords", async () => {
  const create = (name: string, password: string, ...options: string[]) =>
    runCommand(["admin", "create-user", name, "--password-stdin", ...options], settings(), password);
  const made = await create("alice", "correct horse battery\n", "--admin");
  expect(made).toMatchObject({ code: 0, output: "@alice:localhost can log in, and is an admin.\n", problem: "" });
  const alice = await Client.login(app.address, "alice", "phone");
  expect(await alice.do("{ viewer { admin } }")).toEqual({ viewer: { admin: true } });

  const refused = await Promise.all([
    create("alice", "another password\n"),
    create("irc_bob", "correct horse battery"),
    create("bob", "two\nlines of it\n"),
    runCommand(["admin", "create-user", "bob"], settings()),
  ]);
  expect(refused.map(({ code, problem }) => [code, problem])).toEqual([
    [1, "The name is taken.\n"],
    [1, "The name is one of an application service.\n"],
    [2, "The standard input holds more than one line.\n"],
    [2, "There is no terminal to ask for the password: use --password-stdin.\n"],
  ]);
});

test("[ACC-1] accounts that are made so need no registration, and are no admins unless it is said", async () => {
  const { accounts } = app.app.domain;
  expect(await accounts.create({ username: "carol", password: "correct horse battery" })).toBe("@carol:localhost");
  const carol = await Client.login(app.address, "carol", "phone");
  expect(await carol.do("{ viewer { admin } }")).toEqual({ viewer: { admin: false } });
  const refused = [
    { username: "Dora", password: "correct horse battery" },
    { username: "dora", password: "short" },
    { username: "carol", password: "correct horse battery" },
    { username: "irc_dora", password: "correct horse battery" },
  ].map((input) => accounts.create(input).catch(({ code }: { code: string }) => code));
  expect(await Promise.all(refused)).toEqual(["INVALID_USERNAME", "WEAK_PASSWORD", "USER_IN_USE", "EXCLUSIVE"]);
  const stored = await sql<{ user_id: string }>(app.databaseUrl, "SELECT user_id FROM account ORDER BY 1");
  expect(stored.map((account) => account.user_id)).toEqual([
    "@alice:localhost",
    "@carol:localhost",
    "@ircbot:localhost",
  ]);
});

test("migrate brings an empty database up to date, says what it did, and shows what is to be done", async () => {
  const name = `test_${randomBytes(8).toString("hex")}`;
  const empty = { DATABASE_URL: await createDatabase(inject("postgresUrl"), name, null) };
  const [early, status] = await Promise.all([
    runCommand(["admin", "create-user", "alice", "--password-stdin"], empty, "correct horse battery"),
    runCommand(["migrate", "--status"], empty),
  ]);
  expect(early).toMatchObject({ code: 1, problem: "The store isn't up to date: run hearth migrate first.\n" });
  expect(status).toMatchObject({ code: 0, problem: "" });
  expect(status.output).toMatch(/^To be applied:\n {2}20261121000000_init\n/);
  expect(await sql(empty.DATABASE_URL, "SELECT FROM information_schema.tables WHERE table_schema = 'public'")).toEqual(
    [],
  );

  const done = await runCommand(["migrate"], empty);
  expect(done).toMatchObject({ code: 0, problem: "" });
  expect(done.output).toBe(`${status.output.replace("To be applied", "Applied")}The store is up to date.\n`);
  const [again, after] = await Promise.all([
    runCommand(["migrate"], empty),
    runCommand(["migrate", "--status"], empty),
  ]);
  expect(again.output).toBe("The store is up to date; there was nothing to do.\n");
  expect(after.output).toContain("The store is up to date: ");
});

test("a call that makes no sense shows how it is called, and so does none at all", async () => {
  const [none, unknown, wrong] = await Promise.all([
    runCommand([], {}),
    runCommand(["nonsense"], {}),
    runCommand(["start", "--nonsense"], {}),
  ]);
  expect([none.code, unknown.code, wrong.code]).toEqual([2, 2, 2]);
  expect([none.output, unknown.output, wrong.output]).toEqual(["", "", ""]);
  expect(none.problem).toContain("Usage: hearth [options] [command]");
  expect(unknown.problem).toContain("error: unknown command 'nonsense'");
  expect(wrong.problem).toContain("error: unknown option '--nonsense'\n\nUsage: hearth start");
});

test("what can't be started is told without a stack trace", async () => {
  const [setting, store] = await Promise.all([
    runCommand(["start"], { HEARTH_PORT: "many" }),
    runCommand(["start"], { DATABASE_URL: await freshDatabase(), HEARTH_APPSERVICES: "/nowhere.yaml" }),
  ]);
  expect(setting).toMatchObject({ code: 1, output: "" });
  expect(setting.problem).toMatch(/^hearth can't start: HEARTH_PORT: .*\n$/);
  expect(store.problem).toMatch(/^hearth can't start: The registration \/nowhere.yaml can't be read: .*\n$/);
});
