/** A server of two workers on one port. */
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/store/embedded/process.ts";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import type { Follow } from "../kit/follow.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let settings: Record<string, string>;
let server: ServerProcess;
beforeAll(async () => {
  settings = { DATABASE_URL: await freshDatabase(), HEARTH_WORKERS: "2" };
  server = await startServer(settings);
});
afterAll(() => server?.kill());

/** The sum of what a metric says, over its labels. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.address}/metrics`)).text();
  const values = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

test("workers know of each other's events, and are replaced when they end; metrics are those of all", async () => {
  const [one, other] = server.workers();
  expect(server.workers()).toHaveLength(2);
  const alice = await Client.register(server.address, "alice");
  const room = await alice.createRoom({});
  const clients = Array.from(
    { length: 4 },
    () => new Client(server.address, alice.token, alice.userId, alice.deviceId),
  );
  const follows: Follow[] = [];
  for (const client of clients) follows.push(await client.follow());
  const id = await alice.send(room, "to all");
  for (const follow of follows) await follow.until(({ events }) => events.some((event) => event.id === id));
  await until(async () => (await metric("hearth_streams")) === clients.length);
  expect(await metric("hearth_websockets")).toBe(clients.length);

  const figures = ["hearth_requests_total", "hearth_request_duration_seconds_count", "hearth_append_batch_events_sum"];
  const counted = await Promise.all(figures.map(metric));

  // One that is killed takes its own clients with it, however they are spread, and is replaced.
  for (const worker of [one!, other!]) {
    process.kill(worker, "SIGKILL");
    await until(() => server.workers().length === 2 && !server.workers().includes(worker));
  }
  await until(() => follows.every(({ ended }) => ended));
  await until(async () => (await metric("hearth_ready").catch(() => 0)) === 1, undefined, 20_000);
  for (const client of clients) await client.close();
  // Counters never go down, or they would be taken for new ones; what was so only while a worker lived is gone with it.
  const after = await Promise.all(figures.map(metric));
  after.forEach((count, number) => expect(count).toBeGreaterThanOrEqual(counted[number]!));
  expect(Math.min(...counted)).toBeGreaterThan(0);
  expect(await metric("hearth_websockets")).toBe(0);
});

test("nobody who connects just when a worker is killed waits for good", async () => {
  const { hostname, port } = new URL(server.address);
  let trying = true;
  let answered = 0;
  /** Connects and asks, again and again; an end counts as an answer, since it has the client come again. */
  const ask = async (): Promise<void> => {
    while (trying) {
      const socket = connect(Number(port), hostname).setTimeout(15_000);
      socket.on("connect", () => socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      const outcome = await new Promise((resolve) => {
        for (const event of ["data", "close", "timeout"]) socket.once(event, () => resolve(event));
        socket.on("error", () => undefined);
      });
      socket.destroy();
      expect(outcome).not.toBe("timeout");
      if (outcome === "data") answered++;
      else await delay(20);
    }
  };
  const asking = Array.from({ length: 30 }, ask);
  for (let killed = 0; killed < 4; killed++) {
    await until(
      () => server.workers().length === 2,
      () => `its workers are ${server.workers().join()}`,
      20_000,
    );
    const before = answered;
    await until(() => answered > before + 50, undefined, 20_000);
    process.kill(server.workers().at(-1)!, "SIGKILL");
  }
  trying = false;
  await Promise.all(asking);
  await until(
    async () => (await metric("hearth_ready").catch(() => 0)) === 1 && server.workers().length === 2,
    undefined,
    20_000,
  );
}, 90_000);

test("who can't serve says so once, and nothing of it stays", async () => {
  const taken = startServer({ ...settings, HEARTH_PORT: new URL(server.address).port });
  const problem = await taken.then(
    () => "",
    (error: unknown) => String(error),
  );
  expect(problem).toContain("hearth can't start: listen EADDRINUSE");
  expect(problem.trim().split("\n")).toHaveLength(1);
});

test("workers end with the one who started them, on SIGTERM in peace and on SIGKILL by themselves", async () => {
  const workers = server.workers();
  const alice = await Client.login(server.address, "alice", "device");
  await alice.follow();
  const begun = performance.now();
  expect(await server.stop()).toBe(0);
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(workers.filter(isAlive)).toEqual([]);

  server = await startServer(settings);
  const others = server.workers();
  await server.kill();
  await until(
    () => !others.some(isAlive),
    () => "workers stayed behind",
    15_000,
  );
});
