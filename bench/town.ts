import { setTimeout as delay } from "node:timers/promises";
import { addRoom, addUsers, withDomain, type BenchUser } from "./data.ts";
import { HttpClient } from "./http.ts";
import type { Options } from "./options.ts";
import type { Follower } from "./peers/peer.ts";
import { progress, rounded, type Row } from "./report.ts";
import { quantile } from "./rounds.ts";
import type { Server } from "./server.ts";
import { subscribe } from "./subscriber.ts";
import { measure } from "./usage.ts";

/** Many people, each of whom is in one room of every size. */
export interface Town {
  users: BenchUser[];
  rooms: { roomId: string; members: BenchUser[] }[];
}

const roomSizes = [2, 10, 50, 500];
/** Rooms that are filled side by side. */
const parallel = 16;
const sendsPerSecond = 50;
const actorCount = 500;
const send = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }";

export function buildTown(dataDir: string, count: number): Promise<Town> {
  return withDomain(dataDir, async (workshop) => {
    progress(`${count} users enter ${roomSizes.length} rooms each`);
    const users = await addUsers(workshop, count);
    const groups = roomSizes.flatMap((size) =>
      Array.from({ length: Math.ceil(count / size) }, (_, index) => users.slice(index * size, (index + 1) * size)),
    );
    const rooms: Town["rooms"] = [];
    const rest = groups.values();
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        for (const members of rest) rooms.push({ roomId: await addRoom(workshop, members), members });
      }),
    );
    return { users, rooms };
  });
}

/** Something that people do so many times a second; `number` counts the times. */
export interface Pastime {
  rate: number;
  act(number: number, actors: readonly Actor[]): Promise<unknown>;
}

/** One of the people who do something; they live all over the town. */
export interface Actor {
  user: BenchUser;
  client: HttpClient;
}

/**
 * What a town in which everybody has a stream open costs a server: at rest, while a pastime goes on, while people send
 * messages in rooms of 50, and both.
 */
export async function liveIn(
  server: Server,
  { users, rooms }: Town,
  pastime: Pastime,
  options: Options,
): Promise<Row[]> {
  progress(`${users.length} streams are opened`);
  let chunks = 0;
  const on = {
    delivered: () => undefined,
    limited: () => undefined,
    chunk: () => void (chunks += 1),
    failed(error: Error) {
      throw error;
    },
  };
  const followers: Follower[] = [];
  const rest = users.values();
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      for (const { authorization } of rest) followers.push(await subscribe(server.address, authorization, on));
    }),
  );
  await delay(3000);
  const step = Math.ceil(users.length / actorCount);
  const actors = users
    .filter((_, index) => index % step === 0)
    .map((user): Actor => ({ user, client: new HttpClient(server.address, user.authorization) }));
  const senders = rooms
    .filter(({ members }) => members.length === 50)
    .slice(0, 20)
    .map(({ roomId, members }) => ({ roomId, client: new HttpClient(server.address, members[0]!.authorization) }));

  const latencies: number[] = [];
  let acts = 0;
  let sends = 0;
  const acting = { rate: pastime.rate, do: () => pastime.act(acts++, actors) };
  const sending = {
    rate: sendsPerSecond,
    async do() {
      const { roomId, client } = senders[sends++ % senders.length]!;
      const input = { roomId, message: { content: { text: { body: "A message of a usual length" } } } };
      const { milliseconds } = await client.timed(JSON.stringify({ query: send, variables: { input } }));
      latencies.push(milliseconds);
    },
  };
  const cases = { rest: [], pastime: [acting], sends: [sending], both: [acting, sending] };

  const rows: Row[] = [];
  for (const [name, works] of Object.entries(cases)) {
    progress(name);
    await during(options.warmup, works);
    latencies.length = 0;
    chunks = 0;
    const stop = measure(server.pid, server.postgresPid);
    await during(Math.max(options.seconds, 10), works);
    const { seconds, node, postgres, load } = stop();
    rows.push({
      ...{ case: name, "server CPU": rounded(node), "postgres CPU": rounded(postgres), "load CPU": rounded(load) },
      "chunks/s": rounded(chunks / seconds),
      ...(latencies.length === 0
        ? {}
        : { "send p50 ms": rounded(quantile(latencies, 0.5)), "send p99 ms": rounded(quantile(latencies, 0.99)) }),
    });
  }
  for (const follower of followers) follower.close();
  for (const { client } of [...actors, ...senders]) client.close();
  return rows;
}

/** Does each work so many times a second, whether or not the last time has ended. */
async function during(seconds: number, works: readonly { rate: number; do(): Promise<unknown> }[]): Promise<void> {
  const running: Promise<unknown>[] = [];
  const started = performance.now();
  const done = works.map(() => 0);
  while (performance.now() < started + seconds * 1000) {
    for (const [index, work] of works.entries()) {
      const due = Math.floor(((performance.now() - started) / 1000) * work.rate);
      for (; done[index]! < due; done[index]!++) running.push(work.do());
    }
    await delay(5);
  }
  await Promise.all(running);
}
