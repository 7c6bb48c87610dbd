import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client, type Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { newKey, prepare, sendDocument, signed } from "../kit/signing.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const actions = 60;
/** Requests for each action, half of them to each process. */
const copies = 6;

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let roomId: string;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  await startBoth();
  alice = await Client.register(servers[0]!.address, "alice");
  roomId = await alice.createRoom();
});

afterAll(async () => {
  await Promise.all((servers ?? []).map((server) => server.stop()));
});

async function startBoth(): Promise<void> {
  const settings = { DATABASE_URL: databaseUrl };
  servers = await Promise.all([startServer(settings), startServer(settings)]);
}

const mutation = `mutation ($roomId: ID!, $body: String!, $actionId: String) {
  sendMessage(input: { roomId: $roomId, message: { content: { text: { body: $body } }, actionId: $actionId } }) { event { id } }
}`;

/** The same device, asking one of the two processes. */
function send(server: number, actionId: string, body: string, user = alice): Promise<Answer> {
  const client = new Client(servers[server % 2]!.address, user.token, user.userId, user.deviceId);
  return client.ask(mutation, { roomId, body, actionId });
}

/** The event's id, or the code of the refusal. */
function outcome({ data, errors }: Answer): string {
  if (errors) return String(errors[0]?.extensions?.["code"]);
  return (data!["sendMessage"] as { event: { id: string } }).event.id;
}

/** Bodies by event id of all messages whose action id begins so. */
async function storedBodies(prefix: string): Promise<Map<string, string>> {
  const rows = await sql<{ event_id: string; body: string }>(
    databaseUrl,
    "SELECT event_id, content::jsonb ->> 'body' AS body FROM event WHERE action_id LIKE $1 || '%' ORDER BY position",
    [prefix],
  );
  return new Map(rows.map((row) => [row.event_id, row.body]));
}

test("[ACT-2] one action id sent to both processes at once makes one event and gets one answer", async () => {
  const answers = await Promise.all(
    Array.from({ length: actions }, async (_, action) => {
      const requests = Array.from({ length: copies }, (_, copy) => send(copy, `same${action}`, `same ${action}`));
      return (await Promise.all(requests)).map(outcome);
    }),
  );
  const stored = await storedBodies("same");
  expect(stored.size).toBe(actions);
  for (const [action, outcomes] of answers.entries()) {
    expect(new Set(outcomes).size).toBe(1);
    expect(stored.get(outcomes[0]!)).toBe(`same ${action}`);
  }
});

test("[ACT-2] of different contents under one action id, one wins and all others are CONFLICT", async () => {
  const answers = await Promise.all(
    Array.from({ length: actions }, async (_, action) => {
      const requests = Array.from({ length: copies }, (_, copy) => send(copy, `rival${action}`, `rival ${copy}`));
      return (await Promise.all(requests)).map(outcome);
    }),
  );
  const stored = await storedBodies("rival");
  expect(stored.size).toBe(actions);
  for (const outcomes of answers) {
    const winner = outcomes.findIndex((each) => each !== "CONFLICT");
    expect(stored.get(outcomes[winner]!)).toBe(`rival ${winner}`);
    expect(outcomes.filter((each) => each === "CONFLICT")).toHaveLength(copies - 1);
  }
});

test("[ACT-2] action ids are a device's own", async () => {
  const laptop = await Client.login(servers[1]!.address, "alice", "laptop");
  const outcomes = [await send(0, "own", "of two"), await send(1, "own", "of two", laptop)].map(outcome);
  expect([...(await storedBodies("own")).keys()]).toEqual(outcomes);
});

test("[ACT-13] one prepared message sent to both processes at once, with rival signatures, makes one event", async () => {
  const [one, two] = [await newKey("one"), await newKey("two")];
  const prepared = await Promise.all(
    Array.from({ length: 20 }, (_, index) => prepare(alice, roomId, { content: { text: { body: `p ${index}` } } })),
  );
  const answers = await Promise.all(
    prepared.map(async (message) => {
      const signatures = [await signed(alice, one, message), await signed(alice, two, message)];
      const requests = Array.from({ length: copies }, (_, copy) => {
        const client = new Client(servers[copy % 2]!.address, alice.token, alice.userId, alice.deviceId);
        // Each process gets both.
        const input = { prepared: message.prepared, signatures: signatures[(copy >> 1) % 2] };
        return client.ask(sendDocument, { input });
      });
      return Promise.all(requests);
    }),
  );
  for (const [index, message] of prepared.entries()) {
    const outcomes = answers[index]!.map(({ data, errors }) =>
      errors ? errors[0]?.extensions?.["code"] : (data!["sendPreparedMessage"] as { event: { id: string } }).event.id,
    );
    const winner = outcomes.indexOf(message.json["event_id"]);
    const expected = outcomes.map((_, copy) =>
      (copy >> 1) % 2 === (winner >> 1) % 2 ? message.json["event_id"] : "CONFLICT",
    );
    expect(outcomes).toEqual(expected);
  }
});

test("[ACT-2] after a restart the first outcome still stands, on either process", async () => {
  const first = outcome(await send(0, "kept", "first"));
  await Promise.all(servers.map((server) => server.kill()));
  await startBoth();
  for (const server of [0, 1]) {
    expect(outcome(await send(server, "kept", "first"))).toBe(first);
    expect(outcome(await send(server, "kept", "second"))).toBe("CONFLICT");
  }
  expect(await storedBodies("kept")).toEqual(new Map([[first, "first"]]));
});
