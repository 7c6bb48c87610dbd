import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { startService, takesAll, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let directory: string;
let file: string;
let service: ScriptedService;
let holder: ServerProcess;
let other: ServerProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hearth-services-"));
  service = await startService();
  const { content } = service.registration({ namespaces: { aliases: [{ exclusive: false, regex: "#irc_.*" }] } });
  file = join(directory, "irc.yaml");
  await writeFile(file, stringify(content));
  const settings = { DATABASE_URL: await freshDatabase(), HEARTH_APPSERVICES: file };
  // The first one has the lease.
  holder = await startServer(settings);
  other = await startServer(settings);
});
afterAll(async () => {
  await holder?.kill();
  await other?.stop();
  await service?.close();
  await rm(directory, { recursive: true, force: true });
});

test("[AS-5] a service whose sender is killed has the rest from another process within ten seconds, in order, once", async () => {
  const alice = await Client.register(holder.address, "alice");
  const room = await alice.createRoom({ alias: "#irc_room:localhost" });
  const there = new Client(other.address, alice.token, alice.userId, alice.deviceId);
  const sent: string[] = [];
  const heard = (): unknown[] =>
    service.events().flatMap(({ type, event_id: id }) => (type === "m.room.message" ? [id] : []));
  const say = async (client: Client): Promise<void> => void sent.push(await client.send(room, `m${sent.length}`));
  // It takes its time, so that the sender is killed with transactions on their way.
  service.script = async (asked, res) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return takesAll(asked, res);
  };
  while (sent.length < 40) await say(sent.length % 2 === 0 ? alice : there);
  await until(() => heard().length > 0);
  const before = heard().length;
  const killed = holder.kill();
  const died = Date.now();
  while (sent.length < 80) await say(there);
  await killed;
  await until(
    () => heard().length === sent.length,
    () => `heard ${heard().length} of ${sent.length}`,
    20_000,
  );
  expect(Date.now() - died).toBeLessThan(10_000);
  expect(heard()).toEqual(sent);
  expect(before).toBeLessThan(sent.length);
  // The same transaction may have come twice, and was the same then.
  const bodies = new Map<string, Set<string>>();
  for (const { path, body } of service.asked) bodies.set(path, (bodies.get(path) ?? new Set()).add(body));
  expect([...bodies.values()].every(({ size }) => size === 1)).toBe(true);
}, 60_000);

test("[AS-1] on SIGHUP a server takes its files anew; one that can't be used changes nothing", async () => {
  const { content } = service.registration();
  const who = async (token: string): Promise<number> =>
    (await fetch(`${other.address}/_matrix/client/v3/account/whoami?access_token=${token}`)).status;
  expect(await who("another-token")).toBe(401);
  await writeFile(file, stringify({ ...content, as_token: "another-token" }));
  other.reload();
  await until(async () => (await who("another-token")) === 200);
  await writeFile(file, "id: [");
  other.reload();
  await writeFile(file, stringify({ ...content, id: "second", as_token: "third-token" }));
  other.reload();
  await until(async () => (await who("third-token")) === 200);
  expect(await who("another-token")).toBe(401);
});
