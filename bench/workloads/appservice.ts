import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { stringify } from "yaml";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { sendMessages } from "../../src/domain/actions/sendMessages.ts";
import { onEnd } from "../cleanup.ts";
import { addUsers, temporaryDataDir, withDomain, type BenchUser } from "../data.ts";
import { HttpClient } from "../http.ts";
import type { Options } from "../options.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { met, quantile } from "../rounds.ts";
import { program } from "../../scripts/program.ts";
import { startServer } from "../server.ts";

const backlog = 100_000;
const drainGoal = 5000;
/** Percent by which a service that doesn't take its events may slow anything else. */
const slowerGoal = 10;
const perPhase = 1500;
/** Between the beginnings of two sends. */
const sendEveryMs = 4;

type Mood = "takes" | "hangs" | "answers 500";
const moods: readonly Mood[] = ["takes", "hangs", "answers 500"];

/** How fast a backlog is drained to a service, and what a service that takes nothing costs everybody else. [AS-5] */
export async function appservice(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const [bad, good] = await Promise.all([startService("bad"), startService("good")]);
  const files = [bad, good].map(({ name }) => join(dataDir, `${name}.yaml`));
  const registrations = [bad, good].map(({ name, url }) => ({
    ...{ id: name, url, as_token: `as-${name}`, hs_token: `hs-${name}`, sender_localpart: `${name}bot` },
    namespaces: { users: [], aliases: [{ exclusive: false, regex: `#${name}_.*` }], rooms: [] },
  }));
  await Promise.all(files.map((file, index) => writeFile(file, stringify(registrations[index]))));
  const rooms: Record<string, string> = {};
  const users = await withDomain(dataDir, async (workshop) => {
    const { tools, services } = workshop.domain;
    await services.registrations.takeFiles(registrations.map((content) => ({ name: content.id, content })));
    await workshop.connection.appService.updateMany({ data: { paused: true } });
    const users = await addUsers(workshop, 1);
    const [{ requester }] = users as [BenchUser];
    for (const name of ["bad", "good"]) {
      const made = await createRoom(tools, requester, { alias: `#${name}_room:localhost`, joinRule: "PUBLIC" });
      rooms[name] = made.roomId;
    }
    progress(`${backlog} events are sent`);
    for (let sent = 0; sent < backlog; sent += 1000) {
      const batch = (n: number): unknown =>
        Array.from({ length: 100 }, (_each, index) => ({
          content: { text: { body: `message ${sent + n * 100 + index}` } },
        }));
      await Promise.all(
        Array.from({ length: 10 }, (_each, n) =>
          sendMessages(tools, requester, { roomId: rooms["bad"]!, messages: batch(n) }),
        ),
      );
    }
    await workshop.connection.appService.updateMany({ data: { paused: false } });
    return users;
  });
  const server = await startServer(dataDir, options, { HEARTH_APPSERVICES: files.join(",") });
  const drained = await drain(bad);
  const client = new HttpClient(server.address, users[0]!.authorization);
  const rows: Row[] = [
    { what: "drained events/s", value: Math.round(drained), goal: drainGoal, met: met(drained >= drainGoal) },
  ];
  const rounds = options.rounds ?? 5;
  const times = Object.fromEntries(moods.map((mood) => [mood, { sends: [] as number[], reached: [] as number[] }]));
  for (let round = -1; round < rounds; round++) {
    for (const mood of moods) {
      bad.mood = mood;
      const phase = await beside(client, rooms, good, round < 0 ? 200 : perPhase);
      if (round < 0) continue;
      times[mood]!.sends.push(quantile(phase.sends, 0.99));
      times[mood]!.reached.push(quantile(phase.reached, 0.99));
      progress(`round ${round + 1}, the other ${mood}: p99 of sends ${rounded(quantile(phase.sends, 0.99))} ms`);
    }
  }
  await server.stop();
  for (const kind of ["sends", "reached"] as const) {
    const base = quantile(times["takes"]![kind], 0.5);
    for (const mood of moods) {
      const p99 = quantile(times[mood]![kind], 0.5);
      const slower = (p99 / base - 1) * 100;
      rows.push({
        what: `p99 ms of ${kind === "sends" ? "sends" : "another service's events"}, while one ${mood}`,
        value: rounded(p99),
        ...(mood === "takes" ? {} : { "slower %": rounded(slower), goal: slowerGoal, met: met(slower <= slowerGoal) }),
      });
    }
  }
  return { server: program().from, rows };
}

/** Events per second, from the first transaction on. */
async function drain(service: Service): Promise<number> {
  while (service.count < 2) await pause(1);
  const [started, before] = [performance.now(), service.count];
  while (service.count < backlog) await pause(5);
  return ((service.count - before) / (performance.now() - started)) * 1000;
}

/** Sends in turn to the rooms of both services; how long sends took, and until the good service had its events. */
async function beside(client: HttpClient, rooms: Record<string, string>, good: Service, count: number) {
  const sends: number[] = [];
  const sentAt = new Map<string, number>();
  good.onEvent = (body, at) => {
    const sent = sentAt.get(body);
    if (sent !== undefined) reached.push(at - sent);
  };
  const reached: number[] = [];
  for (let n = 0; n < count; n++) {
    const body = `beside ${n} ${performance.now()}`;
    const started = performance.now();
    sentAt.set(body, started);
    await client.post(JSON.stringify({ query: say, variables: { room: rooms[n % 2 === 0 ? "good" : "bad"], body } }));
    sends.push(performance.now() - started);
    await pause(sendEveryMs);
  }
  while (reached.length < Math.ceil(count / 2)) await pause(5);
  return { sends, reached };
}

const say = `mutation ($room: ID!, $body: String!) {
  sendMessage(input: { roomId: $room, message: { content: { text: { body: $body } } } }) { event { id } }
}`;

interface Service {
  name: string;
  url: string;
  mood: Mood;
  count: number;
  onEvent: (body: string, at: number) => void;
}

/** A service on loopback; it looks into events only where somebody wants to know. */
async function startService(name: string): Promise<Service> {
  const service: Service = { name, url: "", mood: "takes", count: 0, onEvent: () => undefined };
  const server = createServer((req, res) => {
    const pieces: Buffer[] = [];
    req.on("data", (piece: Buffer) => pieces.push(piece));
    req.on("end", () => {
      if (service.mood === "hangs") return;
      if (service.mood === "answers 500") return void res.writeHead(500).end("{}");
      const { events } = JSON.parse(Buffer.concat(pieces).toString()) as { events: { content: { body?: string } }[] };
      service.count += events.length;
      for (const { content } of events) service.onEvent(content.body ?? "", performance.now());
      res.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onEnd(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return service;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
