import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client, type Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { everyAction, madeUnder, mutationsThatTake, refusedInput, request, type Input } from "../kit/everyAction.ts";
import { until } from "../kit/until.ts";
import { startLossyProxy } from "./support/lossyProxy.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const names = Object.keys(everyAction);
/** Requests for each action, half of them to each process. */
const copies = 6;

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let tablet: Client;
let bob: Client;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  servers = await startBoth();
  alice = await Client.register(servers[0]!.address, "alice");
  tablet = await Client.login(servers[0]!.address, "alice", "tablet");
  bob = await Client.register(servers[0]!.address, "bob");
});

afterAll(async () => {
  await Promise.all((servers ?? []).map((server) => server.stop()));
});

function start(url: string): Promise<ServerProcess> {
  return startServer({ DATABASE_URL: url, HEARTH_ADMINS: "alice,bob" });
}

function startBoth(): Promise<ServerProcess[]> {
  return Promise.all([start(databaseUrl), start(databaseUrl)]);
}

/** The same device, asking another process. */
function at(address: string, { token, userId, deviceId }: Client): Client {
  return new Client(address, token, userId, deviceId);
}

/** What an action gave, or the code of its refusal. */
type Outcome = unknown;

function outcomeOf({ data, errors }: Answer, name: string): Outcome {
  if (errors) return String(errors[0]?.extensions?.["code"]);
  return (data![name] as { outcome: unknown }).outcome;
}

async function perform(name: string, input: Input, actionId: string, client: Client, server = 0): Promise<Outcome> {
  const { query, variables } = request(name, input, { actionId });
  return outcomeOf(await at(servers[server % 2]!.address, client).ask(query, variables), name);
}

function prepare(name: string, actor = alice, other = bob): Promise<Input> {
  const here = servers[0]!.address;
  return everyAction[name]!.prepare({ actor: at(here, actor), other: at(here, other) });
}

/** What was made with an action id, which is all that the action made, and how much there is of everything. */
async function stored(actionId: string, client = alice): Promise<{ ids: string[]; moves: string[]; total: number }> {
  const { made, total } = await madeUnder(databaseUrl, actionId, client);
  return { ids: made.map((each) => each.outcomeId), moves: made.map((each) => each.id), total };
}

/** The ids of the events in an outcome; that of a marker names the one that it covers. */
function idsOf(outcome: Outcome): string[] {
  const each = (Array.isArray(outcome) ? outcome : [outcome]) as { id: string; eventId?: string }[];
  return each.map(({ id, eventId }) => eventId ?? id);
}

/** That the outcome is an event or several, of those that the action stored. */
function expectDone(outcome: Outcome, ids: readonly string[]): void {
  expect(outcome).toEqual(expect.any(Object));
  expect(ids.length).toBeGreaterThan(0);
  expect(ids).toEqual(expect.arrayContaining(idsOf(outcome)));
}

test("[ACT-2] every mutation that takes an action id is in the table", () => {
  expect(mutationsThatTake("actionId")).toEqual([...names].sort());
});

describe.each(names)("[ACT-2] %s", (name) => {
  test("repeated, also elsewhere, it gives its first outcome; with other content, CONFLICT", async () => {
    const actionId = `repeated-${name}`;
    const input = await prepare(name);
    const first = await perform(name, input, actionId, alice);
    const after = await stored(actionId);
    expectDone(first, after.ids);
    for (const server of [0, 1]) expect(await perform(name, input, actionId, alice, server)).toEqual(first);
    const otherwise = everyAction[name]!.otherwise(input);
    for (const server of [0, 1]) expect(await perform(name, otherwise, actionId, alice, server)).toBe("CONFLICT");
    expect(await stored(actionId)).toEqual(after);
  });

  test("sent to both processes at once, it is done once and answers the same to all", async () => {
    const actionId = `at-once-${name}`;
    const input = await prepare(name);
    const { total } = await stored(actionId);
    const requests = Array.from({ length: copies }, (_, copy) => perform(name, input, actionId, alice, copy));
    const outcomes = await Promise.all(requests);
    const after = await stored(actionId);
    expectDone(outcomes[0], after.ids);
    expect(outcomes).toEqual(Array(copies).fill(outcomes[0]));
    expect(after.total - total).toBe(after.ids.length);
    // As many as the same action makes that is done once.
    const once = `once-${name}`;
    await perform(name, await prepare(name), once, alice);
    expect(after.ids).toHaveLength((await stored(once)).ids.length);
  });

  test("the same id on another device, or of another user, is another action", async () => {
    const actionId = `whose-${name}`;
    const first = await perform(name, await prepare(name), actionId, alice);
    expectDone(first, (await stored(actionId)).ids);
    for (const [actor, other] of [
      [tablet, bob],
      [bob, alice],
    ] as const) {
      const outcome = await perform(name, await prepare(name, actor, other), actionId, actor, 1);
      expectDone(outcome, (await stored(actionId, actor)).ids);
      expect(outcome).not.toEqual(first);
    }
  });

  test("when it is refused, its id stays free", async () => {
    const actionId = `refused-${name}`;
    const input = await prepare(name);
    const refusal = await perform(name, refusedInput(name, input), actionId, alice);
    expect(["NOT_FOUND", "FORBIDDEN", "BAD_INPUT"]).toContain(refusal);
    expect((await stored(actionId)).ids).toEqual([]);
    const outcome = await perform(name, input, actionId, alice, 1);
    expectDone(outcome, (await stored(actionId)).ids);
  });
});

/** Actions that wait for the lock, and so are appended by a transaction of their own. */
const underLock = new Set(["rejectEvent"]);

test("[ACT-2] after a restart the first outcomes still stand", async () => {
  const done = new Map<string, { input: Input; outcome: Outcome }>();
  for (const name of names) {
    const input = await prepare(name);
    done.set(name, { input, outcome: await perform(name, input, `kept-${name}`, alice) });
  }
  const { total } = await stored("");
  await Promise.all(servers.map((server) => server.kill()));
  servers = await startBoth();
  for (const [name, { input, outcome }] of done) {
    for (const server of [0, 1]) expect(await perform(name, input, `kept-${name}`, alice, server)).toEqual(outcome);
    expect(await perform(name, everyAction[name]!.otherwise(input), `kept-${name}`, alice)).toBe("CONFLICT");
  }
  expect((await stored("")).total).toBe(total);
});

test(
  "[ACT-2] killed between the commit and the answer, each action is found done by whoever asks again",
  { timeout: 120_000 },
  async () => {
    const inputs = new Map<string, Input>();
    for (const name of names) inputs.set(name, await prepare(name));
    const quiet = await prepare("sendMessage");
    const left = new Set(names.filter((name) => !underLock.has(name)));
    // All that wait while the writer is busy are committed together, so that few processes have to be killed.
    for (let round = 0; left.size > 0; round++) {
      expect(round).toBeLessThan(names.length);
      const proxy = await startLossyProxy(databaseUrl);
      const doomed = await start(proxy.url);
      const ask = (name: string, input: Input, actionId: string): Promise<Outcome> => {
        const { query, variables } = request(name, input, { actionId });
        return at(doomed.address, alice)
          .ask(query, variables)
          .then((answer) => outcomeOf(answer, name))
          .catch(() => "no answer");
      };
      proxy.holdAnswerTo("append_batch(");
      const busy = ask("sendMessage", quiet, `busy-${round}`);
      await until(() => proxy.holding);
      const asked = [...left].map((name) => ask(name, inputs.get(name)!, `killed-${name}`));
      await proxy.rest();
      // A statement that was prepared before is sent without its text, so this one is known by what it appends.
      proxy.holdAnswerTo('"action_id":"killed-');
      expect(await busy).toEqual(expect.any(Object));
      await until(() => proxy.holding);
      const committed = async (): Promise<string[]> => {
        const rows = await sql<{ name: string }>(
          databaseUrl,
          "SELECT substr(action_id, 8) AS name FROM action WHERE action_id LIKE 'killed-%'",
        );
        return rows.map((row) => row.name).filter((name) => left.has(name));
      };
      await until(async () => (await committed()).length > 0);
      await doomed.kill();
      expect(await Promise.all(asked)).toEqual(asked.map(() => "no answer"));
      await proxy.close();
      for (const name of await committed()) {
        left.delete(name);
        const before = await stored(`killed-${name}`);
        const outcomes = [0, 1].map((server) => perform(name, inputs.get(name)!, `killed-${name}`, alice, server));
        const [outcome, again] = await Promise.all(outcomes);
        expectDone(outcome, before.ids);
        expect(again).toEqual(outcome);
        expect(await stored(`killed-${name}`)).toEqual(before);
      }
    }
  },
);

test.each([...underLock])(
  "[ACT-2] killed between the commit and the answer, %s is found done, though it is appended by itself",
  { timeout: 60_000 },
  async (name) => {
    const input = await prepare(name);
    const proxy = await startLossyProxy(databaseUrl);
    const doomed = await start(proxy.url);
    const actionId = `alone-${name}`;
    proxy.holdAnswerTo("COMMIT");
    const { query, variables } = request(name, input, { actionId });
    const asked = at(doomed.address, alice)
      .ask(query, variables)
      .then((answer) => outcomeOf(answer, name))
      .catch(() => "no answer");
    await until(async () => (await stored(actionId)).ids.length > 0);
    await doomed.kill();
    expect(await asked).toBe("no answer");
    await proxy.close();
    const before = await stored(actionId);
    const outcomes = [0, 1].map((server) => perform(name, input, actionId, alice, server));
    const [outcome, again] = await Promise.all(outcomes);
    expectDone(outcome, before.ids);
    expect(again).toEqual(outcome);
    expect(await stored(actionId)).toEqual(before);
  },
);

test.each(["sendPreparedMessage", "setMarker"])(
  "[ACT-13] [ACT-11] killed between the commit and the answer, %s is found done also without an action id",
  { timeout: 60_000 },
  async (name) => {
    const input = await prepare(name);
    const { total } = await stored("");
    const proxy = await startLossyProxy(databaseUrl);
    const doomed = await start(proxy.url);
    proxy.holdAnswerTo("append_batch(");
    const ask = async (address: string): Promise<Outcome> => {
      const { query, variables } = request(name, input);
      return outcomeOf(await at(address, alice).ask(query, variables), name);
    };
    const asked = ask(doomed.address).catch(() => "no answer");
    await until(async () => (await stored("")).total === total + 1);
    await doomed.kill();
    expect(await asked).toBe("no answer");
    await proxy.close();
    const made = await stored("");
    const outcomes = await Promise.all([0, 1, 2, 3].map((copy) => ask(servers[copy % 2]!.address)));
    expect(outcomes).toEqual(Array(4).fill(outcomes[0]));
    expect(outcomes[0]).toEqual(expect.any(Object));
    expect(await stored("")).toEqual(made);
  },
);
