import { afterEach, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { addMessages } from "../kit/messages.ts";
import { until } from "../kit/until.ts";
import { runCommand, type Outcome } from "./support/command.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const password = "correct horse battery";
const messages = 6000;
const remove = "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }";

let databaseUrl: string;
let servers: ServerProcess[] = [];
let number = 0;
beforeAll(async () => {
  databaseUrl = await freshDatabase();
});
afterEach(async () => {
  for (const server of servers) await server.kill();
  servers = [];
});

async function start(): Promise<ServerProcess> {
  const server = await startServer({ DATABASE_URL: databaseUrl });
  servers.push(server);
  return server;
}

async function kill(server: ServerProcess): Promise<void> {
  servers = servers.filter((each) => each !== server);
  await server.kill();
}

/** Alice and bob, and rooms of bob's with what alice sent; she has left the second. */
async function furnished(server: ServerProcess): Promise<{ alice: Client; bob: Client; rooms: string[] }> {
  const n = number++;
  const [alice, bob] = [
    await Client.register(server.address, `alice${n}`),
    await Client.register(server.address, `bob${n}`),
  ];
  const rooms = [await bob.createRoom({ joinRule: "PUBLIC" }), await bob.createRoom({ joinRule: "PUBLIC" })];
  for (const roomId of rooms) {
    await alice.join(roomId);
    await addMessages(databaseUrl, roomId, alice.userId, messages / rooms.length);
  }
  await alice.leave(rooms[1]!);
  return { alice, bob, rooms };
}

async function count(condition: string, values: unknown[]): Promise<number> {
  const [row] = await sql<{ count: number }>(
    databaseUrl,
    `SELECT count(*)::integer AS count FROM ${condition}`,
    values,
  );
  return row!.count;
}

const unredacted = ({ userId }: Client): Promise<number> =>
  count("event WHERE sender = $1 AND type = 'm.room.message' AND redacted_by_id IS NULL", [userId]);

/** All is done, and nothing twice. */
async function checkDone({ alice, rooms }: { alice: Client; rooms: string[] }): Promise<void> {
  const { userId } = alice;
  await until(async () => (await unredacted(alice)) === 0, undefined, 60_000);
  const waiting = "account_deletion WHERE user_id = $1 AND due_at < requested_at + interval '59 seconds'";
  await until(async () => (await count(waiting, [userId])) === 0, undefined, 30_000);
  const told = "event WHERE sender = $1 AND type = 'm.room.message' AND (content <> '{}' OR action_device IS NOT NULL)";
  expect(await count(told, [userId])).toBe(0);
  const redactions = "event WHERE room_id = ANY ($1::text[]) AND redacts_id IS NOT NULL";
  expect(await count(redactions, [rooms])).toBe(messages);
  expect(await count("member WHERE user_id = $1 AND membership <> 'leave'", [userId])).toBe(0);
  const leaves = `event WHERE state_key = $1 AND type = 'm.room.member' AND content = '{"membership":"leave"}'`;
  expect(await count(leaves, [userId])).toBe(rooms.length);
  expect(await count("access_token WHERE user_id = $1", [userId])).toBe(0);
}

test("[ACC-3] a deletion that kill -9 cuts off goes on at the next start", async () => {
  let server = await start();
  const scene = await furnished(server);
  await scene.alice.do(remove, { input: { password, erase: true } });
  for (const share of [0.9, 0.5, 0.2]) {
    await until(async () => (await unredacted(scene.alice)) < share * messages, undefined, 60_000);
    await kill(server);
    expect(await unredacted(scene.alice)).toBeGreaterThan(0);
    server = await start();
  }
  await checkDone(scene);
}, 120_000);

test("[ACC-3] another process takes over from one that is killed, and from one that only stalls", async () => {
  const [first, second] = [await start(), await start()];
  const scene = await furnished(first);
  await scene.alice.do(remove, { input: { password, erase: true } });
  await until(async () => (await unredacted(scene.alice)) < 0.9 * messages, undefined, 60_000);
  // Whichever has it: for a while none goes on, then the other does.
  first.pause();
  await until(async () => (await unredacted(scene.alice)) < 0.4 * messages, undefined, 60_000);
  first.resume();
  await kill(second);
  await checkDone(scene);
}, 120_000);

const command = (...parameters: string[]): Promise<Outcome> =>
  runCommand(["admin", "delete-user", ...parameters], { DATABASE_URL: databaseUrl });

test("[ACC-3] the command line deletes while a server runs, which ends the streams and goes on", async () => {
  const server = await start();
  const scene = await furnished(server);
  const follow = await scene.alice.follow();
  const outcome = await command(scene.alice.userId, "--erase");
  expect(outcome).toMatchObject({ code: 0, problem: "" });
  expect(outcome.output).toContain(`${scene.alice.userId} is deleted.`);
  await until(() => JSON.stringify(follow.failure ?? null).includes("UNKNOWN_TOKEN"), undefined, 1000);
  await checkDone(scene);
}, 120_000);

test("[ACC-3] the command line deletes while none runs, and the next start goes on", async () => {
  const server = await start();
  const scene = await furnished(server);
  await kill(server);
  const [, name] = /^@(.*):/.exec(scene.alice.userId)!;
  expect(await command(name!, "--erase")).toMatchObject({ code: 0 });
  expect(await unredacted(scene.alice)).toBe(messages);
  await start();
  await checkDone(scene);
  const nobody = await command("nobody");
  expect(nobody).toMatchObject({ code: 1, output: "" });
  expect(nobody.problem).toContain("There is no user @nobody:localhost");
  expect(await command("--nonsense")).toMatchObject({ code: 2, output: "" });
  expect(await command()).toMatchObject({ code: 2, output: "" });
}, 120_000);
