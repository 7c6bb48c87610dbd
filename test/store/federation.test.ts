import { createHash } from "node:crypto";
import { verifyAsync } from "@noble/ed25519";
import canonicalize from "canonicalize";
import { afterAll, beforeAll, expect, test } from "vitest";
import { federationEvents } from "../../src/domain/reading/federation.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { comparePlaces } from "../../src/model/order.ts";
import { createSigner } from "../../src/model/signing.ts";
import { openDatabase } from "../../src/store/database.ts";
import { eventsById } from "../../src/store/events.ts";
import { federationContexts } from "../../src/store/federation.ts";
import { freshDatabase, startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { pagesOf, watchPlans } from "../kit/plans.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
beforeAll(async () => {
  // No mirrors: it inserts state that is in force into the past, past all rules, as no action does.
  server = await startApp({ mirrors: false });
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

/** The events of rooms in the rooms' order. */
async function eventsOf(...roomIds: string[]): Promise<StoredEvent[]> {
  const rows = await sql<{ event_id: string }>(
    server.databaseUrl,
    "SELECT event_id FROM event WHERE room_id = ANY ($1)",
    [roomIds],
  );
  const events = await eventsById(
    server.database.reader,
    rows.map((row) => row.event_id),
  );
  return events.sort((a, b) => comparePlaces(a.place, b.place));
}

async function contextOf(eventId: string): Promise<{ prevEvents: string[]; authEvents: string[] }> {
  const [event] = await eventsById(server.database.reader, [eventId]);
  return (await federationContexts(server.database.reader, [event!])).get(eventId)!;
}

/** The id of the event that holds a slot now. */
async function holder(roomId: string, type: string, stateKey = "_"): Promise<string> {
  const rows = await sql<{ event_id: string }>(
    server.databaseUrl,
    "SELECT event_id FROM current_state WHERE room_id = $1 AND type = $2 AND state_key = $3 AND NOT deleted",
    [roomId, type, stateKey],
  );
  return rows[0]!.event_id;
}

/** Puts an event at a place after a live one, as a bridge that fills in history will. */
async function insert(
  after: StoredEvent,
  minor: string,
  state: { type: string; stateKey: string; inForce: boolean } | null = null,
): Promise<string> {
  const eventId = `$inserted-${minor}-${after.eventId.slice(1)}`;
  await sql(
    server.databaseUrl,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content, in_force,
       inserted_after_id)
     VALUES (nextval('stream_position'), $1, $2, $3, decode($4, 'hex'), $5, $6, $7, 0, '{}', $8, $9)`,
    [
      ...[eventId, after.roomId, after.place.major, minor, state?.type ?? "m.room.message", state?.stateKey],
      ...[alice.userId, state?.inForce ?? true, after.eventId],
    ],
  );
  return eventId;
}

test("[EV-6] the first event of a room has neither previous nor authorising events", async () => {
  // Another room's events don't count, though they come before.
  await alice.createRoom();
  const [first, second, third] = await eventsOf(await alice.createRoom());
  expect(await contextOf(first!.eventId)).toEqual({ prevEvents: [], authEvents: [] });
  expect(await contextOf(second!.eventId)).toEqual({ prevEvents: [first!.eventId], authEvents: [first!.eventId] });
  expect(await contextOf(third!.eventId)).toEqual({
    prevEvents: [second!.eventId],
    authEvents: [first!.eventId, second!.eventId],
  });
});

test("[EV-6] messages, state and memberships name the event before and what authorises them", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const create = await holder(room, "m.room.create");
  const rules = await holder(room, "m.room.join_rules");
  const firstPowers = await holder(room, "m.room.power_levels");
  const newest = (await eventsOf(room)).at(-1)!.eventId;

  const joined = await bob.join(room);
  expect(await contextOf(joined)).toEqual({ prevEvents: [newest], authEvents: [create, firstPowers, rules] });
  const powers = await alice.setState(room, "m.room.power_levels", { users: { [alice.userId]: 100 }, kick: 60 });
  const aliceJoined = await holder(room, "m.room.member", alice.userId);
  expect(await contextOf(powers)).toEqual({ prevEvents: [joined], authEvents: [create, firstPowers, aliceJoined] });
  const said = await bob.send(room, "hello");
  expect(await contextOf(said)).toEqual({ prevEvents: [powers], authEvents: [create, powers, joined] });
  const kicked = await alice.membership("kick", room, bob.userId);
  expect(await contextOf(kicked)).toEqual({
    prevEvents: [said],
    authEvents: [create, powers, aliceJoined, rules, joined],
  });
  const back = await bob.join(room);
  expect(await contextOf(back)).toEqual({ prevEvents: [kicked], authEvents: [create, powers, kicked, rules] });
});

test("[EV-6] [EV-5] an event of the server itself has no member behind it", async () => {
  const room = await alice.createRoom({ alias: "#federation:localhost" });
  const { authEvents } = await contextOf(await holder(room, "m.room.aliases", "localhost"));
  expect(authEvents).toEqual([await holder(room, "m.room.create"), await holder(room, "m.room.power_levels")]);
});

test("[EV-6] [ACT-9] a slot that was deleted authorises nothing, until it is filled again", async () => {
  const room = await alice.createRoom();
  const invited = await alice.membership("invite", room, bob.userId);
  await bob.do("mutation ($id: ID!) { rejectInvite(input: { eventId: $id }) { event { id } } }", { id: invited });
  const again = await alice.membership("invite", room, bob.userId);
  const others = [
    await holder(room, "m.room.create"),
    await holder(room, "m.room.power_levels"),
    await holder(room, "m.room.member", alice.userId),
    await holder(room, "m.room.join_rules"),
  ];
  expect((await contextOf(again)).authEvents).toEqual(others);
  const kicked = await alice.membership("kick", room, bob.userId);
  expect((await contextOf(kicked)).authEvents).toEqual([...others, again]);
});

test("[EV-6] inserted events follow what they were inserted after, and no live event follows them", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const before = await alice.send(room, "before");
  const powers = await alice.setState(room, "m.room.power_levels", { users: { [alice.userId]: 100 }, kick: 70 });
  const after = await alice.send(room, "after");
  const known = await eventsOf(room);
  const contexts = await federationContexts(server.database.reader, known);

  const [beforeEvent, powersEvent] = [before, powers].map((id) => known.find((event) => event.eventId === id)!);
  const early = await insert(beforeEvent!, "8100");
  const late = await insert(powersEvent!, "8100");
  const later = await insert(powersEvent!, "8101");
  // Inserted state that is not in force authorises nothing.
  await insert(powersEvent!, "8102", { type: "m.room.power_levels", stateKey: "_", inForce: false });
  // Were it in force, it would authorise what follows, but not what it was inserted after.
  const slot = { type: "m.room.power_levels", stateKey: "_", inForce: true };
  await insert(
    known.find((event) => event.eventId === after)!,
    "8100",
    slot,
  );

  const oldPowers = known.find((event) => event.type === "m.room.power_levels")!.eventId;
  const create = await holder(room, "m.room.create");
  const joined = await holder(room, "m.room.member", alice.userId);
  expect(await contextOf(early)).toEqual({ prevEvents: [before], authEvents: [create, oldPowers, joined] });
  expect(await contextOf(late)).toEqual({ prevEvents: [powers], authEvents: [create, powers, joined] });
  expect(await contextOf(later)).toEqual({ prevEvents: [powers], authEvents: [create, powers, joined] });
  expect(await contextOf(after)).toEqual({ prevEvents: [powers], authEvents: [create, powers, joined] });
  expect(await federationContexts(server.database.reader, known)).toEqual(contexts);
});

/** What every event of a room names, told by walking through the room with its state in hand. */
function contextsByTheBook(events: StoredEvent[]): Map<string, { prevEvents: string[]; authEvents: string[] }> {
  const state = new Map<string, string>();
  const contexts = new Map<string, { prevEvents: string[]; authEvents: string[] }>();
  events.forEach((event, index) => {
    const slots = ["m.room.create/_", "m.room.power_levels/_", `m.room.member/${event.sender}`];
    if (event.type === "m.room.member") slots.push("m.room.join_rules/_", `m.room.member/${event.stateKey}`);
    const held = slots.flatMap((slot) => state.get(slot) ?? []);
    contexts.set(event.eventId, {
      prevEvents: events
        .slice(0, index)
        .slice(-1)
        .map((previous) => previous.eventId),
      authEvents: [...new Set(held)],
    });
    if (event.stateKey === null) return;
    if (event.content === null) state.delete(`${event.type}/${event.stateKey}`);
    else state.set(`${event.type}/${event.stateKey}`, event.eventId);
  });
  return contexts;
}

test("[EV-6] many events of several rooms take one statement, and what later happens changes nothing", async () => {
  const rooms = [await alice.createRoom({ joinRule: "PUBLIC" }), await alice.createRoom({ joinRule: "PUBLIC" })];
  const happen = async (): Promise<void> => {
    for (const [index, room] of [...rooms, ...rooms].entries()) {
      await bob.join(room);
      await bob.send(room, "hello");
      await alice.setState(room, "m.room.power_levels", { users: { [alice.userId]: 100 }, kick: 50 + index });
      await alice.setState(room, "m.room.join_rules", { join_rule: "public" });
      await alice.send(room, "hello yourself");
      await bob.leave(room);
    }
  };
  await happen();
  const early = await Promise.all(rooms.map((room) => eventsOf(room)));
  const expected = new Map(early.flatMap((events) => [...contextsByTheBook(events)]));
  expect(expected.size).toBeGreaterThan(30);

  const sent = server.database.statements();
  const contexts = await federationContexts(server.database.reader, early.flat());
  expect(server.database.statements()).toBe(sent + 1);
  expect(contexts).toEqual(expected);
  await happen();
  expect(await federationContexts(server.database.reader, early.flat())).toEqual(expected);
});

test("[EV-6] events are rendered in the order asked for, and verify with an independent implementation", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(room);
  const regretted = await bob.send(room, "regretted");
  const last = (await eventsOf(room)).at(-1)!;
  await insert(last, "8100");
  const redact = "mutation ($id: ID!) { redactEvent(input: { eventId: $id }) { event { id } } }";
  await bob.do(redact, { id: regretted });

  const signer = createSigner(Buffer.alloc(32, 5), "localhost");
  // One comes twice, as it may where a page and an answer share a request.
  const backwards = (await eventsOf(room)).reverse();
  const events = [...backwards, backwards[0]!];
  const documents = await federationEvents({ connection: server.database.reader }, signer, events);
  expect(documents.map((document) => document["event_id"])).toEqual(events.map((event) => event.eventId));
  expect(documents.find((document) => document["event_id"] === regretted)).toMatchObject({
    content: {},
    unsigned: { redacted_by: documents[0]!["event_id"] },
  });

  expect(documents.at(-1)).toMatchObject({ event_id: backwards[0]!.eventId, prev_events: [regretted] });

  const depths = new Map(documents.map((document) => [document["event_id"], document["depth"] as number]));
  for (const document of documents) {
    const { signatures, unsigned: _unsigned, ...signed } = document;
    const { hashes, ...hashed } = signed;
    const sha256 = createHash("sha256").update(canonicalize(hashed)!).digest("base64").replace("=", "");
    expect(hashes).toEqual({ sha256 });
    const signature = (signatures as Record<string, Record<string, string>>)["localhost"]![signer.keyId]!;
    const [signatureBytes, keyBytes] = [signature, signer.publicKey].map((text) => Buffer.from(text, "base64"));
    const signedBytes = new TextEncoder().encode(canonicalize(signed));
    expect(await verifyAsync(signatureBytes!, signedBytes, keyBytes!)).toBe(true);
    for (const previous of document["prev_events"] as string[]) {
      expect(depths.get(previous)).toBeLessThan(document["depth"] as number);
    }
  }
});

test("[EV-6] contexts cost a few probes each, however many events the room and its slots have", async () => {
  const url = await freshDatabase();
  const columns = "position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content";
  // Every third event moves the power levels; the messages in between are inserted ones.
  await sql(
    url,
    `INSERT INTO event (${columns}, inserted_after_id)
     SELECT n, '$' || n, '!large:x', n - n % 3, CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN '\\x8100' ELSE '\\x8101' END::bytea,
       CASE n % 3 WHEN 0 THEN 'm.room.power_levels' ELSE 'm.room.message' END, CASE n % 3 WHEN 0 THEN '_' END,
       '@a:x', n, '{}', CASE n % 3 WHEN 0 THEN NULL ELSE '$' || n - n % 3 END FROM generate_series(3, 30002) AS n`,
  );
  await sql(
    url,
    `INSERT INTO event (${columns}, inserted_after_id)
     SELECT n, '$' || n, '!large:x', 30000, decode('82' || lpad(to_hex(n), 4, '0'), 'hex'), 'm.room.message', NULL,
       '@a:x', n, '{}', '$30000' FROM generate_series(30004, 50003) AS n`,
  );
  await sql(
    url,
    `INSERT INTO event (${columns}) VALUES (60000, '$60000', '!large:x', 60000, '', 'm.room.message', NULL, '@a:x', 1, '{}')`,
  );
  await sql(url, "VACUUM ANALYZE event");
  const database = openDatabase(url, { readers: 1 });
  for (const [eventId, prev, powers] of [
    ["$300", "$297", "$297"],
    ["$15001", "$15000", "$15000"],
    ["$29999", "$29997", "$29997"],
    ["$60000", "$30000", "$30000"],
  ] as const) {
    const events = await eventsById(database.reader, [eventId]);
    const { connection, plans } = watchPlans(database.reader);
    const contexts = await federationContexts(connection, events);
    expect(contexts).toEqual(new Map([[eventId, { prevEvents: [prev], authEvents: [powers] }]]));
    expect(pagesOf(plans)).toBeLessThan(40);
  }
  await database.close();
});
