import { randomInt } from "node:crypto";
import { cpuColumns, memoryColumns } from "../columns.ts";
import { addRoom, addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { query } from "../../src/store/database.ts";
import { HttpClient } from "../http.ts";
import { closedLoop, percentiles } from "../load.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";
import { measure, type Measured } from "../usage.ts";
import { scrollbackBeside } from "./scrollbackBeside.ts";

const members = 100;
const places = 5000;

interface SeededRoom {
  roomId: string;
  size: number;
  /** Chunk tokens of random places with a full page before them. */
  tokens: string[];
}

/**
 * Pages of 50 events with their senders' profiles: of a small room and of a huge one, at the end and anywhere. Then pages
 * of a small room on several servers.
 */
export async function scrollback(options: Options): Promise<Report> {
  const report = await hearthAlone(options);
  return { ...report, tables: await scrollbackBeside(options) };
}

async function hearthAlone(options: Options): Promise<Report> {
  const { from } = program();
  const dataDir = await temporaryDataDir();
  const { users, rooms } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, members);
    const rooms: SeededRoom[] = [];
    for (const size of options.events ?? [1000, 1_000_000]) rooms.push(await seedRoom(workshop, users, size));
    await query(workshop.connection, "VACUUM ANALYZE");
    return { users, rooms };
  });

  const server = await startServer(dataDir, options);
  const rows: Row[] = [];
  for (const place of ["newest", "random"] as const) {
    const [base, ...others] = await runs(rooms, (room) => run(options, server, users, room, place));
    rows.push({ ...base!, ratio: 1 });
    const p50 = (row: Row): number => Number(row["p50 ms"]);
    rows.push(...others.map((row) => ({ ...row, ratio: rounded(p50(row) / p50(base!)) })));
  }
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return { server: from, rows };
}

async function runs<Item, Result>(items: readonly Item[], each: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await each(item));
  return results;
}

/** Fills a room by SQL, as the writer would have done one by one. */
async function seedRoom(workshop: Workshop, users: BenchUser[], size: number): Promise<SeededRoom> {
  progress(`a room of ${size} events is filled`);
  const { connection, domain } = workshop;
  const roomId = await addRoom(workshop, users);
  const [row] = await query<{ first: number }>(
    connection,
    "SELECT last_value::float8 + 1 AS first FROM stream_position",
  );
  const first = row!.first;
  await query(
    connection,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, action_device)
     SELECT $2::bigint + n, '$' || lpad(to_hex($2::bigint + n), 24, '0'), $1, $2::bigint + n, '', 'm.room.message',
       ($4::text[])[1 + n % cardinality($4::text[])], $5::bigint + n * 1000,
       '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}', 'bench'
     FROM generate_series(0, $3::integer - 1) AS n`,
    roomId,
    first,
    size,
    users.map(({ requester }) => requester.userId),
    Date.now() - size * 1000,
  );
  await query(connection, "SELECT setval('stream_position', $1::bigint)::text", first + size - 1);
  const tokens = Array.from({ length: places }, () =>
    domain.tokens.chunk("room", roomId, [first + randomInt(Math.min(50, size - 1), size), ""]),
  );
  return { roomId, size, tokens };
}

async function run(
  options: Options,
  server: Server,
  users: BenchUser[],
  { roomId, size, tokens }: SeededRoom,
  place: "newest" | "random",
): Promise<Row> {
  const count = options.clients ?? 4;
  progress(`${place} pages of the room of ${size}, ${count} clients`);
  const clients = users.slice(0, count).map((user) => new HttpClient(server.address, user.authorization));
  const callers = clients.map((client) => async () => {
    const before = place === "newest" ? null : tokens[randomInt(tokens.length)]!;
    const answer = await client.post(JSON.stringify({ query: document, variables: { roomId, before } }));
    const found = answer.split('"senderMember"').length - 1;
    if (found !== 50) throw new Error(`the page has ${found} events`);
  });
  let stop = (): Measured => ({ seconds: 0, node: 0, postgres: 0, load: 0 });
  let measured = stop();
  const { latencies, failures } = await closedLoop(callers, options, {
    begin: () => (stop = measure(server.pid, server.postgresPid)),
    end: () => (measured = stop()),
  });
  for (const client of clients) client.close();
  return {
    room: size,
    page: place,
    "pages/s": rounded(latencies.length / measured.seconds),
    ...percentiles(latencies),
    errors: failures.count,
    ...cpuColumns(measured),
    ...memoryColumns(server.memory()),
  };
}

const document = `query ($roomId: ID!, $before: ChunkToken) {
  scrollback(roomId: $roomId, last: 50, before: $before) {
    events {
      nodes { id type sentAt content senderMember { displayName avatarMxc user { id } } }
      pageInfo { startCursor hasPreviousPage }
    }
  }
}`;
