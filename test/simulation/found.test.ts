/** What the simulation has found, each in its smallest form. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { redactEvent } from "../../src/domain/actions/redactEvent.ts";
import { eventsById } from "../../src/store/events.ts";
import { sendMessages } from "../../src/domain/actions/sendMessages.ts";
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
