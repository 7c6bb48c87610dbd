import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { type Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { everyAction, madeUnder, request, type Input } from "../kit/everyAction.ts";
import { newKey, prepare, register, signed } from "../kit/signing.ts";

let server: TestApp;
let root: Client;
let ahead = 0;
let number = 0;

beforeAll(async () => {
  const clock = { now: () => Date.now() + ahead };
  server = await startApp({ mirrors: false, config: { admins: ["root"] }, clock });
  root = await server.user("root");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

interface Cast {
  alice: Client;
  bob: Client;
}

/** An action that was done, and what took away from under it what it needs. */
interface Row {
  action: string;
  /** Makes all that the action needs. */
  prepare(cast: Cast): Promise<Input>;
  /** What happens after the action. */
  then(cast: Cast, input: Input): Promise<unknown>;
  /** The code and field by which the same is refused now under another action id; null where it isn't. */
  refusal: string | null;
}

const gone = ({ userId }: Client): Promise<object[]> =>
  sql(server.databaseUrl, "DELETE FROM account WHERE user_id = $1", [userId]);

async function aliased({ bob }: Cast): Promise<Input> {
  const alias = `#room${number++}:localhost`;
  await bob.createRoom({ joinRule: "PUBLIC", alias });
  return { target: { alias } };
}

const aliasOf = (input: Input): string => (input["target"] as { alias: string }).alias;

async function leadElsewhere(alias: string, roomId: string): Promise<void> {
  await sql(server.databaseUrl, "UPDATE room_alias SET room_id = $2 WHERE alias = $1", [alias, roomId]);
}

/** An event of Bob's room that Alice sees only since she joined. */
async function seenByJoining({ alice, bob }: Cast, sender = bob): Promise<{ roomId: string; eventId: string }> {
  const roomId = await bob.createRoom({ joinRule: "PUBLIC", historyVisibility: "JOINED" });
  await alice.join(roomId);
  return { roomId, eventId: await sender.send(roomId, "seen") };
}

async function roomOf(eventId: string): Promise<string> {
  const [row] = await sql<{ room_id: string }>(server.databaseUrl, "SELECT room_id FROM event WHERE event_id = $1", [
    eventId,
  ]);
  return row!.room_id;
}

/** Makes as if Alice had never joined, so that she may see nothing of the room any more. */
async function neverJoined({ alice }: Cast, roomId: string): Promise<void> {
  const [join] = await sql<{ event_id: string }>(
    server.databaseUrl,
    "SELECT event_id FROM event WHERE room_id = $1 AND type = 'm.room.member' AND state_key = $2",
    [roomId, alice.userId],
  );
  await root.do("mutation ($eventId: ID!) { rejectEvent(input: { eventId: $eventId }) { redaction { id } } }", {
    eventId: join!.event_id,
  });
}

async function signedMessage({ alice }: Cast, message: Input = {}): Promise<Input> {
  const key = await newKey(`phone${number++}`);
  await register(alice, key);
  const prepared = await prepare(alice, await alice.createRoom(), {
    content: { text: { body: "signed" } },
    ...message,
  });
  return { prepared: prepared.prepared, signatures: await signed(alice, key, prepared) };
}

const marking = async (cast: Cast): Promise<Input> => ({ eventId: (await seenByJoining(cast)).eventId, kind: "READ" });
const others = ({ alice, bob }: Cast): Promise<Input> => everyAction["kickUser"]!.prepare({ actor: alice, other: bob });
const inviting = async ({ alice, bob }: Cast): Promise<Input> => ({
  roomId: await alice.createRoom(),
  userId: bob.userId,
});

const rows: Record<string, Row> = {
  "joined by an alias that was deleted": {
    action: "joinRoom",
    prepare: aliased,
    then: (_cast, input) => sql(server.databaseUrl, "DELETE FROM room_alias WHERE alias = $1", [aliasOf(input)]),
    refusal: "NOT_FOUND alias",
  },
  "joined by an alias that leads to a room now which lets nobody in": {
    action: "joinRoom",
    prepare: aliased,
    then: async ({ bob }, input) => leadElsewhere(aliasOf(input), await bob.createRoom()),
    refusal: "NOT_FOUND",
  },
  "joined by an alias that leads to no room that there is": {
    action: "joinRoom",
    prepare: aliased,
    then: (_cast, input) => leadElsewhere(aliasOf(input), "!nowhere:localhost"),
    refusal: "NOT_FOUND",
  },
  "joined by an invite, and left": {
    action: "joinRoom",
    async prepare({ alice, bob }) {
      return {
        target: { inviteEventId: await bob.membership("invite", await bob.createRoom(), alice.userId) },
      };
    },
    then: async ({ alice }, { target }) =>
      alice.leave(await roomOf((target as { inviteEventId: string }).inviteEventId)),
    refusal: "NOT_FOUND",
  },
  "invited somebody whose account is gone": {
    action: "inviteUser",
    prepare: inviting,
    then: ({ bob }) => gone(bob),
    refusal: "NOT_FOUND userId",
  },
  "invited somebody who was banned then": {
    action: "inviteUser",
    prepare: inviting,
    then: ({ alice }, { roomId, userId }) => alice.membership("ban", String(roomId), String(userId)),
    refusal: "FORBIDDEN",
  },
  "banned somebody whose account is gone": {
    action: "banUser",
    prepare: others,
    then: ({ bob }) => gone(bob),
    refusal: "NOT_FOUND userId",
  },
  "made a room with somebody whose account is gone": {
    action: "createRoom",
    prepare: ({ bob }) => Promise.resolve({ name: "New", invite: [bob.userId] }),
    then: ({ bob }) => gone(bob),
    refusal: "NOT_FOUND invite",
  },
  "made a room by an alias that leads to another now": {
    action: "createRoom",
    prepare: () => Promise.resolve({ alias: `#room${number++}:localhost` }),
    then: async ({ bob }, { alias }) => leadElsewhere(String(alias), await bob.createRoom()),
    refusal: "ALIAS_IN_USE alias",
  },
  "redacted an event that isn't to be seen any more": {
    action: "redactEvent",
    prepare: async (cast) => ({ eventId: (await seenByJoining(cast, cast.alice)).eventId }),
    then: async (cast, { eventId }) => neverJoined(cast, await roomOf(String(eventId))),
    refusal: "NOT_FOUND",
  },
  "redacted an event of a room that was left": {
    action: "redactEvent",
    prepare: async (cast) => ({ eventId: (await seenByJoining(cast, cast.alice)).eventId }),
    then: async ({ alice }, { eventId }) => alice.leave(await roomOf(String(eventId))),
    refusal: "FORBIDDEN",
  },
  "marked an event that isn't to be seen any more": {
    action: "setMarker",
    prepare: marking,
    then: async (cast, { eventId }) => neverJoined(cast, await roomOf(String(eventId))),
    refusal: "NOT_FOUND",
  },
  "marked an event of a room that was left": {
    action: "setMarker",
    prepare: marking,
    then: async ({ alice }, { eventId }) => alice.leave(await roomOf(String(eventId))),
    refusal: "FORBIDDEN",
  },
  "kicked somebody who came back and left": {
    action: "kickUser",
    prepare: others,
    async then({ bob }, { roomId }) {
      await bob.join(String(roomId));
      await bob.leave(String(roomId));
    },
    refusal: "FORBIDDEN",
  },
  "kicked somebody whose account is gone": {
    action: "kickUser",
    prepare: others,
    then: ({ bob }) => gone(bob),
    refusal: "FORBIDDEN",
  },
  "replied to an event that isn't to be seen any more": {
    action: "sendMessage",
    async prepare(cast) {
      const { roomId, eventId } = await seenByJoining(cast);
      const relatesTo = [{ type: "m.reference", eventId }];
      return { roomId, message: { content: { text: { body: "reply" } }, relatesTo } };
    },
    then: (cast, { roomId }) => neverJoined(cast, String(roomId)),
    refusal: "NOT_FOUND",
  },
  "set state, and was kicked": {
    action: "setState",
    async prepare(cast) {
      const { roomId } = await seenByJoining(cast);
      await cast.bob.setState(roomId, "m.room.power_levels", { users: { [cast.bob.userId]: 100 }, state_default: 0 });
      return { roomId, type: "m.room.topic", content: { topic: "tea" } };
    },
    then: ({ alice, bob }, { roomId }) => bob.membership("kick", String(roomId), alice.userId),
    refusal: "FORBIDDEN",
  },
  "sent a prepared message that has expired": {
    action: "sendPreparedMessage",
    prepare: signedMessage,
    then: () => Promise.resolve((ahead += 3_600_000)),
    refusal: null,
  },
  "sent a prepared message by a key that was removed": {
    action: "sendPreparedMessage",
    prepare: signedMessage,
    then: ({ alice }) => sql(server.databaseUrl, "DELETE FROM device_key WHERE user_id = $1", [alice.userId]),
    refusal: null,
  },
  "sent a prepared message, expired and its key removed, to a room that was left": {
    action: "sendPreparedMessage",
    prepare: signedMessage,
    async then({ alice }, input) {
      ahead += 3_600_000;
      await sql(server.databaseUrl, "DELETE FROM device_key WHERE user_id = $1", [alice.userId]);
      const { id } = (await outcome(alice, "sendPreparedMessage", input, "read")) as { id: string };
      await alice.leave(await roomOf(id));
    },
    refusal: null,
  },
};

async function outcome(client: Client, action: string, input: Input, actionId: string): Promise<unknown> {
  const { query, variables } = request(action, input, { actionId });
  return outcomeOf(await client.ask(query, variables), action);
}

/** What the action gave, or the code of its refusal and the field that it names. */
function outcomeOf({ data, errors }: Answer, action: string): unknown {
  if (!errors) return (data![action] as { outcome: unknown }).outcome;
  return [errors[0]?.extensions?.["code"], errors[0]?.extensions?.["field"]].filter(Boolean).join(" ");
}

describe("[ACT-2] repeated under its action id, an action gives its first outcome to who has", () => {
  test.each(Object.entries(rows))("%s", async (_title, { action, prepare, then, refusal }) => {
    const n = number++;
    const cast = { alice: await server.user(`alice${n}`), bob: await server.user(`bob${n}`) };
    const input = await prepare(cast);
    const first = await outcome(cast.alice, action, input, "first");
    expect(first).toEqual(expect.any(Object));
    await then(cast, input);
    const before = await madeUnder(server.databaseUrl, "first", cast.alice);
    expect(await outcome(cast.alice, action, input, "first")).toEqual(first);
    expect(await outcome(cast.alice, action, everyAction[action]!.otherwise(input), "first")).toMatch(/^CONFLICT/);
    expect(await outcome(cast.alice, action, input, "second")).toEqual(refusal ?? first);
    expect(await madeUnder(server.databaseUrl, "first", cast.alice)).toEqual(before);
  });
});
