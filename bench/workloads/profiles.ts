import { performance } from "node:perf_hooks";
import { addUsers, temporaryDataDir, withDomain } from "../data.ts";
import { HttpClient } from "../http.ts";
import { addManyRooms } from "../manyRooms.ts";
import type { Options } from "../options.ts";
import { progress, rounded, type Report } from "../report.ts";
import { met, quantile } from "../rounds.ts";
import { settle } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer } from "../server.ts";
import { openSocket } from "../subscriber.ts";

const roomCount = 1000;
const answerGoal = 50;
const reachGoal = 5000;
/** Between two messages that somebody else sends meanwhile. */
const messageEveryMs = 10;

const setName = `mutation ($name: JSON!) { setProfile(input: { key: "displayname", value: $name }) { actionId } }`;
const follow = "subscription ($filter: FilterToken) { eventStream(filter: $filter) { events { id } } }";
const filter = 'query { filter(definition: { types: ["m.room.member.profile"] }) { token } }';
const say = `mutation ($room: ID!) {
  sendMessage(input: { roomId: $room, message: { content: { text: { body: "meanwhile" } } } }) { event { id } }
}`;

/** How soon a changed profile is answered, and has reached the user's rooms, while somebody else goes on talking there. */
export async function profiles(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const { users, room } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, 2);
    await addManyRooms(workshop, users, { rooms: roomCount, messages: 20 });
    await settle(workshop);
    const room = await workshop.connection.room.findFirst({ select: { roomId: true } });
    return { users, room: room!.roomId };
  });
  const server = await startServer(dataDir, options);
  const [user, other] = users.map(({ authorization }) => new HttpClient(server.address, authorization));
  const counter = await countEvents(server.address, users[0]!.authorization, await tokenOf(user!));
  const answers: number[] = [];
  const reached: number[] = [];
  const messages: number[] = [];
  const rounds = options.rounds ?? 10;
  for (let round = 0; round < rounds; round++) {
    const end = counter.count() + roomCount;
    const started = performance.now();
    await user!.post(JSON.stringify({ query: setName, variables: { name: `Name ${round}` } }));
    answers.push(performance.now() - started);
    while (counter.count() < end) {
      const sent = performance.now();
      await other!.post(JSON.stringify({ query: say, variables: { room } }));
      messages.push(performance.now() - sent);
      await new Promise((resolve) => setTimeout(resolve, messageEveryMs));
    }
    reached.push(performance.now() - started);
    progress(`round ${round + 1}: all rooms after ${Math.round(reached.at(-1)!)} ms`);
  }
  counter.close();
  await server.stop();
  const row = (what: string, times: number[], goal: number | null) => ({
    what,
    "p50 ms": rounded(quantile(times, 0.5)),
    "worst ms": rounded(Math.max(...times)),
    ...(goal === null ? {} : { "goal ms": goal, met: met(Math.max(...times) < goal) }),
  });
  const rows = [
    row("the answer", answers, answerGoal),
    row(`all of ${roomCount} rooms`, reached, reachGoal),
    row("a message meanwhile", messages, null),
  ];
  return { server: program().from, rows };
}

async function tokenOf(client: HttpClient): Promise<string> {
  const answer = JSON.parse(await client.post(JSON.stringify({ query: filter }))) as {
    data: { filter: { token: string } };
  };
  return answer.data.filter.token;
}

/** Follows what a filter lets pass, and counts it. */
function countEvents(address: string, authorization: string, token: string) {
  let count = 0;
  const socket = openSocket(address);
  const send = (message: object): void => socket.send(JSON.stringify(message));
  return new Promise<{ count(): number; close(): void }>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => send({ type: "connection_init", payload: { authorization } }));
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes('"type":"connection_ack"')) {
        send({ id: "1", type: "subscribe", payload: { query: follow, variables: { filter: token } } });
      }
      if (text.includes('"type":"ping"')) send({ type: "pong" });
      if (!text.includes('"type":"next"')) return;
      count += text.split('"id":"$').length - 1;
      resolve({ count: () => count, close: () => socket.terminate() });
    });
  });
}
