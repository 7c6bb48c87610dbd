import { addRoom, addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { query } from "../../src/store/database.ts";
import { HttpClient } from "../http.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, type Report } from "../report.ts";
import { holds, timedRow, timeRounds, type Request } from "../rounds.ts";
import { filterToken, idAt, settle, takePositions } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";

const members = 20;
/** How many events there are of the rare type, and how many of the rare sender. */
const rare = 10;
const goal = 15;

/** Pages of a huge room through filters that let next to nothing through. [FIL-7] */
export async function filter(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const { users, roomId } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, members);
    const roomId = await addRoom(workshop, users);
    await fill(workshop, users, roomId, options.events?.[0] ?? 1_000_000);
    await settle(workshop);
    return { users, roomId };
  });

  const server = await startServer(dataDir, options);
  const requests = (await requestsOf(server, users, roomId)).filter(({ name }) => name.includes(options.only));
  const rows = (await timeRounds(requests, options.rounds ?? 40, 5)).map(timedRow);
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return { server: program().from, rows };
}

/** Three common types by all but the last user, among them a rare type by the first user, and a message by the last. */
async function fill(
  { connection }: Workshop,
  users: readonly BenchUser[],
  roomId: string,
  size: number,
): Promise<void> {
  progress(`a room of ${size} events is filled`);
  const first = await takePositions(connection, size);
  const senders = users.map(({ requester }) => requester.userId);
  await query(
    connection,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, action_device)
     SELECT $2::bigint + n, ${idAt("$2::bigint + n")}, $1, $2::bigint + n, '',
       CASE WHEN n % $6::integer = $6::integer / 2 THEN 'org.example.rare' WHEN n % 10 = 1 THEN 'm.room.encrypted'
         WHEN n % 20 = 2 THEN 'm.sticker' ELSE 'm.room.message' END,
       CASE n % $6::integer WHEN $6::integer / 2 THEN ($4::text[])[1] WHEN $6::integer / 4 THEN $5
         ELSE ($4::text[])[1 + n % cardinality($4::text[])] END,
       $7::bigint + n * 1000,
       '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}', 'bench'
     FROM generate_series(0, $3::integer - 1) AS n`,
    roomId,
    first,
    size,
    senders.slice(0, -1),
    senders.at(-1),
    Math.trunc(size / rare),
    Date.now() - size * 1000,
  );
}

async function requestsOf(server: Server, users: readonly BenchUser[], roomId: string): Promise<Request[]> {
  const client = new HttpClient(server.address, users[0]!.authorization);
  const [common, last] = [users[0]!.requester.userId, users.at(-1)!.requester.userId];
  const type = "org.example.rare";
  // The last user's own join is an event of theirs, too.
  const kinds: [name: string, definition: object, found: number, goal: number | null][] = [
    ["a type", { types: [type] }, rare, goal],
    ["a wildcard", { types: ["org.*"] }, rare, goal],
    ["a negative list", { types: ["-m.room.*", "-m.sticker"] }, rare, goal],
    ["a kind and type", { types: [`message:${type}`] }, rare, goal],
    ["a kind and wildcard", { types: ["message:org.*"] }, rare, goal],
    ["a rare sender", { senders: [last] }, rare + 1, goal],
    ["a rare sender and a type", { senders: [last], types: ["m.room.message"] }, rare, goal],
    ["a type and a common sender", { senders: [common], types: [type] }, rare, null],
    ["a wildcard of senders", { senders: [last.replace(":", "*:")], types: ["m.room.message"] }, rare, null],
  ];
  const requests: Request[] = [];
  const ask = (name: string, limit: number | null, found: number, variables: object): void => {
    const body = JSON.stringify({ query: document, variables: { roomId, ...variables } });
    requests.push({ name, goal: limit, send: () => client.timed(body), check: holds('"senderId":', found) });
  };
  ask("no filter, newest", null, 20, { last: 20 });
  for (const [name, definition, found, limit] of kinds) {
    const filter = await filterToken(client, definition);
    ask(`${name}, newest`, limit, found, { last: 20, filter });
    const half = { last: rare / 2, filter };
    const page = JSON.parse(await client.post(JSON.stringify({ query: document, variables: { roomId, ...half } })));
    ask(`${name}, scrolling back`, limit, rare / 2, { ...half, before: startOf(page as Page) });
  }
  return requests;
}

interface Page {
  data: { scrollback: { events: { pageInfo: { startCursor: string } } } };
}

function startOf({ data }: Page): string {
  return data.scrollback.events.pageInfo.startCursor;
}

const document = `query ($roomId: ID!, $last: Int, $before: ChunkToken, $filter: FilterToken) {
  scrollback(roomId: $roomId, last: $last, before: $before, filter: $filter) {
    events { nodes { id type senderId sentAt content } pageInfo { startCursor hasPreviousPage } }
  }
}`;
