import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import {
  countEvents,
  newKey,
  outcome,
  prepare,
  prepareDocument,
  register,
  sendDocument,
  signed,
  type Json,
  type Key,
  type Prepared,
} from "../kit/signing.ts";

let server: TestApp;
let ann: Client;
let bob: Client;
let roomId: string;
let key: Key;
let ahead = 0;
const text = (body: string) => ({ content: { text: { body } } });

beforeAll(async () => {
  server = await startApp({ clock: { now: () => Date.now() + ahead } });
  ann = await server.user("ann");
  bob = await server.user("bob");
  roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  key = await newKey();
  await register(ann, key);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

test("[ACT-13] preparing checks what sending checks, and stores nothing", async () => {
  const [stranger, invited] = [await server.user("stranger"), await server.user("invited")];
  await ann.membership("invite", roomId, invited.userId);
  const hidden = await ann.createRoom();
  const inHidden = await ann.send(hidden, "hidden");
  const before = await countEvents(server.databaseUrl);
  const refusal = async (client: Client, room: string, message: object): Promise<unknown[]> => {
    const { errors } = await client.ask(prepareDocument, { input: { roomId: room, message } });
    return [errors?.[0]?.extensions?.["code"], errors?.[0]?.extensions?.["field"]];
  };
  expect(await refusal(ann, "nonsense", text("a"))).toEqual(["BAD_INPUT", "roomId"]);
  expect(await refusal(ann, roomId, { ...text("a"), type: "state:m.room.name" })).toEqual([
    "BAD_INPUT",
    "message.type",
  ]);
  expect(await refusal(ann, roomId, { ...text("a"), updates: inHidden })).toEqual(["BAD_INPUT", "message.updates"]);
  expect(await refusal(ann, roomId, { content: { custom: { a: 0.5 } } })).toEqual(["BAD_INPUT", "message.content.a"]);
  expect(await refusal(ann, roomId, text("x".repeat(65_000)))).toEqual(["TOO_LARGE", "message.content"]);
  expect(await refusal(stranger, hidden, text("a"))).toEqual(["NOT_FOUND", undefined]);
  expect(await refusal(stranger, hidden, { ...text("a"), updates: inHidden })).toEqual(["NOT_FOUND", undefined]);
  expect(await refusal(invited, roomId, text("a"))).toEqual(["FORBIDDEN", undefined]);
  expect(await refusal(server.stranger(), roomId, text("a"))).toEqual(["UNAUTHENTICATED", undefined]);
  await prepare(ann, roomId, text("only prepared"));
  expect(await countEvents(server.databaseUrl)).toBe(before);
});

test("[ACT-13] a prepared message expires, and its answer doesn't", async () => {
  const [early, late] = [await prepare(ann, roomId, text("early")), await prepare(ann, roomId, text("late"))];
  const input = async (message: Prepared) => ({
    prepared: message.prepared,
    signatures: await signed(ann, key, message),
  });
  const [inTime, tooLate] = [await input(early), await input(late)];
  try {
    ahead += 4 * 60_000;
    expect(await outcome(ann, inTime)).toBe(early.json["event_id"]);
    ahead += 61_000;
    const { errors } = await ann.ask(sendDocument, { input: tooLate });
    expect(errors![0]).toMatchObject({
      message: "prepared: has expired; prepare the message anew.",
      extensions: { code: "BAD_TOKEN", field: "prepared" },
    });
    expect(await outcome(ann, inTime)).toBe(early.json["event_id"]);
  } finally {
    ahead = 0;
  }
});

test("[ACT-13] [ACT-2] sent again it is the same event, and with other signatures CONFLICT", async () => {
  const second = await newKey("second");
  for (const [first, again] of [
    [null, null],
    ["one", "one"],
    ["two", null],
    [null, "three"],
  ]) {
    const message = await prepare(ann, roomId, text("again"));
    const input = { prepared: message.prepared, signatures: await signed(ann, key, message) };
    const before = await countEvents(server.databaseUrl);
    expect(await outcome(ann, { ...input, actionId: first })).toBe(message.json["event_id"]);
    expect(await outcome(ann, { ...input, actionId: again })).toBe(message.json["event_id"]);
    expect(await countEvents(server.databaseUrl)).toBe(before + 1);
    const signatures = await signed(ann, second, message);
    expect(await outcome(ann, { ...input, signatures })).toBe("CONFLICT signatures");
  }
});

test("[ACT-13] [ACT-2] the message's own action id is that of the event, unless the second phase names one", async () => {
  for (const actionId of [null, "later"]) {
    const message = await prepare(ann, roomId, { ...text("named"), actionId: `mine ${actionId}` });
    const input = { prepared: message.prepared, signatures: await signed(ann, key, message), actionId };
    const data = await ann.do<{ sendPreparedMessage: { actionId: string; compact: Json } }>(sendDocument, { input });
    const expected = actionId ?? "mine null";
    expect(data.sendPreparedMessage).toMatchObject({ actionId: expected, compact: { action_id: expected } });
    const other = await prepare(ann, roomId, text("other"));
    const reused = { prepared: other.prepared, signatures: await signed(ann, key, other), actionId: expected };
    expect(await outcome(ann, reused)).toBe("CONFLICT actionId");
  }
});

test("[ACT-13] many copies at once make one event, rivals are CONFLICT, and other messages aren't disturbed", async () => {
  const second = await newKey("second");
  const messages = await Promise.all(Array.from({ length: 5 }, () => prepare(ann, roomId, text("copies"))));
  const before = await countEvents(server.databaseUrl);
  const outcomes = await Promise.all(
    messages.map(async (message) => {
      const mine = { prepared: message.prepared, signatures: await signed(ann, key, message) };
      const rival = { prepared: message.prepared, signatures: await signed(ann, second, message) };
      return Promise.all([mine, rival, mine, rival, mine, rival].map((input) => outcome(ann, input)));
    }),
  );
  for (const [index, { json }] of messages.entries()) {
    const found = outcomes[index]!.map((each) => (each === json["event_id"] ? "sent" : each));
    const [winner, loser] = found[0] === "sent" ? [0, 1] : [1, 0];
    expect(found.filter((_, copy) => copy % 2 === winner)).toEqual(["sent", "sent", "sent"]);
    expect(found.filter((_, copy) => copy % 2 === loser)).toEqual(Array(3).fill("CONFLICT signatures"));
  }
  expect(await countEvents(server.databaseUrl)).toBe(before + messages.length);
  const mixed = await prepare(ann, roomId, text("mixed"));
  const input = { prepared: mixed.prepared, signatures: await signed(ann, key, mixed) };
  const sent = await Promise.all(
    Array.from({ length: 20 }, (_, index) => (index % 2 ? outcome(ann, input) : bob.send(roomId, `beside ${index}`))),
  );
  expect(new Set(sent).size).toBe(11);
  expect(await countEvents(server.databaseUrl)).toBe(before + messages.length + 11);
});

test("[ACT-13] the second phase is authorised by the room as it is then", async () => {
  const room = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
  const bobs = await newKey("later");
  const ready = async (message: object): Promise<object> => {
    const prepared = await prepare(bob, room, message);
    return { prepared: prepared.prepared, signatures: await signed(bob, bobs, prepared) };
  };
  const parent = await bob.send(room, "parent");
  const edit = await ready({ ...text("edit"), updates: parent });
  const plain = await ready(text("plain"));
  await bob.redact(parent);
  expect(await outcome(bob, edit)).toBe("BAD_INPUT prepared.updates");
  await ann.membership("kick", room, bob.userId);
  expect(await outcome(bob, plain)).toBe("FORBIDDEN");
  await bob.join(room);
  expect(await outcome(bob, plain)).toMatch(/^\$/);
});

test("[ACT-13] [ACT-15] what is sent so can be kept off the own stream", async () => {
  const follow = await ann.follow();
  const message = await prepare(ann, roomId, text("quiet"));
  const input = { prepared: message.prepared, signatures: await signed(ann, key, message), suppressOnStream: true };
  const id = await outcome(ann, input);
  await follow.sees(await ann.send(roomId, "loud"));
  expect(follow.events.map((event) => event.id)).not.toContain(id);
  follow.stop();
});

test("[ACT-13] [EV-8] what may be prepared can be sent with a signature, over HTTP and over a WebSocket", async () => {
  const largest = async (): Promise<Prepared> => {
    // Quotes, which grow when they are put into a text again.
    let [fits, tooLarge] = [1, 40_000];
    while (tooLarge - fits > 1) {
      const middle = (fits + tooLarge) >> 1;
      const code = await ann.code(prepareDocument, { input: { roomId, message: text('"'.repeat(middle)) } });
      if (code === null) fits = middle;
      else tooLarge = middle;
    }
    return prepare(ann, roomId, text('"'.repeat(fits)));
  };
  const message = await largest();
  const name = `ed25519:${"n".repeat(247)}`;
  const signature = await key.sign(message.json);
  const more = Object.fromEntries(Array.from({ length: 19 }, (_, index) => [`ed25519:${index}`, signature]));
  const tooMany = { [ann.userId]: { [name]: signature, ...more } };
  expect(await outcome(ann, { prepared: message.prepared, signatures: tooMany })).toBe("TOO_LARGE signatures");
  const input = { prepared: message.prepared, signatures: { [ann.userId]: { [name]: signature } } };
  const answer = await new Promise<unknown>((resolve, reject) => {
    ann.socket.subscribe(
      { query: sendDocument, variables: { input } },
      { next: resolve, error: reject, complete: () => undefined },
    );
  });
  expect(answer).toMatchObject({ data: { sendPreparedMessage: { event: { id: message.json["event_id"] } } } });
  expect(await outcome(ann, input)).toBe(message.json["event_id"]);
});
