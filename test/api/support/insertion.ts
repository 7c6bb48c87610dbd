import type { Place } from "../../../src/model/order.ts";
import { placeBetween } from "../../../src/model/order.ts";
import type { TestApp } from "../../kit/app.ts";
import { sql } from "../../kit/database.ts";

/** Inserts a message straight after an event, as bridges do with history; gives the new event's id. [EVS-6] */
export async function insertAfter(server: TestApp, roomId: string, afterId: string, body: string): Promise<string> {
  const place = await placeAfter(server, roomId, afterId);
  const [room] = await sql<{ version: string }>(
    server.databaseUrl,
    "SELECT auth_version AS version FROM room WHERE room_id = $1",
    [roomId],
  );
  const eventId = `$inserted-${place.major}-${place.minor}`;
  const outcome = await server.app.domain.tools.writer.append({
    roomId,
    version: Number(room!.version),
    ...{ nextVersion: null, newRoom: null, action: null, answerIds: [eventId] },
    events: [
      {
        ...{
          eventId,
          place,
          insertedAfterId: afterId,
          sentAt: 1000,
          device: null,
          suppressed: false,
          authVersion: null,
        },
        ...{
          type: "m.room.message",
          sender: "@history:localhost",
          content: JSON.stringify({ body, msgtype: "m.text" }),
        },
      },
    ],
  });
  if (outcome.outcome !== "appended") throw new Error(`the insertion was ${outcome.outcome}`);
  return eventId;
}

async function placeAfter(server: TestApp, roomId: string, eventId: string): Promise<Place> {
  const rows = await sql<{ major: string; minor: string; event_id: string }>(
    server.databaseUrl,
    "SELECT major, encode(minor, 'hex') AS minor, event_id FROM event WHERE room_id = $1 ORDER BY event.major, event.minor",
    [roomId],
  );
  const index = rows.findIndex((row) => row.event_id === eventId);
  const placeOf = (row: (typeof rows)[number] | undefined): Place | null =>
    row ? { major: Number(row.major), minor: row.minor } : null;
  return placeBetween(placeOf(rows[index])!, placeOf(rows[index + 1]));
}
