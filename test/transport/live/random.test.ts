/**
 * Random rooms, documents, filters and devices: what each stream brings over its WebSocket is, byte for byte, what
 * rendering the same chunk for its viewer alone gives.
 *
 * HEARTH_SHARING_RUNS=1000   runs so many instead of 12.
 * HEARTH_FROM=1000           begins with this seed instead of 0.
 * HEARTH_SEED=123            runs that one alone.
 */
import { execute, parse } from "graphql";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createRoom } from "../../../src/domain/actions/createRoom.ts";
import { joinRoom } from "../../../src/domain/actions/joinRoom.ts";
import { patchPowerLevels } from "../../../src/domain/actions/patchPowerLevels.ts";
import type { StreamChunk } from "../../../src/domain/sync/chunk.ts";
import { Turns } from "../../../src/domain/sync/turns.ts";
import type { StoredEvent } from "../../../src/model/event.ts";
import type { FilterInput } from "../../../src/model/filter.ts";
import type { Requester } from "../../../src/model/requester.ts";
import { ChunkSource } from "../../../src/resolvers/chunkSource.ts";
import { createContext } from "../../../src/resolvers/context.ts";
import { schema } from "../../../src/resolvers/schema.ts";
import { presentError } from "../../../src/transport/errors.ts";
import { SharedRendering } from "../../../src/transport/live/sharing.ts";
import { startApp, type TestApp } from "../../kit/app.ts";
import { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
import { Random } from "../../simulation/random.ts";
import { actAtRandom, type Stage } from "./support/randomActions.ts";
import { pick, randomDocument, randomVariables } from "./support/randomDocument.ts";
import { RawSocket, type RawOperation } from "./support/rawSocket.ts";

const runs = Number(process.env["HEARTH_SHARING_RUNS"] ?? 12);
const from = Number(process.env["HEARTH_FROM"] ?? 0);
const onlySeed = process.env["HEARTH_SEED"];
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, index) => from + index) : [Number(onlySeed)];
const followersPerRun = 14;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A device with its socket. */
interface Device {
  requester: Requester;
  socket: RawSocket;
}

/** A stream over a WebSocket, and the chunks that the server rendered for it. */
interface Followed {
  device: Device;
  query: string;
  variables: Record<string, unknown>;
  operation: RawOperation;
  chunks: StreamChunk[];
  /** So many of them were compared. */
  compared: number;
}

let server: TestApp;
const devices: Device[] = [];
const passed: StoredEvent[] = [];

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  server.app.domain.head.onPassed((events) => void passed.push(...events));
  for (const name of ["anna", "bert", "cleo"]) {
    const first = await server.user(name, "first");
    for (const client of [first, await Client.login(server.address, name, "second")]) {
      const requester = await server.app.domain.accounts.authenticate(client.token!, { ip: null, userAgent: null });
      devices.push({ requester, socket: await RawSocket.open(client) });
    }
  }
});
afterAll(() => server.close());
afterEach(() => void vi.restoreAllMocks());

/** What passes while it is held is delivered in one turn, with the world at rest. */
class Gate {
  #held: (() => void)[] | null = null;
  /** Callbacks that haven't had their turn. */
  due = 0;

  constructor() {
    const add = Turns.prototype.add;
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const gate = this;
    vi.spyOn(Turns.prototype, "add").mockImplementation(function (this: Turns, callback) {
      gate.due++;
      const pass = (): void =>
        add.call(this, () => {
          gate.due--;
          callback();
        });
      if (gate.#held === null) pass();
      else gate.#held.push(pass);
    });
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const pass of held) pass();
  }
}

/** By which a test can tell that it tests something. */
interface Counts {
  payloads: number;
  /** Payloads that were put together from what all share. */
  shared: number;
  /** Texts of single events that were shared, for chunks of which something needs the viewer. */
  partly: number;
  unrenderable: number;
  errors: number;
  events: number;
}

const filters: FilterInput[] = [
  { format: "FEDERATION" },
  { fields: ["type", "content", "action_id"] },
  { fields: ["-content"] },
  { bundleRelations: 2 },
  { bundleUpdates: false },
  { types: ["m.room.message", "-m.reaction"] },
  { types: ["state:*"] },
  { senders: ["@anna:localhost"] },
  { users: ["@bert:localhost"], format: "CLIENT" },
];

async function open(random: Random, device: Device, stage: Stage, each: { text: string; own: object }, id: string) {
  const { userId, deviceId } = device.requester;
  const rooms = random.chance(0.2) ? [pick(random, stage.roomIds)] : null;
  const stream = server.app.domain.tokens.stream({ userId, deviceId, rooms, users: null, position: null });
  const variables = {
    ...each.own,
    ...(random.chance(0.6) ? { stream } : {}),
    ...(random.chance(0.5) ? { tweak: pick(random, filters) } : {}),
    ...(random.chance(0.4) ? { outOfOrder: true } : {}),
  };
  return { query: each.text, variables, operation: device.socket.start(id, each.text, variables) };
}

/** The payload that rendering a chunk for its viewer alone gives. */
async function unshared({ device, query, variables }: Followed, chunk: StreamChunk): Promise<string> {
  const request = { requester: device.requester, requestId: "own", origin: { ip: null, userAgent: null }, live: true };
  const contextValue = createContext(server.app.domain, request);
  const document = parse(query);
  const { data, errors } = await execute({
    ...{ schema, document, contextValue, rootValue: chunk },
    variableValues: variables,
  });
  return comparable(JSON.stringify({ data, errors: errors?.map((error) => presentError(error, silent, "own")) }));
}

/** Errors in any order, and everything else as it is. */
function comparable(payload: string): string {
  const { data, errors } = JSON.parse(payload) as { data: unknown; errors?: unknown[] };
  return JSON.stringify({ data, errors: errors?.map((error) => JSON.stringify(error)).sort() });
}

async function run(seed: number, counts: Counts): Promise<void> {
  const random = new Random(seed);
  const { domain } = server.app;
  const gate = new Gate();
  const sources = new Map<ChunkSource, StreamChunk[]>();
  const chunkOf = ChunkSource.prototype.chunkOf;
  vi.spyOn(ChunkSource.prototype, "chunkOf").mockImplementation(function (this: ChunkSource, step) {
    const chunk = chunkOf.call(this, step);
    sources.set(this, [...(sources.get(this) ?? []), chunk]);
    return chunk;
  });
  const { pieces, text } = SharedRendering.prototype;
  vi.spyOn(SharedRendering.prototype, "pieces").mockImplementation(function (this: SharedRendering, shape, chunk) {
    const found = pieces.call(this, shape, chunk);
    if (found !== null && chunk.events.length > 0) counts.shared++;
    return found;
  });
  vi.spyOn(SharedRendering.prototype, "text").mockImplementation(function (this: SharedRendering, selection, event) {
    const found = text.call(this, selection, event);
    void Promise.resolve(found).then((each) => (each === null ? counts.unrenderable++ : counts.partly++));
    return found;
  });

  // The first of the first user makes the rooms, the second user may do more than the third.
  const requesters = devices.map(({ requester }) => requester);
  const roomIds: string[] = [];
  for (let count = random.between(1, 2); count > 0; count--) {
    const historyVisibility = pick(random, ["SHARED", "JOINED", "INVITED", "WORLD_READABLE"]);
    const { roomId } = await createRoom(domain.tools, requesters[0]!, { joinRule: "PUBLIC", historyVisibility });
    roomIds.push(roomId);
    for (const index of [2, 4]) await joinRoom(domain.tools, requesters[index]!, { target: { roomId } });
    const path = ["users", requesters[2]!.userId];
    await patchPowerLevels(domain.tools, requesters[0]!, { roomId, path, value: 50 });
  }
  const isHere = ({ roomId }: StoredEvent): boolean => roomIds.includes(roomId);
  const stage: Stage = { domain, devices: requesters, roomIds, events: passed.filter(isHere) };

  const documents = Array.from({ length: random.between(2, 4) }, () => randomDocument(schema, random));
  const followed: Followed[] = [];
  for (let index = 0; index < followersPerRun; index++) {
    const device = pick(random, devices);
    const known = new Set(sources.keys());
    const document = pick(random, documents);
    const own = { text: document.text, own: randomVariables(document, random) };
    const opened = await open(random, device, stage, own, `${seed} ${index}`);
    await opened.operation.until(({ payloads, errors }) => payloads.length > 0 || errors !== null);
    if (opened.operation.errors !== null) throw new Error(`${own.text}: ${JSON.stringify(opened.operation.errors)}`);
    const source = [...sources.keys()].find((each) => !known.has(each))!;
    followed.push({
      ...{ device, ...opened, compared: 0 },
      get chunks() {
        return sources.get(source)!;
      },
    });
  }

  for (let step = random.between(8, 14); step >= 0; step--) {
    const held = random.chance(0.5);
    if (held) gate.hold();
    const count = held ? random.between(2, 6) : 1;
    for (let action = 0; action < count; action++) {
      await actAtRandom(stage, random);
      stage.events = passed.filter(isHere);
    }
    gate.release();
    const late = (): Followed[] =>
      followed.filter(({ chunks, operation }) => operation.payloads.length < chunks.length);
    await until(
      () => gate.due === 0 && late().length === 0,
      () =>
        `${gate.due} turns due; ${late()
          .map(({ query }) => query)
          .join("\n")}`,
    );
    for (const each of followed) {
      for (const chunk of each.chunks.slice(each.compared)) {
        const payload = comparable(each.operation.payloads[each.compared++]!);
        const { query, variables, device } = each;
        const who = `${device.requester.userId} ${device.requester.deviceId}`;
        expect(payload, `${query}\n${JSON.stringify(variables)}\n${who}`).toBe(await unshared(each, chunk));
        counts.payloads++;
        counts.events += chunk.events.length;
        if (payload.includes('"errors":')) counts.errors++;
      }
    }
  }
  for (const { operation, device } of followed) {
    const [id] = [...device.socket.operations].find(([, known]) => known === operation)!;
    device.socket.complete(id);
    device.socket.operations.delete(id);
  }
  await until(() => domain.stream.count() === 0);
}

test(
  `[EVS-1] [EVS-8] [EV-9] ${seeds.length} random runs: nobody is sent anything else than what is rendered for them alone`,
  { timeout: 60_000 + seeds.length * 5000 },
  async () => {
    const counts: Counts = { payloads: 0, shared: 0, partly: 0, unrenderable: 0, errors: 0, events: 0 };
    for (const seed of seeds) {
      try {
        await run(seed, counts);
      } catch (error) {
        throw new Error(`HEARTH_SEED=${seed}\n${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      } finally {
        vi.restoreAllMocks();
      }
    }
    expect(server.errors).toEqual([]);
    if (onlySeed !== undefined) return;
    // What never shares anything, or never falls back, proves nothing.
    expect(counts.shared).toBeGreaterThan(5 * seeds.length);
    expect(counts.partly).toBeGreaterThan(20 * seeds.length);
    expect(counts.unrenderable).toBeGreaterThan(seeds.length);
    expect(counts.events).toBeGreaterThan(50 * seeds.length);
  },
);
