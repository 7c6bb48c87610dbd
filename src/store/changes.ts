import type { StoredEvent } from "../model/event.ts";
import { groupBy } from "../model/groupBy.ts";
import type { Place } from "../model/order.ts";
import type { Span } from "../model/room.ts";
import type { Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventOfRow, type EventRow } from "./rows.ts";
import { Parameters, patternsCondition, selectionCondition } from "./selection.ts";

/** SQL of the parents that the filter bundles `event` into; null where it bundles no relations. [REL-3] */
function bundledParents({ hidesRelations }: Selection, parameters: Parameters): string | null {
  if (hidesRelations === null) return null;
  const matching = patternsCondition("relation ->> 'type'", hidesRelations, parameters);
  return `SELECT relation ->> 'event_id' FROM jsonb_array_elements(event.relates_to::jsonb) AS relation
    WHERE event.relates_to IS NOT NULL ${matching === "" ? "" : `AND ${matching}`}`;
}

export interface ChangesRequest {
  rooms: readonly {
    roomId: string;
    /** What the reader may see: of the events, and of what updates them. */
    spans: readonly Span[];
    /** Changes after this position up to `to`, of events up to it. */
    since: number;
    to: number;
  }[];
  selection: Selection;
  /** Places at or before this one are left out. */
  after: Place | null;
  limit: number;
}

/**
 * Events from before a position that were updated or redacted after it, in the rooms' order: up to `limit` + 1 for each.
 * Where the filter bundles, the event that a changed or a new one is bundled in stands for it. [SYN-11, REL-3]
 */
export async function changedEvents(connection: Connection, request: ChangesRequest): Promise<StoredEvent[][]> {
  const { rooms, selection, after, limit } = request;
  const parameters = new Parameters();
  const unnested = [
    parameters.add(
      rooms.map((_room, n) => n),
      "integer[]",
    ),
    parameters.add(
      rooms.map(({ roomId }) => roomId),
      "text[]",
    ),
    parameters.add(
      rooms.map(({ since }) => since),
      "bigint[]",
    ),
    parameters.add(
      rooms.map(({ to }) => to),
      "bigint[]",
    ),
  ].join(", ");
  const spans = rooms.flatMap(({ spans }, n) => spans.map((span) => ({ n, ...span })));
  const unnestedSpans = [
    parameters.add(
      spans.map(({ n }) => n),
      "integer[]",
    ),
    parameters.add(
      spans.map(({ from }) => from),
      "bigint[]",
    ),
    parameters.add(
      spans.map(({ to }) => to ?? Number.MAX_SAFE_INTEGER),
      "bigint[]",
    ),
  ].join(", ");
  const visibleIn = (n: string): string => `EXISTS (
    SELECT FROM span WHERE span.n = ${n} AND event.major >= span.low AND (event.major, event.minor) <= (span.high, ''::bytea))`;
  const condition = selectionCondition(selection, parameters, { alone: true });
  const bundled = bundledParents(selection, parameters);
  const place = after === null ? null : [parameters.add(after.major, "bigint"), parameters.add(after.minor, "text")];
  const k = Math.trunc(limit) + 1;
  const rows = await query<EventRow & { n: number }>(
    connection,
    `WITH RECURSIVE room AS MATERIALIZED (
       SELECT * FROM unnest(${unnested}) AS room(n, room_id, since, until)
     ), span AS MATERIALIZED (
       SELECT * FROM unnest(${unnestedSpans}) AS span(n, low, high)
     ), line AS (
       SELECT room.n, room.since, change.target_id FROM room CROSS JOIN LATERAL (
         SELECT parent.event_id AS target_id FROM event
         CROSS JOIN LATERAL (
           SELECT coalesce(event.redacts_id, event.updates_id) AS event_id
           ${bundled === null ? "" : `UNION ALL ${bundled}`}
         ) AS parent
         WHERE event.room_id = room.room_id AND event.position > room.since AND event.position <= room.until
           AND (event.updates_id IS NOT NULL OR event.redacts_id IS NOT NULL OR event.relates_to IS NOT NULL)
           AND parent.event_id IS NOT NULL
           -- A redaction shows on what it redacts, wherever it stands itself.
           AND (event.redacts_id IS NOT NULL OR ${visibleIn("room.n")})
       ) AS change
       UNION
       SELECT line.n, line.since, parent.event_id FROM line JOIN event ON event.event_id = line.target_id
       CROSS JOIN LATERAL (
         SELECT event.updates_id AS event_id WHERE event.updates_id IS NOT NULL
         ${bundled === null ? "" : `UNION ALL ${bundled}`}
       ) AS parent
       WHERE ${visibleIn("line.n")}
     ), changed AS (
       SELECT line.n, event.position, row_number() OVER (PARTITION BY line.n ORDER BY event.major, event.minor) AS rank
       FROM line JOIN event ON event.event_id = line.target_id
       WHERE event.position <= line.since AND ${visibleIn("line.n")} ${condition === "" ? "" : `AND ${condition}`}
         ${place === null ? "" : `AND (event.major, event.minor) > (${place[0]}, decode(${place[1]}, 'hex'))`}
     )
     SELECT changed.n, found.* FROM changed
     CROSS JOIN LATERAL (SELECT ${eventColumns} FROM event WHERE event.position = changed.position LIMIT 1) AS found
     WHERE changed.rank <= ${k} ORDER BY changed.n, changed.rank`,
    ...parameters.values,
  );
  const found = groupBy(rows, (row) => row.n);
  return rooms.map((_room, n) => (found.get(n) ?? []).map(eventOfRow));
}
