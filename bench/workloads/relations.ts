import { addRoom, addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { query } from "../../src/store/database.ts";
import { HttpClient } from "../http.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { holds, met, quantile, timedRow, timeRounds, type Request, type Timed } from "../rounds.ts";
import { filterToken, idAt, settle, takePositions } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";

const members = 10;
const parents = 2000;
const children = 3;
const goal = 1.5;

/** What hangs on the parents of a room. */
type Kind = "replies" | "edits" | "reactions";

/** The bundled page compared with the one without, both of the same parents. */
interface Comparison extends Request {
  size: number;
  base: string | null;
  ratioGoal: number | null;
}

/** Pages of parents with and without their children, updates and reactions. [REL-2, REL-4, UPD-1] */
export async function relations(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const { user, places } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, members);
    const places = { replies: await fill(workshop, users, ["replies"]), all: await fill(workshop, users, allKinds) };
    await settle(workshop);
    return { user: users[0]!, places };
  });

  const server = await startServer(dataDir, options);
  const requests = await requestsOf(server, user, places);
  const asked = requests.filter(({ name }) => name.includes(options.only));
  const timed = await timeRounds(asked, options.rounds ?? 60, 10);
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return { server: program().from, rows: timed.map((each, index) => comparedRow(each, asked[index]!, timed)) };
}

const allKinds: Kind[] = ["replies", "edits", "reactions"];

/** A place in a room, and a token that leads to what is before it. */
interface Place {
  roomId: string;
  before: string;
}

/**
 * Fills a room with parents and then with their children: a page of parents reads over none of the children, so that
 * the page without them is as cheap as can be. Gives the place between the two.
 */
async function fill(workshop: Workshop, users: readonly BenchUser[], kinds: readonly Kind[]): Promise<Place> {
  progress(`a room of ${parents} parents with ${kinds.join(", ")} is filled`);
  const { connection, domain } = workshop;
  const roomId = await addRoom(workshop, users);
  const senders = users.map(({ requester }) => requester.userId);
  const first = await takePositions(connection, parents);
  await addEvents(workshop, { roomId, first, count: parents, senders });
  for (const kind of kinds) {
    const count = kind === "edits" ? parents : parents * children;
    const events = { roomId, first: await takePositions(connection, count), count, senders };
    await addEvents(workshop, { ...events, kind, parent: first });
    if (kind !== "edits") await addRelations(workshop, roomId, events.first, count);
  }
  return { roomId, before: domain.tokens.chunk("room", roomId, [first + parents, ""]) };
}

interface SeededEvents {
  roomId: string;
  first: number;
  count: number;
  senders: readonly string[];
  kind?: Kind;
  /** Position of the first parent: the events hang on it and those after it in turn. */
  parent?: number;
}

async function addEvents({ connection }: Workshop, seeded: SeededEvents): Promise<void> {
  const { roomId, first, count, senders, kind = null, parent = 0 } = seeded;
  const parentId = idAt(`$7::bigint + n % ${parents}`);
  await query(
    connection,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, action_device,
       updates_id, relates_to)
     SELECT $2::bigint + n, ${idAt("$2::bigint + n")}, $1, $2::bigint + n, '',
       CASE $6 WHEN 'reactions' THEN 'm.reaction' ELSE 'm.room.message' END,
       ($4::text[])[1 + n % ${parents} % cardinality($4::text[])], $5::bigint,
       '{"body":"message ' || n || ', of a length as people write them","msgtype":"m.text"}', 'bench',
       CASE $6 WHEN 'edits' THEN ${parentId} END,
       CASE $6 WHEN 'replies' THEN json_build_array(json_build_object('type', 'm.thread', 'event_id', ${parentId}))::text
         WHEN 'reactions' THEN json_build_array(json_build_object('type', 'm.annotation', 'event_id', ${parentId},
           'key', ${keyOf}))::text END
     FROM generate_series(0, $3::integer - 1) AS n`,
    ...[roomId, first, count, senders, Date.now(), kind, parent],
  );
}

/** Two of the reactions to a parent have one key, the third has another. */
const keyOf = `CASE n / ${parents} WHEN 0 THEN '+' ELSE '-' END`;

/** The index of what `relates_to` says, as the writer keeps it. */
async function addRelations({ connection }: Workshop, roomId: string, first: number, count: number): Promise<void> {
  await query(
    connection,
    `INSERT INTO relation (parent_id, type, major, minor, child_id, room_id, key)
     SELECT related ->> 'event_id', related ->> 'type', major, minor, event_id, room_id, related ->> 'key'
     FROM event CROSS JOIN LATERAL json_array_elements(relates_to::json) AS related
     WHERE room_id = $1 AND position >= $2::bigint AND position < $2::bigint + $3::bigint`,
    ...[roomId, first, count],
  );
}

async function requestsOf(
  server: Server,
  user: BenchUser,
  places: { replies: Place; all: Place },
): Promise<Comparison[]> {
  const client = new HttpClient(server.address, user.authorization);
  const none = await filterToken(client, { bundleUpdates: false });
  const updates = await filterToken(client, {});
  const replies = await filterToken(client, { bundleRelations: children, bundleUpdates: false, relationTypes });
  const both = await filterToken(client, { bundleRelations: children, relationTypes });
  const requests: Comparison[] = [];
  const ask = (
    name: string,
    {
      place,
      filter,
      size = 50,
      query = edges("json"),
    }: { place: Place; filter: string; size?: number; query?: string },
    documents: number,
    { base = null, ratioGoal = null }: { base?: string | null; ratioGoal?: number | null } = {},
  ): void => {
    const body = JSON.stringify({ query, variables: { ...place, filter, last: size } });
    const check = holds('"origin_server_ts":', size * documents);
    requests.push({ name, size, base, ratioGoal, goal: null, check, send: () => client.timed(body) });
  };
  const { replies: place, all } = places;
  for (const size of [10, 50, 100]) {
    ask(`${size} alone`, { place, filter: updates, size }, 1);
    const compared = { base: `${size} alone`, ratioGoal: size === 50 ? goal : null };
    ask(`${size} with 3 replies`, { place, filter: both, size }, 1 + children, compared);
  }
  // Without looking for edits, of parents and replies alike.
  ask("50 alone, no updates", { place, filter: none }, 1);
  const bare = { base: "50 alone, no updates" };
  ask("50 with 3 replies, no updates", { place, filter: replies }, 1 + children, bare);
  ask("50 alone, updates that aren't there", { place, filter: updates }, 1, bare);
  ask("50 with an edit", { place: all, filter: updates }, 2, bare);
  ask("50 with an edit and 3 replies", { place: all, filter: both }, 2 + children, bare);
  const counted = edges("json node { ... on MessageEvent { reactions { key count } } }");
  ask("50 with reactions counted", { place: all, filter: none, query: counted }, 1, bare);
  return requests;
}

const relationTypes = ["m.thread"];

function comparedRow(timed: Timed, { name, base, ratioGoal, size }: Comparison, all: readonly Timed[]): Row {
  const row = timedRow(timed);
  const perItem = { "ms/parent": rounded(quantile(timed.times, 0.5) / size) };
  const compared = all.find(({ request }) => request.name === base);
  if (compared === undefined) return { ...row, ...perItem };
  // Round by round, so that what slowed both alike drops out.
  const ratio = quantile(
    timed.times.map((time, round) => time / compared.times[round]!),
    0.5,
  );
  const judged: Row = ratioGoal === null ? {} : { "goal ratio": ratioGoal, met: met(ratio <= ratioGoal) };
  return { ...row, request: name, ...perItem, "compared with": base ?? "", ratio: rounded(ratio), ...judged };
}

function edges(selected: string): string {
  return `query ($roomId: ID!, $last: Int, $before: ChunkToken, $filter: FilterToken) {
    scrollback(roomId: $roomId, last: $last, before: $before, filter: $filter) {
      events { edges { ${selected} } pageInfo { startCursor hasPreviousPage } }
    }
  }`;
}
