import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/store/embedded/process.ts";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";
import { runCommand, type Outcome } from "./support/command.ts";
import { postmasterOf } from "./support/postmaster.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let dataDir: string;
let server: ServerProcess | null = null;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "hearth-admin-"));
  // As root, PostgreSQL runs under another account; unless that may enter, the cluster would be kept elsewhere.
  await chmod(dataDir, 0o755);
});
afterAll(async () => {
  await server?.stop();
  const database = postmasterOf(dataDir);
  if (database !== null && isAlive(database)) process.kill(database, "SIGINT");
  await until(() => database === null || !isAlive(database));
  await rm(dataDir, { recursive: true, force: true });
});

const run = (parameters: string[], settings: Record<string, string>): Promise<Outcome> =>
  runCommand(["admin", "make-admin", ...parameters], settings);

const command = (...parameters: string[]) => run(parameters, { HEARTH_DATA_DIR: dataDir });

const start = (): Promise<ServerProcess> => startServer({ HEARTH_DATA_DIR: dataDir });
/** The same client, at a server that was started anew. */
const at = ({ address }: ServerProcess, { token, userId, deviceId }: Client) =>
  new Client(address, token, userId, deviceId);
const users = "{ users { nodes { user { id } admin } } }";

test("the first user becomes admin by the command line, while the server runs and while it doesn't", async () => {
  // Before there is a store, none is made.
  const none = await command("alice");
  expect(none).toMatchObject({ code: 1, output: "" });
  expect(none.problem).toContain("There is no store in");
  expect(existsSync(join(dataDir, "postgres"))).toBe(false);

  server = await start();
  const alice = await Client.register(server.address, "alice");
  const bob = await Client.register(server.address, "bob");
  expect(await alice.code(users)).toBe("FORBIDDEN");
  const following = await alice.follow();
  const database = postmasterOf(dataDir);

  // The server runs: it counts at once, and nothing else is disturbed.
  expect(await command("alice")).toMatchObject({ code: 0, output: "@alice:localhost is an admin now.\n" });
  await until(async () => (await alice.code(users)) === null);
  expect(await bob.code(users)).toBe("FORBIDDEN");
  expect(await command("@alice:localhost")).toMatchObject({
    code: 0,
    output: "@alice:localhost was an admin already.\n",
  });
  const unknown = await command("nobody");
  expect(unknown).toMatchObject({ code: 1, output: "" });
  expect(unknown.problem).toContain("There is no user @nobody:localhost");
  expect(postmasterOf(dataDir)).toBe(database);
  await following.sees(await alice.send(await alice.createRoom(), "still live"));
  expect(following.failure).toBeNull();
  await alice.do(`mutation { deactivateUser(input: { userId: "@bob:localhost" }) { account { deactivatedAt } } }`);
  const shut = await command("bob");
  expect(shut).toMatchObject({ code: 1, output: "" });
  expect(shut.problem).toContain("@bob:localhost is deactivated");
  const carol = await Client.register(server.address, "carol");
  await alice.close();

  // The server was killed, and its database runs on: that is used as it is.
  await server.kill();
  server = null;
  expect(isAlive(database!)).toBe(true);
  expect(await command("carol")).toMatchObject({ code: 0, output: "@carol:localhost is an admin now.\n" });
  expect(isAlive(database!)).toBe(true);
  server = await start();
  expect(await at(server, carol).code(users)).toBeNull();
  const dora = await Client.register(server.address, "dora");

  // Nothing runs: the database is started, and stopped again.
  expect(await server.stop()).toBe(0);
  server = null;
  expect(postmasterOf(dataDir)).toBeNull();
  expect(await command("dora")).toMatchObject({ code: 0, output: "@dora:localhost is an admin now.\n" });
  expect(postmasterOf(dataDir)).toBeNull();
  expect(existsSync(join(dataDir, "hearth.lock"))).toBe(false);
  server = await start();
  expect(await at(server, dora).code(users)).toBeNull();
}, 90_000);

test("with DATABASE_URL it changes that database, and one without a server's store has no users", async () => {
  const databaseUrl = await freshDatabase();
  expect(await run(["alice"], { DATABASE_URL: databaseUrl })).toMatchObject({ code: 1, output: "" });
  const served = await startServer({ DATABASE_URL: databaseUrl, HEARTH_SERVER_NAME: "example.org" });
  try {
    const alice = await Client.register(served.address, "alice");
    expect(await alice.code(users)).toBe("FORBIDDEN");
    // The name belongs to the server whose store it is, whatever the settings here say.
    expect(await run(["alice"], { DATABASE_URL: databaseUrl })).toMatchObject({
      code: 0,
      output: "@alice:example.org is an admin now.\n",
    });
    await until(async () => (await alice.code(users)) === null);
  } finally {
    await served.stop();
  }
  const gone = await run(["alice"], { DATABASE_URL: "postgresql://127.0.0.1:1/nothing" });
  expect(gone).toMatchObject({ code: 1, output: "" });
  expect(gone.problem).toContain("The store can't be used: connect ECONNREFUSED");
}, 60_000);

test("--help tells how it is called, and so does calling it otherwise", async () => {
  const help = await command("--help");
  expect(help).toMatchObject({ code: 0 });
  expect(help.output).toContain("hearth admin make-admin alice");
  for (const parameters of [[], ["alice", "bob"], ["--nonsense"]]) {
    const wrong = await command(...parameters);
    expect(wrong).toMatchObject({ code: 2, output: "" });
    expect(wrong.problem).toContain(help.output);
  }
});
