import type { StoredEvent } from "../model/event.ts";
import { groupBy } from "../model/groupBy.ts";
import { comparePlaces, justAfter, type Place } from "../model/order.ts";
import type { Span } from "../model/room.ts";
import { exactTexts, passes } from "../model/patterns.ts";
import { exactTypes, takesAllTypes, type Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventsOfJson } from "./rows.ts";
import { Parameters, selectionCondition } from "./selection.ts";

/** Beyond every position: the end of a span that has none. */
const endless = Number.MAX_SAFE_INTEGER;
/** A room with more types than this is read in its own order, since probing all of them would cost more. */
const maxProbedTypes = 200;

export interface RoomRequest {
  roomId: string;
  /** What the reader may see. */
  spans: readonly Span[];
  /** Exclusive; null is the end that the direction starts from. */
  from: Place | null;
}

export interface PagesRequest {
  rooms: readonly RoomRequest[];
  /** Nothing beyond this stream position. */
  head: number;
  direction: "before" | "after";
  limit: number;
  selection: Selection;
}

/** A page as it came from the store: read into events only when somebody looks, since a sync has a thousand of them. */
export interface EventPage {
  /** Whether there is more in the page's direction. */
  more: boolean;
  /** Up to `limit` events, oldest first. */
  count: number;
  events(): StoredEvent[];
}

/** One index probe: a span of a room, of one type or sender if the page is looked for by those. */
interface Probe {
  n: number;
  roomId: string;
  low: Place;
  high: Place;
  message: boolean;
  text: string;
}

type Way = "order" | "type" | "sender";

/**
 * A page of each of these rooms: up to `limit` events that the reader may see and the filter lets through, next to a
 * place, oldest first. At most three statements, however many rooms there are. Each span is probed by an index, by type
 * or sender where the filter names or implies them, so that the cost depends on neither the size of the room, nor on how
 * much of it is hidden, nor on how rare the type is. [SCR-1, SCR-3, FIL-7, EV-9]
 */
export async function eventPages(connection: Connection, request: PagesRequest): Promise<EventPage[]> {
  const probes = await probesOf(connection, request);
  const pages: EventPage[] = request.rooms.map(() => ({ more: false, count: 0, events: () => [] }));
  for (const way of ["order", "type", "sender"] as const) {
    if (probes[way].length === 0) continue;
    for (const { n, count, events } of await findPages(connection, way, probes[way], request)) {
      pages[n] = pageOf(count, events, request);
    }
  }
  return pages;
}

function pageOf(count: number, json: string, { limit, direction }: PagesRequest): EventPage {
  const more = count > limit;
  return {
    more,
    count: Math.min(count, limit),
    events() {
      const events = eventsOfJson(json);
      if (!more) return events;
      return direction === "before" ? events.slice(1) : events.slice(0, limit);
    },
  };
}

/** How the rooms' spans are best looked through: in order, by each type that can pass, or by each sender. */
async function probesOf(connection: Connection, request: PagesRequest): Promise<Record<Way, Probe[]>> {
  const { selection } = request;
  const spans = request.rooms.flatMap((room, n) =>
    room.spans.map((span) => ({
      n,
      roomId: room.roomId,
      ...boundsOf(span, room.from, request),
      message: true,
      text: "",
    })),
  );
  const senders = exactTexts(selection.senders);
  if (senders !== null) {
    return { order: [], type: [], sender: spans.flatMap((span) => senders.map((text) => ({ ...span, text }))) };
  }
  if (takesAllTypes(selection)) return { order: spans, type: [], sender: [] };
  const exact = exactTypes(selection);
  const typesOf = exact === null ? await typesOfRooms(connection, request) : () => exact;
  const order: Probe[] = [];
  const type: Probe[] = [];
  for (const span of spans) {
    const types = typesOf(span.roomId);
    if (types === null) order.push(span);
    else type.push(...types.map(({ message, type: text }) => ({ ...span, message, text })));
  }
  return { order, type, sender: [] };
}

/**
 * A span cut at the place that the page starts from and at the head: one lower and one upper bound. With two of a kind
 * PostgreSQL would begin at the span's end and walk to the place, through half a million events if need be.
 */
function boundsOf(
  span: Span,
  from: Place | null,
  { direction, head }: Pick<PagesRequest, "direction" | "head">,
): { low: Place; high: Place } {
  const low = { major: span.from, minor: "" };
  const end = justAfter({ major: span.to ?? endless, minor: "" });
  const beyondHead = { major: head + 1, minor: "" };
  const high = comparePlaces(end, beyondHead) < 0 ? end : beyondHead;
  if (from === null) return { low, high };
  if (direction === "before") return { low, high: comparePlaces(from, high) < 0 ? from : high };
  const next = justAfter(from);
  return { low: comparePlaces(next, low) > 0 ? next : low, high };
}

interface FoundPage {
  n: number;
  count: number;
  /** JSON of the events, oldest first. */
  events: string;
}

async function findPages(
  connection: Connection,
  way: Way,
  probes: readonly Probe[],
  request: PagesRequest,
): Promise<FoundPage[]> {
  const parameters = new Parameters();
  return query<FoundPage>(
    connection,
    `SELECT page.n, count(*)::integer AS count, json_agg(row_to_json(found) ORDER BY page.major, page.minor)::text AS events
     FROM (${hits(way, probes, request, parameters)}) AS page
     CROSS JOIN LATERAL (SELECT ${eventColumns} FROM event WHERE event.position = page.position LIMIT 1) AS found
     WHERE page.rank <= ${limitOf(request)} GROUP BY page.n`,
    ...parameters.values,
  );
}

/** One more than asked for, so that it shows whether there is more. A number in the text, so that the planner knows it. */
function limitOf({ limit }: PagesRequest): number {
  return Math.trunc(limit) + 1;
}

/**
 * SQL that gives what the probes find: n, position, major, minor and the rank within the page. The bounds and the order
 * begin with the column that is looked for, which only that index can serve: an equality would let the planner walk the
 * room's order instead.
 */
function hits(way: Way, probes: readonly Probe[], request: PagesRequest, parameters: Parameters): string {
  const { selection, head, direction } = request;
  const column = (valueOf: (probe: Probe) => unknown, type: string): string =>
    parameters.add(probes.map(valueOf), `${type}[]`);
  const unnested = [
    column(({ n }) => n, "integer"),
    column(({ roomId }) => roomId, "text"),
    column(({ low }) => low.major, "bigint"),
    column(({ low }) => low.minor, "text"),
    column(({ high }) => high.major, "bigint"),
    column(({ high }) => high.minor, "text"),
    column(({ message }) => message, "boolean"),
    column(({ text }) => text, "text"),
  ].join(", ");
  const order = direction === "before" ? "DESC" : "ASC";
  const condition = selectionCondition(selection, parameters, { alone: true });
  const [column1, value1, order1] = {
    order: ["", "", ""],
    type: ["event.type, ", "probe.looked_for, ", `event.type ${order}, `],
    sender: ["event.sender, ", "probe.looked_for, ", `event.sender ${order}, `],
  }[way] as [string, string, string];
  return `
    SELECT probe.n, hit.*, row_number() OVER (PARTITION BY probe.n ORDER BY hit.major ${order}, hit.minor ${order}) AS rank
    FROM unnest(${unnested}) AS probe(n, room_id, low, low_minor, high, high_minor, message, looked_for)
    CROSS JOIN LATERAL (
      SELECT event.position, event.major, event.minor FROM event
      WHERE event.room_id = probe.room_id ${way === "type" ? "AND (event.state_key IS NULL) = probe.message" : ""}
        AND (${column1}event.major, event.minor) >= (${value1}probe.low, decode(probe.low_minor, 'hex'))
        AND (${column1}event.major, event.minor) < (${value1}probe.high, decode(probe.high_minor, 'hex'))
        AND event.position <= ${parameters.add(head, "bigint")} ${condition === "" ? "" : `AND ${condition}`}
      ORDER BY ${order1}event.major ${order}, event.minor ${order} LIMIT ${limitOf(request)}
    ) AS hit`;
}

/** About how many events lie before a place, told from the nearest `limit` of them: exactly, if they are no more. [SCR-5] */
export interface Estimate {
  /** At most one more than `limit`. */
  counted: number;
  /** The stream position of the farthest of them, and of the room's first event. */
  farthest: number;
  first: number;
}

/** What estimates are made of, for each of these rooms that has events there; at most three statements. [SCR-5] */
export async function countNearest(connection: Connection, request: PagesRequest): Promise<Map<number, Estimate>> {
  const probes = await probesOf(connection, request);
  const estimates = new Map<number, Estimate>();
  for (const way of ["order", "type", "sender"] as const) {
    if (probes[way].length === 0) continue;
    const parameters = new Parameters();
    const rows = await query<Estimate & { n: number }>(
      connection,
      `SELECT page.n, count(*)::integer AS counted, min(page.major)::float8 AS farthest,
         (SELECT event.major::float8 FROM event WHERE event.room_id = ($2::text[])[array_position($1::integer[], page.n)]
          ORDER BY event.major, event.minor LIMIT 1) AS first
       FROM (${hits(way, probes[way], request, parameters)}) AS page
       WHERE page.rank <= ${limitOf(request)} GROUP BY page.n`,
      ...parameters.values,
    );
    for (const { n, ...estimate } of rows) estimates.set(n, estimate);
  }
  return estimates;
}

/**
 * The types that occur in rooms and pass the filter, by one index probe per type; null for rooms with too many to probe.
 */
async function typesOfRooms(
  connection: Connection,
  { rooms, selection }: PagesRequest,
): Promise<(roomId: string) => { message: boolean; type: string }[] | null> {
  const next = "SELECT (event.state_key IS NULL) AS message, event.type FROM event WHERE event.room_id = room.room_id";
  const rows = await query<{ room_id: string; message: boolean; type: string }>(
    connection,
    `SELECT room.room_id, found.message, found.type FROM unnest($1::text[]) AS room(room_id)
     CROSS JOIN LATERAL (
       WITH RECURSIVE walk AS (
         (${next} ORDER BY (event.state_key IS NULL), event.type LIMIT 1)
         UNION ALL
         SELECT following.* FROM walk CROSS JOIN LATERAL (
           ${next} AND ((event.state_key IS NULL), event.type) > (walk.message, walk.type)
           ORDER BY (event.state_key IS NULL), event.type LIMIT 1
         ) AS following
       )
       SELECT * FROM walk LIMIT ${maxProbedTypes + 1}
     ) AS found`,
    [...new Set(rooms.map((room) => room.roomId))],
  );
  const all = groupBy(rows, (row) => row.room_id);
  return (roomId) => {
    const types = all.get(roomId) ?? [];
    if (types.length > maxProbedTypes) return null;
    return types.filter(({ message, type }) => passes(selection.types[message ? "MESSAGE" : "STATE"], type));
  };
}
