import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client, type Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let roomId: string;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  const settings = { DATABASE_URL: databaseUrl };
  servers = await Promise.all([startServer(settings), startServer(settings)]);
  alice = await Client.register(servers[0]!.address, "alice");
  roomId = await alice.createRoom();
});

afterAll(async () => {
  await Promise.all((servers ?? []).map((server) => server.stop()));
});

/** Ids of the events, or the code of the refusal and the field that it names. */
type Outcome = string[] | string;

function outcomeOf({ data, errors }: Answer): Outcome {
  const { code, field } = errors?.[0]?.extensions ?? {};
  if (errors) return code === "BAD_INPUT" ? `${String(code)} ${String(field)}` : String(code);
  const { events, event } = data!["result"] as { events?: { id: string }[]; event?: { id: string } };
  return (events ?? [event!]).map(({ id }) => id);
}

async function ask(server: number, type: string, field: string, input: object): Promise<Outcome> {
  const client = new Client(servers[server % 2]!.address, alice.token, alice.userId, alice.deviceId);
  const query = `mutation ($input: ${type}!) { result: ${field} }`;
  return outcomeOf(await client.ask(query, { input: { roomId, ...input } }));
}

/** A batch of messages that have an action id each, null for none; the batch may have its own. */
function batch(server: number, ids: readonly (string | null)[], actionId: string | null = null): Promise<Outcome> {
  const messages = ids.map((id, index) => ({ content: { text: { body: `${id ?? index}` } }, actionId: id }));
  return ask(server, "SendMessagesInput", "sendMessages(input: $input) { events { id } }", { messages, actionId });
}

/** One message, with the content that it has in a batch. */
function single(server: number, actionId: string): Promise<Outcome> {
  const message = { content: { text: { body: actionId } }, actionId };
  return ask(server, "SendMessageInput", "sendMessage(input: $input) { event { id } }", { message });
}

/** All messages of the room with such action ids: their bodies by event id, in order. */
async function stored(prefix: string): Promise<[id: string, actionId: string | null][]> {
  const rows = await sql<{ event_id: string; action_id: string | null }>(
    databaseUrl,
    `SELECT event_id, action_id FROM event
     WHERE type = 'm.room.message' AND (action_id LIKE $1 || '%' OR content::jsonb ->> 'body' LIKE $1 || '%') ORDER BY position`,
    [prefix],
  );
  return rows.map((row) => [row.event_id, row.action_id]);
}

test.each([null, "kept-whole"])(
  "[ACT-2] a batch retried gives its first outcome; its own action id: %s",
  async (own) => {
    const ids = [`kept-${own}-1`, `kept-${own}-2`, null];
    const first = await batch(0, ids, own);
    expect(first).toHaveLength(3);
    const before = await stored(`kept-${own}`);
    expect(before.slice(0, 2)).toEqual([
      [first[0], ids[0]],
      [first[1], ids[1]],
    ]);
    for (const server of [0, 1]) expect(await batch(server, ids, own)).toEqual(first);
    // The same messages as another batch.
    for (const server of [0, 1]) expect(await batch(server, ids.slice(0, 2), own)).toBe("CONFLICT");
    expect(await stored(`kept-${own}`)).toEqual(before);
  },
);

test.each([null, "alone-whole"])(
  "[ACT-2] the action id of each message of a batch is used up; the batch's own: %s",
  async (own) => {
    const ids = [`alone-${own}-1`, `alone-${own}-2`, `alone-${own}-3`];
    const first = await batch(0, ids, own);
    const before = await stored(`alone-${own}`);
    expect(before.map(([id]) => id)).toEqual(first);
    for (const server of [0, 1]) for (const id of ids) expect(await single(server, id)).toBe("CONFLICT");
    expect(await stored(`alone-${own}`)).toEqual(before);
  },
);

test("[ACT-2] a batch with an action id that was used before is CONFLICT, and nothing of it is stored", async () => {
  await single(0, "used-1");
  await batch(0, ["used-2", "used-3"]);
  const before = await stored("used");
  for (const server of [0, 1]) {
    for (const used of ["used-1", "used-2", "used-3"]) {
      expect(await batch(server, ["used-new", used])).toBe("CONFLICT");
      expect(await batch(server, [used, "used-new"])).toBe("CONFLICT");
      expect(await batch(server, ["used-new", used], "used-whole")).toBe("CONFLICT");
      expect(await batch(server, ["used-new"], used)).toBe("CONFLICT");
    }
  }
  expect(await stored("used")).toEqual(before);
  // None of the ids was taken by what was refused.
  expect(await batch(1, ["used-new", "used-newer"], "used-whole")).toHaveLength(2);
});

test("[ACT-2] the same action id twice in a batch is BAD_INPUT, and takes no id", async () => {
  expect(await batch(0, ["twice-1", "twice-2", "twice-1"])).toBe("BAD_INPUT messages.2.actionId");
  expect(await batch(0, ["twice-1", "twice-2", "twice-2"], "twice-whole")).toBe("BAD_INPUT messages.2.actionId");
  expect(await stored("twice")).toEqual([]);
  expect(await batch(1, ["twice-1", "twice-2"], "twice-whole")).toHaveLength(2);
});

test("[ACT-2] batches and single messages that share action ids, on both processes at once: one is done, and whole", async () => {
  const rounds = Array.from({ length: 20 }, (_, round) => `rival${round}-`);
  const outcomes = await Promise.all(
    rounds.map((prefix, round) => {
      const [a, b, c] = [`${prefix}a`, `${prefix}b`, `${prefix}c`];
      const rivals = [
        (server: number) => batch(server, [a, b]),
        (server: number) => batch(server, [b, a]),
        (server: number) => batch(server, [c, b]),
        (server: number) => batch(server, [b], `${prefix}whole`),
        (server: number) => single(server, b),
      ];
      // Each goes to both processes, and every round begins with another.
      const first = round % rivals.length;
      const turned = [...rivals.slice(first), ...rivals.slice(0, first)];
      return Promise.all(turned.flatMap((rival) => [rival(round), rival(round + 1)]));
    }),
  );
  for (const [round, prefix] of rounds.entries()) {
    const won = outcomes[round]!.filter((each) => each !== "CONFLICT");
    expect(won).toHaveLength(2);
    expect(won[1]).toEqual(won[0]);
    expect((await stored(prefix)).map(([id]) => id)).toEqual(won[0]);
  }
});

test("[ACT-2] after a restart the action ids of a batch are still used up", async () => {
  const first = await batch(0, ["late-1", "late-2"]);
  await Promise.all(servers.map((server) => server.kill()));
  const settings = { DATABASE_URL: databaseUrl };
  servers = await Promise.all([startServer(settings), startServer(settings)]);
  for (const server of [0, 1]) {
    expect(await batch(server, ["late-1", "late-2"])).toEqual(first);
    expect(await single(server, "late-2")).toBe("CONFLICT");
    expect(await batch(server, ["late-3", "late-2"])).toBe("CONFLICT");
  }
  expect((await stored("late")).map(([id]) => id)).toEqual(first);
});
