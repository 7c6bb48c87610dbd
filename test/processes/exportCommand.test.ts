import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { upload } from "../kit/media.ts";
import { unzip } from "../kit/unzip.ts";
import { runCommand, type Outcome } from "./support/command.ts";
import { startServer } from "./support/serverProcess.ts";

let directory: string;
let settings: Record<string, string>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hearth-export-"));
  settings = { DATABASE_URL: await freshDatabase(), HEARTH_DATA_DIR: join(directory, "data") };
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const command = (...parameters: string[]): Promise<Outcome> =>
  runCommand(["admin", "export-user", ...parameters], settings);

test("the command line writes everything about a user, while a server runs and while none does", async () => {
  const server = await startServer(settings);
  const alice = await Client.register(server.address, "alice");
  const roomId = await alice.createRoom();
  const message = await alice.send(roomId, "hello");
  await upload(alice, "a picture's bytes", { name: "me.png" });

  const file = join(directory, "alice.zip");
  const written = await command("alice", "--output", file);
  expect(written).toMatchObject({ code: 0, problem: "" });
  expect(written.output).toBe(`Everything that this server holds about @alice:localhost is in ${file}.\n`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await server.stop();
  const piped = await command("@alice:localhost");
  expect(piped).toMatchObject({ code: 0, problem: "" });
  for (const archive of [await readFile(file), piped.bytes]) {
    const files = unzip(archive);
    expect(JSON.parse(files.get("account.json")!.toString())).toMatchObject({ user_id: "@alice:localhost" });
    const texts = [...files].map(([path, content]) => `${path}\n${content.toString()}`);
    expect(texts.some((text) => text.startsWith("rooms/") && text.includes(message))).toBe(true);
    expect(texts.some((text) => text.startsWith("media/") && text.endsWith("a picture's bytes"))).toBe(true);
  }

  // What is there isn't written over, and nothing is left of what can't be done.
  const kept = join(directory, "kept");
  await writeFile(kept, "mine");
  const refused = await command("alice", "--output", kept);
  expect(refused).toMatchObject({ code: 1, output: "" });
  expect(refused.problem).toContain("EEXIST");
  expect(await readFile(kept, "utf8")).toBe("mine");
  const nobody = await command("nobody", "--output", join(directory, "nobody.zip"));
  expect(nobody).toMatchObject({ code: 1, output: "" });
  expect(nobody.problem).toContain("There is no user @nobody:localhost");
  expect(await command()).toMatchObject({ code: 2 });
  expect((await readdir(directory)).sort()).toEqual(["alice.zip", "data", "kept"]);
}, 120_000);
