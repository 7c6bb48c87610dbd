import type { Place } from "../model/order.ts";
import type { Span } from "../model/room.ts";
import type { Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { Parameters, selectionCondition } from "./selection.ts";

export interface OverviewRequest {
  roomId: string;
  spans: readonly Span[];
  head: number;
  selection: Selection;
  perPage: number;
}

/** How many events a room has under a filter, and the place of every `perPage`th of them, oldest first. [OVR-1] */
export async function pageEnds(
  connection: Connection,
  { roomId, spans, head, selection, perPage }: OverviewRequest,
): Promise<{ total: number; ends: Place[] }> {
  const parameters = new Parameters();
  const unnested = [
    parameters.add(
      spans.map(({ from }) => from),
      "bigint[]",
    ),
    parameters.add(
      spans.map(({ to }) => to ?? Number.MAX_SAFE_INTEGER),
      "bigint[]",
    ),
  ].join(", ");
  const condition = selectionCondition(selection, parameters, { alone: true });
  const [row] = await query<{ total: number; ends: [number, string][] | null }>(
    connection,
    `SELECT count(*)::integer AS total,
       json_agg(json_build_array(major, encode(minor, 'hex')) ORDER BY number)
         FILTER (WHERE number % ${parameters.add(perPage, "integer")} = 0) AS ends
     FROM (
       SELECT event.major, event.minor, row_number() OVER (ORDER BY event.major, event.minor) AS number
       FROM unnest(${unnested}) AS span(low, high)
       CROSS JOIN LATERAL (
         SELECT event.major, event.minor FROM event
         WHERE event.room_id = ${parameters.add(roomId, "text")}
           AND (event.major, event.minor) >= (span.low, ''::bytea) AND (event.major, event.minor) <= (span.high, ''::bytea)
           AND event.position <= ${parameters.add(head, "bigint")} ${condition === "" ? "" : `AND ${condition}`}
         ORDER BY event.major, event.minor OFFSET 0
       ) AS event
     ) AS listed`,
    ...parameters.values,
  );
  return { total: row!.total, ends: (row!.ends ?? []).map(([major, minor]) => ({ major, minor })) };
}
