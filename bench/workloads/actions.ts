import { performance } from "node:perf_hooks";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { sendMessage, sendMessages } from "../../src/domain/actions/sendMessages.ts";
import { setState, setStates } from "../../src/domain/actions/setStates.ts";
import { addMembers } from "../bigRoom.ts";
import { addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../data.ts";
import { eachOf } from "../eachOf.ts";
import { HttpClient, type Answer } from "../http.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { holds, met, quantile, timeRounds, type Request, type Timed } from "../rounds.ts";
import { settle } from "../seed.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";
import { subscribe } from "../subscriber.ts";

const batch = 100;
const warmup = 10;
const smallRoom = 10;
const manyLevels = 1000;
/** Milliseconds that 95 of 100 actions of one event in a big room shall stay below. */
const bigRoomGoal = 50;
/** How much longer than one message a batch may take. */
const batchGoal = 5;
const createGoal = 2000;
const openedAtOnce = 20;

interface Rooms {
  small: string;
  big: string;
  /** As big, and its power levels name a thousand users. */
  manyLevels: string;
}

interface Seeded {
  creator: BenchUser;
  /** In every big room. */
  members: BenchUser[];
  /** In none. */
  outsiders: BenchUser[];
  rooms: Rooms;
}

/** An action that is measured, in what surroundings, and what its time is compared with. */
interface Measured extends Request {
  where: string;
  /** The name of the request in the same surroundings that this one is to take at most `batchGoal` times as long as. */
  single?: string;
}

/** Actions one at a time: batches beside single ones, in rooms of thousands, with their streams open, and new rooms. */
export async function actions(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const rounds = options.rounds ?? 60;
  const { seeded, domain } = await withDomain(dataDir, async (workshop) => {
    const seeded = await seed(workshop, options.members ?? 10_000, rounds);
    await settle(workshop);
    const requests = domainRequests(workshop, seeded).filter(({ name }) => name.includes(options.only));
    return { seeded, domain: rowsOf(await timeRounds(requests, rounds, warmup), requests) };
  });

  const server = await startServer(dataDir, options);
  const idle = new HttpClient(server.address, null);
  const measure = async (requests: Measured[], count = rounds): Promise<Row[]> => {
    const asked = requests
      .filter(({ name }) => name.includes(options.only))
      .map((request) => ({ ...request, send: () => whenIdle(idle, request) }));
    return rowsOf(await timeRounds(asked, count, Math.min(warmup, count)), asked);
  };
  const sources = sourcesOf(server, seeded);
  const rows = [...domain];
  rows.push(...(await measure(smallRoomRequests(sources, seeded))));
  rows.push(...(await measure(bigRoomRequests(sources, seeded.rooms.big, sizeOf(seeded)))));
  rows.push(...(await measure(bigRoomRequests(sources, seeded.rooms.manyLevels, `${sizeOf(seeded)}, 1,000 levels`))));
  rows.push(...(await measure(newRoomRequests(sources, seeded, "no room"), Math.ceil(rounds / 3))));

  const count = options.subscribers?.[0] ?? 300;
  progress(`${count} members open their event streams`);
  const close = await openStreams(server, seeded.members.slice(0, count));
  const where = `${sizeOf(seeded)}, ${count} streams`;
  rows.push(...(await measure(bigRoomRequests(sources, seeded.rooms.big, where))));
  rows.push(...(await measure(newRoomRequests(sources, seeded, `${count} streams`), Math.ceil(rounds / 3))));
  close();
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  return { server: program().from, rows };
}

const tiny = JSON.stringify({ query: "{ server { name } }" });

/** Sends a request when the server, which answers one after the other, is done with what followed from the last one. */
async function whenIdle(idle: HttpClient, request: Request): Promise<Answer> {
  await idle.post(tiny);
  await idle.post(tiny);
  return request.send();
}

function sizeOf({ members }: Seeded): string {
  return `${(members.length + 1).toLocaleString("en")} members`;
}

async function seed(workshop: Workshop, size: number, rounds: number): Promise<Seeded> {
  progress(`two rooms of ${size} members are filled`);
  // The big room is joined by way of both requests for joining, at most in three sets of rounds.
  const [creator, ...others] = await addUsers(workshop, size + 6 * (rounds + warmup));
  const members = others.slice(0, size - 1);
  const room = async (count: number): Promise<string> => {
    const { roomId } = await createRoom(workshop.domain.tools, creator!.requester, { joinRule: "PUBLIC", name: "Big" });
    await addMembers(workshop, roomId, idsOf(members.slice(0, count - 1)));
    return roomId;
  };
  const rooms = { small: await room(smallRoom), big: await room(size), manyLevels: await room(size) };
  const users = Object.fromEntries(idsOf(members.slice(0, manyLevels)).map((userId) => [userId, 10]));
  await setState(workshop.domain.tools, creator!.requester, {
    roomId: rooms.manyLevels,
    type: "m.room.power_levels",
    content: { users: { ...users, [creator!.requester.userId]: 100 }, kick: 50, ban: 50 },
  });
  return { creator: creator!, members, outsiders: others.slice(size - 1), rooms };
}

function idsOf(users: readonly BenchUser[]): string[] {
  return users.map(({ requester }) => requester.userId);
}

const text = (body: string): object => ({ content: { text: { body } } });
const texts = (): object[] =>
  Array.from({ length: batch }, (_, n) => text(`message ${n}, of a length as people write`));
const slot = (n: number, value: number): object => ({
  type: "org.example.bench",
  stateKey: `_slot${n}`,
  content: { value },
});
const slots = (value: number): object[] => Array.from({ length: batch }, (_, n) => slot(n, value));

/** The same batches without HTTP and GraphQL, in this process. */
function domainRequests({ domain: { tools } }: Workshop, { creator, rooms }: Seeded): Measured[] {
  const roomId = rooms.small;
  const measured = (name: string, act: () => Promise<unknown>, single?: string): Measured => ({
    ...{ name, where: "domain, 10 members", goal: null, check: () => undefined, ...(single ? { single } : {}) },
    async send() {
      const started = performance.now();
      await act();
      return { milliseconds: performance.now() - started, bytes: 0, text: () => "" };
    },
  });
  let value = 0;
  return [
    measured("sendMessage", () => sendMessage(tools, creator.requester, { roomId, message: text("one message") })),
    measured(
      "sendMessages of 100",
      () => sendMessages(tools, creator.requester, { roomId, messages: texts() }),
      "sendMessage",
    ),
    measured("setState", () => setState(tools, creator.requester, { roomId, ...slot(0, value++) })),
    measured(
      "setStates of 100",
      () => setStates(tools, creator.requester, { roomId, states: slots(value++) }),
      "setState",
    ),
  ];
}

/** Whoever acts next, and a number that never comes twice. */
interface Sources {
  creator: HttpClient;
  joining(): HttpClient;
  /** Somebody who is in the room and has no stream open. */
  leaving(roomId: string): string;
  number(): number;
}

function sourcesOf(server: Server, { creator, members, outsiders }: Seeded): Sources {
  let used = 0;
  const left = new Map<string, number>();
  const joining = outsiders.values();
  return {
    creator: new HttpClient(server.address, creator.authorization),
    joining: () => new HttpClient(server.address, joining.next().value!.authorization),
    leaving(roomId) {
      const count = (left.get(roomId) ?? 0) + 1;
      left.set(roomId, count);
      return members.at(-count)!.requester.userId;
    },
    number: () => used++,
  };
}

interface Asked {
  where: string;
  /** The name of the mutation. */
  mutation: string;
  title?: string;
  /** The input; made anew for each request. */
  input(): object;
  selection?: string;
  goal?: number | null;
  single?: string;
  /** How many ids the answer holds. */
  ids?: number;
  client(): HttpClient;
}

function measured({ where, mutation, input, client, ...asked }: Asked): Measured {
  const { title = mutation, selection = "event { id }", goal = null, ids = 1, single } = asked;
  const type = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`;
  return {
    ...{ name: title, where, goal, check: holds('"id":', ids), ...(single ? { single } : {}) },
    send() {
      const body = JSON.stringify({ query, variables: { input: input() } });
      return client().timed(body);
    },
  };
}

function smallRoomRequests({ creator, number }: Sources, { rooms }: Seeded): Measured[] {
  const roomId = rooms.small;
  const common = { where: "10 members", client: () => creator };
  const many = { selection: "events { id }", ids: batch };
  return [
    measured({ ...common, mutation: "sendMessage", input: () => ({ roomId, message: text("one message") }) }),
    measured({
      ...{ ...common, ...many, mutation: "sendMessages", title: "sendMessages of 100", single: "sendMessage" },
      input: () => ({ roomId, messages: texts() }),
    }),
    measured({ ...common, mutation: "setState", input: () => ({ roomId, ...slot(0, number()) }) }),
    measured({
      ...{ ...common, ...many, mutation: "setStates", title: "setStates of 100", single: "setState" },
      input: () => ({ roomId, states: slots(number()) }),
    }),
  ];
}

function bigRoomRequests({ creator, joining, leaving, number }: Sources, roomId: string, where: string): Measured[] {
  const common = { where, client: () => creator, goal: bigRoomGoal };
  const many = { selection: "events { id }", ids: batch };
  return [
    measured({ ...common, mutation: "sendMessage", input: () => ({ roomId, message: text("one message") }) }),
    measured({
      ...{ ...common, ...many, mutation: "sendMessages", title: "sendMessages of 100", single: "sendMessage" },
      ...{ goal: null, input: () => ({ roomId, messages: texts() }) },
    }),
    measured({ ...common, mutation: "setState", input: () => ({ roomId, ...slot(0, number()) }) }),
    measured({ ...common, mutation: "joinRoom", client: joining, input: () => ({ target: { roomId } }) }),
    measured({
      ...{ ...common, mutation: "joinRoom", title: "joinRoom, answered whole", client: joining, goal: null },
      ...{ selection: "room { id } state { nodes { type } } timeline { nodes { type } }" },
      input: () => ({ target: { roomId }, response: {} }),
    }),
    measured({ ...common, mutation: "kickUser", input: () => ({ roomId, userId: leaving(roomId) }) }),
    measured({ ...common, mutation: "banUser", input: () => ({ roomId, userId: leaving(roomId) }) }),
    measured({
      ...{ ...common, mutation: "patchPowerLevels" },
      input: () => ({ roomId, path: ["events", "org.example.other"], value: number() % 50 }),
    }),
  ];
}

function newRoomRequests({ creator }: Sources, { members }: Seeded, where: string): Measured[] {
  return [0, 100, 1000].map((count) =>
    measured({
      ...{ where, mutation: "createRoom", title: `createRoom with ${count.toLocaleString("en")} invitees` },
      ...{ client: () => creator, goal: createGoal, selection: "room { id }" },
      input: () => ({ name: "New", invite: idsOf(members.slice(0, count)) }),
    }),
  );
}

/** Opens the streams of these users, some at a time; gives what closes them. */
async function openStreams(server: Server, users: readonly BenchUser[]): Promise<() => void> {
  const nothing = (): void => undefined;
  const on = {
    delivered: nothing,
    limited: nothing,
    failed: (error: Error) => void process.stderr.write(`a stream failed: ${error.message}\n`),
  };
  const followers = await eachOf(users, openedAtOnce, (user) => subscribe(server.address, user.authorization, on));
  return () => followers.forEach((follower) => follower.close());
}

function rowsOf(all: readonly Timed[], requests: readonly Measured[]): Row[] {
  return all.map(({ request, times, bytes }, index) => {
    const { where, single } = requests[index]!;
    const p95 = quantile(times, 0.95);
    const row: Row = {
      where,
      request: request.name,
      "p50 ms": rounded(quantile(times, 0.5)),
      "p95 ms": rounded(p95),
      ...(request.goal === null ? {} : { "goal ms": request.goal, met: met(p95 < request.goal) }),
      ...(bytes === 0 ? {} : { KB: rounded(bytes / 1024) }),
    };
    const compared = all.find((each) => each.request.name === single);
    if (compared === undefined) return row;
    // Round by round, so that what slowed both alike drops out.
    const ratio = quantile(
      times.map((time, round) => time / compared.times[round]!),
      0.5,
    );
    const judged: Row = single === "sendMessage" ? { "goal ratio": batchGoal, met: met(ratio <= batchGoal) } : {};
    return { ...row, "times one": rounded(ratio), ...judged };
  });
}
