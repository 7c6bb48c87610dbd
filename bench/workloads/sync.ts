import { addUsers, temporaryDataDir, withDomain, type BenchUser } from "../data.ts";
import { HttpClient } from "../http.ts";
import { addManyRooms } from "../manyRooms.ts";
import type { Options } from "../options.ts";
import { waitsDuring } from "../prober.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { holds, met, quantile, timedRow, timeRounds, type Request } from "../rounds.ts";
import { settle } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";
import { measure } from "../usage.ts";
import { syncBeside } from "./syncBeside.ts";
import { hearthClient } from "../peers/hearth/client.ts";

const members = 5;
const busyRooms = 10;
const newEvents = 5;
const blockingGoal = 50;

/**
 * The initial sync of a user of many rooms: whole, by pages, as a difference, and what others wait meanwhile. Then the
 * sync of many small rooms on several servers.
 */
export async function sync(options: Options): Promise<Report> {
  const report = await hearthAlone(options);
  return { ...report, tables: await syncBeside(options) };
}

async function hearthAlone(options: Options): Promise<Report> {
  const rooms = options.rooms ?? 1000;
  const dataDir = await temporaryDataDir();
  const users = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, members);
    await addManyRooms(workshop, users, { rooms, messages: options.events?.[0] ?? 1000 });
    await settle(workshop);
    return users;
  });

  const server = await startServer(dataDir, { ...options, delays: true });
  const requests = await requestsOf(server, users, rooms);
  const asked = requests.filter(({ name }) => name.includes(options.only));
  const rounds = options.rounds ?? 9;
  const rows: Row[] = [];
  for (const timed of await timeRounds(asked, rounds, 2)) {
    const large = timed.request.name.startsWith("full");
    rows.push({ ...timedRow(timed), ...(large ? await disturbance(server, timed.request, rounds) : {}) });
  }
  const memory = server.memory();
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return { server: program().from, rows: rows.map((row) => ({ ...row, "peak MB": memory.peak })) };
}

/** What one request takes from others: CPU time, and how long they wait. Medians, each of one longest wait a round. */
async function disturbance(server: Server, request: Request, rounds: number): Promise<Row> {
  progress(`${request.name}: what others wait meanwhile`);
  const found = { longest: [] as number[], p99: [] as number[], delay: [] as number[] };
  const used = { node: [] as number[], postgres: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const stop = measure(server.pid, server.postgresPid);
    await request.send();
    const { seconds, node, postgres } = stop();
    used.node.push(node * seconds);
    used.postgres.push(postgres * seconds);
    const waits = await waitsDuring(server.address, async () => {
      await server.longestDelay();
      await request.send();
    });
    found.longest.push(waits.longest);
    found.p99.push(waits.p99);
    found.delay.push(await server.longestDelay());
  }
  const median = (values: number[]): number => rounded(quantile(values, 0.5));
  return {
    "node s": median(used.node),
    "postgres s": median(used.postgres),
    "longest wait ms": median(found.longest),
    "p99 wait ms": median(found.p99),
    "loop delay ms": median(found.delay),
    "wait goal ms": blockingGoal,
    "wait met": met(quantile(found.longest, 0.5) < blockingGoal),
  };
}

async function requestsOf(server: Server, users: readonly BenchUser[], rooms: number): Promise<Request[]> {
  const client = new HttpClient(server.address, users[0]!.authorization);
  const ask = (name: string, goal: number | null, count: number, query: string, variables = {}): Request => ({
    ...{ name, goal, check: holds('"memberCount":', count) },
    send: () => client.timed(JSON.stringify({ query, variables })),
  });
  const first = JSON.parse(await client.post(JSON.stringify({ query: page("timeline") }))) as FirstPage;
  const { stream, rooms: firstPage } = first.data.initialSync;
  await beBusy(server, users[1]!, firstPage.nodes.slice(0, busyRooms));
  const after = firstPage.pageInfo.endCursor;
  return [
    ask("full timeline", 1500, rooms, whole("timeline")),
    ask("full compact", null, rooms, whole("compact")),
    ask("incremental", 40, Math.min(busyRooms, rooms), whole("timeline"), { stream }),
    ask("first page", 30, Math.min(10, rooms), page("timeline")),
    ask("second page", null, Math.min(10, rooms - 10), page("timeline"), { after }),
    ask("first page compact", null, Math.min(10, rooms), page("compact")),
  ];
}

interface FirstPage {
  data: {
    initialSync: { stream: string; rooms: { nodes: { room: { id: string } }[]; pageInfo: { endCursor: string } } };
  };
}

/** Through the API, so that the server learns of it as of any news. */
async function beBusy(server: Server, user: BenchUser, rooms: { room: { id: string } }[]): Promise<void> {
  const client = hearthClient(server.address, user.requester.userId, user.authorization);
  for (const { room } of rooms) {
    for (let n = 0; n < newEvents; n++) await client.send(room.id, `news ${n}, of a length as people write them`);
  }
  client.close();
}

const event = "id type senderId sentAt content";
const forms = {
  timeline: `timeline { nodes { ${event} } pageInfo { startCursor hasPreviousPage } }
    state { nodes { ${event} stateKey } }`,
  compact: `compact { events { ${event} ... on StateEvent { stateKey } } timeline state }`,
};
const room = (form: keyof typeof forms): string => `room { id name topic memberCount } incremental ${forms[form]}`;

function whole(form: keyof typeof forms): string {
  return `query ($stream: StreamToken) { initialSync(stream: $stream, limit: 20) {
    stream rooms { nodes { ${room(form)} } }
  } }`;
}

function page(form: keyof typeof forms): string {
  return `query ($after: ChunkToken) { initialSync(limit: 20) {
    stream rooms(first: 10, after: $after) { nodes { ${room(form)} } pageInfo { endCursor hasNextPage } }
  } }`;
}
