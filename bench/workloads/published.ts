import { performance } from "node:perf_hooks";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { joinRoom } from "../../src/domain/actions/joinRoom.ts";
import { setState } from "../../src/domain/actions/setStates.ts";
import { query, type Connection } from "../../src/store/database.ts";
import { addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { HttpClient } from "../http.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { quantile, timedRow, timeRounds, type Request } from "../rounds.ts";
import { settle } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";

const goal = 20;
const pageSize = 30;
const warmup = 5;

/** Searches among published rooms, each with a snapshot of its own, and what the directory costs who joins. [DIR-1 to 3] */
export async function published(options: Options): Promise<Report> {
  const size = options.rooms ?? 100_000;
  const rounds = options.rounds ?? 40;
  const dataDir = await temporaryDataDir();
  const { users, renamed, joins } = await withDomain(dataDir, async (workshop) => {
    const [creator, user] = await addUsers(workshop, 2);
    await fill(workshop.connection, size);
    const renamed = await addPublished(workshop, creator!, true);
    const joins = options.only === "" ? await measureJoins(workshop, creator!, user!, 5 * rounds) : [];
    await settle(workshop);
    return { users: [creator!, user!] as const, renamed, joins };
  });

  const server = await startServer(dataDir, options);
  const requests = await requestsOf(server, users, { renamed, size });
  const asked = requests.filter(({ name }) => name.includes(options.only));
  const rows = (await timeRounds(asked, rounds, warmup)).map((timed) => {
    const { "p95 ms": p95, ...row } = timedRow(timed);
    return { ...row, "p95 ms": p95!, "worst ms": rounded(Math.max(...timed.times)) };
  });
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return {
    server: program().from,
    rows,
    tables: [{ title: `One at a time, in this process, beside ${size} published rooms`, rows: joins }],
  };
}

/** Rooms of the directory alone, of about 110 characters each: their state is never looked at. */
async function fill(connection: Connection, size: number): Promise<void> {
  progress(`${size} rooms are published`);
  await query(connection, "DROP INDEX published_room_grams");
  await query(
    connection,
    `INSERT INTO published_room (room_id, name, topic, aliases, search_text)
     SELECT room_id, name, topic, ARRAY[alias], directory_text(name) || E'\n' || alias || E'\n' || directory_text(topic)
     FROM (
       SELECT '!directory' || n || ':localhost' AS room_id, '#room' || n || ':localhost' AS alias,
         'The ' || words[1 + n % 20] || ' room ' || n || CASE WHEN n % 100 = 7 THEN ' seldom' ELSE '' END
           || CASE WHEN n % 10000 = 3 THEN ' zebra' ELSE '' END AS name,
         'Talk about ' || words[1 + n / 20 % 20] || ' and ' || words[1 + n / 400 % 20]
           || ' with friends; be kind to ' || md5(n::text) AS topic
       FROM generate_series(1, $1::integer) AS n, (SELECT ARRAY['garden', 'music', 'linux', 'cooking', 'books', 'chess',
         'rust', 'football', 'movies', 'travel', 'history', 'math', 'physics', 'poetry', 'painting', 'cars', 'bikes',
         'dogs', 'cats', 'gossip'] AS words) AS known
     ) AS room`,
    size,
  );
  await query(
    connection,
    `INSERT INTO published_rank (id, members, search_bytes)
     SELECT id, 1 + (5000 * power(random(), 8))::integer, convert_to(search_text, 'UTF8') FROM published_room`,
  );
  await query(
    connection,
    "CREATE INDEX published_room_grams ON published_room USING gin (directory_grams(search_text)) WITH (fastupdate = off)",
  );
}

async function addPublished({ domain }: Workshop, { requester }: BenchUser, published: boolean): Promise<string> {
  const input = { name: "A room to enter", published, joinRule: "PUBLIC" };
  return (await createRoom(domain.tools, requester, input)).roomId;
}

/** Joins and topics with and without what keeps the directory, in turn. */
async function measureJoins(workshop: Workshop, creator: BenchUser, user: BenchUser, count: number): Promise<Row[]> {
  progress(`${count} joins of each kind`);
  const { connection, domain } = workshop;
  const tables = ["member", "current_state", "event"];
  const triggers = async (which: "ENABLE" | "DISABLE"): Promise<void> => {
    for (const table of tables) await query(connection, `ALTER TABLE ${table} ${which} TRIGGER USER`);
  };
  const kinds = ["published", "not published", "without triggers"] as const;
  const rooms = new Map<string, string[]>(kinds.map((kind) => [kind, []]));
  for (let n = 0; n < count; n++) {
    for (const kind of kinds) rooms.get(kind)!.push(await addPublished(workshop, creator, kind === "published"));
  }
  await settle(workshop);
  const times = new Map<string, number[]>();
  const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const started = performance.now();
    await work();
    const list = times.get(name) ?? [];
    times.set(name, list);
    list.push(performance.now() - started);
  };
  // In lots, since plans are made anew when triggers were changed.
  const lot = 20;
  for (let first = 0; first < count; first += lot) {
    for (const kind of kinds) {
      await triggers(kind === "without triggers" ? "DISABLE" : "ENABLE");
      for (const [index, roomId] of rooms
        .get(kind)!
        .slice(first, first + lot)
        .entries()) {
        const topic = { roomId, type: "m.room.topic", content: { topic: `A topic of a usual length, the ${index}th` } };
        const join = (): Promise<unknown> => joinRoom(domain.tools, user.requester, { target: { roomId } });
        const set = (): Promise<unknown> => setState(domain.tools, creator.requester, topic);
        if (index === 0) await join().then(set);
        else await timed(`join, ${kind}`, join).then(() => timed(`topic, ${kind}`, set));
      }
    }
  }
  await triggers("ENABLE");
  return [...times.entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([action, list]) => ({
      action,
      "p50 ms": rounded(quantile(list, 0.5)),
      "p95 ms": rounded(quantile(list, 0.95)),
    }));
}

async function requestsOf(
  server: Server,
  users: readonly [BenchUser, BenchUser],
  { renamed, size }: { renamed: string; size: number },
): Promise<Request[]> {
  // Nobody keeps more than some snapshots: who goes on reading one is another user.
  const [client, reader] = users.map((user) => new HttpClient(server.address, user.authorization)) as [
    HttpClient,
    HttpClient,
  ];
  const body = (variables: object): string =>
    JSON.stringify({ query: document, variables: { first: pageSize, ...variables } });
  let renames = 0;
  /** So that the next search finds no snapshot that it could share. */
  const rename = (): Promise<string> => {
    const input = { roomId: renamed, type: "m.room.name", content: { name: `Renamed ${renames++}` } };
    const query = "mutation ($input: SetStateInput!) { setState(input: $input) { actionId } }";
    return client.post(JSON.stringify({ query, variables: { input } }));
  };
  const counts = (atLeast: number, atMost: number) => (text: string) => {
    const total = Number(/"totalCount":(\d+)/.exec(text)?.[1]);
    if (!(total >= atLeast && total <= atMost)) throw new Error(`${total} rooms: ${text.slice(0, 300)}`);
  };
  const search = (name: string, text: string, atLeast: number, atMost: number): Request => ({
    name,
    goal,
    send: () => rename().then(() => client.timed(body({ search: text }))),
    check: counts(atLeast, atMost),
  });
  const anew = [
    search("a rare word", "zebra", size / 10_000, size / 10_000),
    search("no room", "nowhere to be found", 0, 0),
    search("in 1 % of all", "seldom", size / 100, size / 100),
    search("in 5 % of all", "the garden", size / 20, size / 20),
    search("in every room", "with friends", size, size),
    search("two characters, in every room", "nd", size, size),
    search("two characters, in no room", "zz", 0, 0),
    search("one character, in a few rooms", "z", size / 10_000, size / 10_000),
    search("the whole list", "", size, 2 * size),
  ];
  const start = JSON.parse(await reader.post(body({ search: "with friends", first: 500 }))) as Page;
  let after = start.data.publishedRooms.pageInfo.endCursor;
  for (let page = 1; page < 20 && page * 500 < size / 2; page++) {
    const next = JSON.parse(await reader.post(body({ after, first: 500 }))) as Page;
    after = next.data.publishedRooms.pageInfo.endCursor;
  }
  const later: Request = {
    name: "a later page",
    goal,
    send: () => reader.timed(body({ after })),
    check: counts(size, size),
  };
  const shared: Request = {
    name: "in every room, shared",
    goal,
    send: () => client.post(body({ search: "be kind" })).then(() => client.timed(body({ search: "be kind" }))),
    check: counts(size, size),
  };
  return [...anew, later, shared];
}

interface Page {
  data: { publishedRooms: { pageInfo: { endCursor: string } } };
}

const document = `query ($search: String, $first: Int!, $after: ChunkToken) {
  publishedRooms(search: $search, first: $first, after: $after) {
    nodes { id name topic aliases memberCount viewerMembership } totalCount page pageInfo { hasNextPage endCursor }
  }
}`;
