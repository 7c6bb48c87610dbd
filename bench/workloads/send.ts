import { randomUUID } from "node:crypto";
import { cpuColumns, memoryColumns } from "../columns.ts";
import { addRoom, addUsers, temporaryDataDir, withDomain, type BenchUser } from "../data.ts";
import { HttpClient } from "../http.ts";
import { closedLoop, percentiles } from "../load.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { serverCommand, startServer } from "../server.ts";
import { measure, type Measured } from "../usage.ts";

/** Clients that send one event a request and wait for its answer: all in one room, then each in a room of its own. */
export async function send(options: Options): Promise<Report> {
  const { from } = serverCommand();
  const count = options.clients ?? 64;
  const rows = [await run(options, count, 1), await run(options, count, count)];
  return { server: from, rows };
}

async function run(options: Options, count: number, roomCount: number): Promise<Row> {
  progress(`${count} clients, ${roomCount} room${roomCount === 1 ? "" : "s"}`);
  const dataDir = await temporaryDataDir();
  const { users, rooms } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, count);
    const rooms: string[] = [];
    const membersOf = (room: number) => (roomCount === 1 ? users : [users[room]!]);
    for (let room = 0; room < roomCount; room++) rooms.push(await addRoom(workshop, membersOf(room)));
    return { users, rooms };
  });

  const server = await startServer(dataDir, options);
  const clients = users.map((user) => new HttpClient(server.address, user.authorization));
  const callers = users.map((_, index) => {
    const client = clients[index]!;
    const roomId = rooms[index % roomCount]!;
    let sent = 0;
    return () => client.post(sendRequest(roomId, `message ${sent++}`, options.actionIds ? randomUUID() : null));
  });
  let stop = (): Measured => ({ seconds: 0, node: 0, postgres: 0, load: 0 });
  let measured = stop();
  const { latencies, failures } = await closedLoop(callers, options, {
    begin: () => (stop = measure(server.pid, server.postgresPid)),
    end: () => (measured = stop()),
  });
  const memory = server.memory();
  for (const client of clients) client.close();
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return {
    clients: count,
    rooms: roomCount,
    "events/s": rounded(latencies.length / measured.seconds),
    ...percentiles(latencies),
    errors: failures.count,
    ...cpuColumns(measured),
    ...memoryColumns(memory),
  };
}

const document = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }`;

/** The body of a request that sends a text. */
function sendRequest(roomId: string, body: string, actionId: string | null): string {
  const message = { content: { text: { body } }, actionId };
  return JSON.stringify({ query: document, variables: { input: { roomId, message } } });
}

/** A sender of texts to one room; gives what ends with the acknowledgement. */
export function senderTo(address: string, user: BenchUser, roomId: string): (body: string) => Promise<unknown> {
  const client = new HttpClient(address, user.authorization);
  return (body) => client.post(sendRequest(roomId, body, null));
}
