/** What the simulation has found, each in its smallest form. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { redactEvent } from "../../src/domain/actions/redactEvent.ts";
import { eventsById } from "../../src/store/events.ts";
import { rejectEvent } from "../../src/domain/actions/rejectEvent.ts";
import { sendMessages } from "../../src/domain/actions/sendMessages.ts";
import { setState } from "../../src/domain/actions/setStates.ts";
import type { ActionTools } from "../../src/domain/actions/act.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { sql } from "../kit/database.ts";

let server: TestApp;
beforeAll(async () => {
  server = await startApp();
});
afterAll(() => server.close());

// The two came in one batch, and the stored event named the second.
test("[ACT-14] of redactions at once the first counts, in reads as on the stream", async () => {
  const alice = await server.user("alice");
  const room = await alice.createRoom();
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: false, tokenId: "" };
  const { tools } = server.app.domain;
  const messages = Array.from({ length: 100 }, () => ({ content: { text: { body: "regretted" } } }));
  let sent: StoredEvent[] = [];
  // Which of the two the database took depended on its plan, and that on how much there was.
  for (let count = 0; count < 20; count++) sent = await sendMessages(tools, requester, { roomId: room, messages });
  await sql(server.databaseUrl, "ANALYZE");
  const redact = (eventId: string): Promise<StoredEvent> => redactEvent(tools, requester, { eventId });
  for (const { eventId } of sent.slice(0, 20)) {
    const redactions = await Promise.all([redact(eventId), redact(eventId)]);
    const [first] = redactions.toSorted((one, other) => one.position - other.position);
    const [stored] = await eventsById(server.database.reader, [eventId]);
    expect(stored?.redactedById).toBe(first!.eventId);
  }
});

/** Tools by which something else happens after the first thing was planned, straight before it is appended. */
function interrupted(tools: ActionTools, by: () => Promise<unknown>): ActionTools {
  const { append, appendLocked } = tools.writer;
  return {
    ...tools,
    writer: {
      ...tools.writer,
      append: (unit) => by().then(() => append(unit)),
      appendLocked: (prepare) => by().then(() => appendLocked(prepare)),
    },
  };
}

// State of other types than authorisation reads moves no version of the room, by which the writer could have told.
test("[EVS-7] state that is set while what it follows is rejected stays", async () => {
  const alice = await server.user("setting");
  const room = await alice.createRoom();
  const { tools } = server.app.domain;
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: true, tokenId: "" };
  const topic = (text: string): Promise<StoredEvent> =>
    setState(tools, requester, { roomId: room, type: "m.room.topic", content: { topic: text } });
  const wrong = await topic("wrong");
  const meanwhile = interrupted(tools, () => topic("meanwhile"));
  const { restored } = await rejectEvent(meanwhile, requester, { eventId: wrong.eventId });
  expect(restored).toBeNull();
  expect(await alice.do("query ($room: ID!) { room(id: $room) { topic } }", { room })).toEqual({
    room: { topic: "meanwhile" },
  });
});

test("[EVS-7] a rejection doesn't restore what is rejected at the same time", async () => {
  const alice = await server.user("rejecting");
  const room = await alice.createRoom();
  const { tools } = server.app.domain;
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: true, tokenId: "" };
  const visibility = (history_visibility: string): Promise<StoredEvent> =>
    setState(tools, requester, { roomId: room, type: "m.room.history_visibility", content: { history_visibility } });
  await visibility("joined");
  const [first, second] = [await visibility("shared"), await visibility("world_readable")];
  const meanwhile = interrupted(tools, () => rejectEvent(tools, requester, { eventId: first.eventId }));
  const { restored } = await rejectEvent(meanwhile, requester, { eventId: second.eventId });
  expect(restored?.content).toBe('{"history_visibility":"joined"}');
});
