import type { StoredEvent } from "../model/event.ts";
import { groupBy } from "../model/groupBy.ts";
import { comparePlaces, justAfter, type Place } from "../model/order.ts";
import type { UserId } from "../model/ids.ts";
import type { Span } from "../model/room.ts";
import { exactTexts, passes, type Patterns } from "../model/patterns.ts";
import { exactTypes, takesAllTypes, type Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { historyText } from "./rooms.ts";
import { eventList, eventsOfJson, listedColumns } from "./rows.ts";
import { Parameters, selectionCondition } from "./selection.ts";
import {
  maxProbedTypes,
  maxSenders,
  sendersInRooms,
  typesInRooms,
  typesOfSenders,
  type TypeName,
  type TypeOfSender,
} from "./occurring.ts";

/** Beyond every position: the end of a span that has none. */
const endless = Number.MAX_SAFE_INTEGER;
/** Types of senders that a room is probed by; more than these are no longer rare. */
const maxProbedPairs = 2000;
/** A room with more passing senders than this is not probed by them, since probing all of them would cost more. */
const maxProbedSenders = 100;

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
  /** The reader, where the page of one room is to say what decides what they may see of it. */
  reader?: UserId;
}

/** A page as it came from the store: read into events only when somebody looks, since a sync has a thousand of them. */
export interface EventPage {
  /** Whether there is more in the page's direction. */
  more: boolean;
  /** Up to `limit` events, oldest first. */
  count: number;
  events(): StoredEvent[];
  /** See `historyText`: as it stood when the events were read. Null where it wasn't asked for, or nothing was found. */
  history: string | null;
}

/** One index probe: a span of a room, of one type, or one type of one sender, if the page is looked for by those. */
interface Probe extends Partial<TypeOfSender> {
  n: number;
  roomId: string;
  low: Place;
  high: Place;
}

type Way = "order" | "type" | "sender";

/**
 * A page of each of these rooms: up to `limit` events that the reader may see and the filter lets through, next to a
 * place, oldest first. At most five statements, however many rooms there are. Each span is probed by an index, by type
 * or sender where the filter names or implies them, so that the cost depends on neither the size of the room, nor on how
 * much of it is hidden, nor on how rare the type is. [SCR-1, SCR-3, FIL-7, EV-9]
 */
export async function eventPages(connection: Connection, request: PagesRequest): Promise<EventPage[]> {
  const probes = await probesOf(connection, request);
  const pages: EventPage[] = request.rooms.map(() => ({ more: false, count: 0, events: () => [], history: null }));
  for (const way of ["order", "type", "sender"] as const) {
    if (probes[way].length === 0) continue;
    for (const found of await findPages(connection, way, probes[way], request)) pages[found.n] = pageOf(found, request);
  }
  return pages;
}

function pageOf({ count, events: json, history }: FoundPage, { limit, direction }: PagesRequest): EventPage {
  const more = count > limit;
  return {
    ...{ more, history },
    count: Math.min(count, limit),
    events() {
      const events = eventsOfJson(json).slice(0, limit);
      return direction === "before" ? events.reverse() : events;
    },
  };
}

/** How the rooms' spans are best looked through: in order, by each type that can pass, or by each sender's types. */
async function probesOf(connection: Connection, request: PagesRequest): Promise<Record<Way, Probe[]>> {
  const probes: Record<Way, Probe[]> = { order: [], type: [], sender: [] };
  const namesOf = await namesOfRooms(connection, request);
  for (const [n, { roomId, spans, from }] of request.rooms.entries()) {
    const { way, names } = namesOf(roomId);
    for (const span of spans) {
      const bounds = { n, roomId, ...boundsOf(span, from, request) };
      probes[way].push(...names.map((name) => ({ ...bounds, ...name })));
    }
  }
  return probes;
}

/** What each room is probed by. Types and senders that a filter only describes are first made into names. */
async function namesOfRooms(
  connection: Connection,
  { rooms, selection }: PagesRequest,
): Promise<(roomId: string) => { way: Way; names: Partial<TypeOfSender>[] }> {
  const roomIds = [...new Set(rooms.map((room) => room.roomId))];
  const inOrder = { way: "order" as const, names: [{}] };
  const byType = await typesByRoom(connection, roomIds, selection);
  if (exactTexts(selection.senders) === null && !describesSome(selection.senders)) {
    return (roomId) => {
      const types = byType(roomId);
      return types === null ? inOrder : { way: "type", names: types };
    };
  }
  const bySender = await typesOfSendersByRoom(connection, roomIds, selection);
  return (roomId) => {
    const pairs = bySender(roomId);
    if (pairs !== null) return { way: "sender", names: pairs };
    const types = byType(roomId);
    return types === null ? inOrder : { way: "type", names: types };
  };
}

/** Null for rooms whose order is walked: because every type passes, or because they have too many to probe. */
async function typesByRoom(
  connection: Connection,
  roomIds: readonly string[],
  selection: Selection,
): Promise<(roomId: string) => TypeName[] | null> {
  if (takesAllTypes(selection)) return () => null;
  const exact = exactTypes(selection);
  if (exact !== null) return () => exact;
  // Where senders are named, their types are looked at instead.
  if (exactTexts(selection.senders) !== null) return () => null;
  const all = groupBy(await typesInRooms(connection, roomIds), (row) => row.roomId);
  return (roomId) => {
    const types = all.get(roomId) ?? [];
    if (types.length > maxProbedTypes) return null;
    return types.filter(({ message, type }) => passes(selection.types[message ? "MESSAGE" : "STATE"], type));
  };
}

/** Null for rooms where too many senders could pass. */
async function typesOfSendersByRoom(
  connection: Connection,
  roomIds: readonly string[],
  selection: Selection,
): Promise<(roomId: string) => TypeOfSender[] | null> {
  const exact = exactTexts(selection.senders);
  const sendersIn = exact === null ? groupBy(await sendersInRooms(connection, roomIds), (row) => row.roomId) : null;
  const pairs = roomIds.flatMap((roomId) => {
    const senders = sendersIn === null ? exact! : (sendersIn.get(roomId) ?? []).map((row) => row.sender);
    const passing = senders.filter((sender) => passes(selection.senders, sender));
    const tooMany = passing.length > maxProbedSenders || (sendersIn !== null && senders.length > maxSenders);
    return tooMany ? [] : [{ roomId, senders: passing }];
  });
  const known = new Set(pairs.map(({ roomId }) => roomId));
  const all = groupBy(await typesOfSenders(connection, pairs), (row) => row.roomId);
  return (roomId) => {
    const pairs = all.get(roomId) ?? [];
    // A sender of more types than were looked at may have used others, too.
    const cut = [...groupBy(pairs, ({ sender }) => sender).values()].some((types) => types.length > maxProbedTypes);
    const passing = pairs.filter(({ message, type }) => passes(selection.types[message ? "MESSAGE" : "STATE"], type));
    return !known.has(roomId) || cut || passing.length > maxProbedPairs ? null : passing;
  };
}

/** Whether patterns describe what passes, rather than what doesn't: only then it may be rare. */
function describesSome({ included }: Patterns): boolean {
  return included !== null;
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
  /** As `eventsOfJson` reads them, the nearest to where the page begins first. */
  events: string;
  history: string | null;
}

function findPages(
  connection: Connection,
  way: Way,
  probes: readonly Probe[],
  request: PagesRequest,
): Promise<FoundPage[]> {
  const parameters = new Parameters();
  const gathered = `count(*)::integer AS count, ${eventList("found")} AS events`;
  const history = request.reader === undefined ? "NULL" : historyOf(request.rooms[0]!, request.reader, parameters);
  // A room with one probe, as most have, is a page as it comes; what several find is put in order.
  const alone = new Set(probes.map(({ n }) => n)).size === probes.length;
  return query<FoundPage>(
    connection,
    alone
      ? `SELECT probe.n, page.*, ${history} AS history FROM ${unnested(probes, parameters)}
         CROSS JOIN LATERAL (
           SELECT ${gathered} FROM (${hit(way, request, parameters, listedColumns)}) AS found
         ) AS page WHERE page.count > 0`
      : // What the probes find is carried along whole: each event is looked at once.
        `SELECT found.n, ${gathered}, ${history} AS history FROM (
           SELECT event.n, found.*
           FROM (${ranked(way, probes, request, parameters, "event.*")}) AS event
           CROSS JOIN LATERAL (SELECT ${listedColumns} OFFSET 0) AS found
           WHERE event.rank <= ${limitOf(request)} ORDER BY event.n, event.rank OFFSET 0
         ) AS found GROUP BY found.n`,
    ...parameters.values,
  );
}

function historyOf({ roomId }: RoomRequest, reader: UserId, parameters: Parameters): string {
  return historyText(parameters.add(roomId, "text"), parameters.add(reader, "text"));
}

/** One more than asked for, so that it shows whether there is more. A number in the text, so that the planner knows it. */
function limitOf({ limit }: PagesRequest): number {
  return Math.trunc(limit) + 1;
}

function unnested(probes: readonly Probe[], parameters: Parameters): string {
  const column = (valueOf: (probe: Probe) => unknown, type: string): string =>
    parameters.add(probes.map(valueOf), `${type}[]`);
  const columns = [
    column(({ n }) => n, "integer"),
    column(({ roomId }) => roomId, "text"),
    column(({ low }) => low.major, "bigint"),
    column(({ low }) => low.minor, "text"),
    column(({ high }) => high.major, "bigint"),
    column(({ high }) => high.minor, "text"),
    column(({ message }) => message ?? true, "boolean"),
    column(({ type }) => type ?? "", "text"),
    column(({ sender }) => sender ?? "", "text"),
  ];
  return `unnest(${columns.join(", ")}) AS probe(n, room_id, low, low_minor, high, high_minor, message, type, sender)`;
}

/**
 * SQL that gives what a `probe` finds, the nearest first. The bounds and the order begin with the columns that are looked
 * for, which only that index can serve: an equality would let the planner walk the room's order instead.
 */
function hit(way: Way, request: PagesRequest, parameters: Parameters, columns: string): string {
  const { selection, head } = request;
  const condition = selectionCondition(selection, parameters, { alone: true });
  const lookedFor = {
    order: [],
    type: [["event.type", "probe.type"]],
    sender: [
      ["event.sender", "probe.sender"],
      ["(event.state_key IS NULL)", "probe.message"],
      ["event.type", "probe.type"],
    ],
  }[way];
  const place = [...lookedFor.map(([event]) => event), "event.major", "event.minor"];
  const bound = (end: "low" | "high"): string =>
    [...lookedFor.map(([, probe]) => probe), `probe.${end}`, `decode(probe.${end}_minor, 'hex')`].join(", ");
  return `
    SELECT ${columns} FROM event
    WHERE event.room_id = probe.room_id ${way === "type" ? "AND (event.state_key IS NULL) = probe.message" : ""}
      AND (${place.join(", ")}) >= (${bound("low")}) AND (${place.join(", ")}) < (${bound("high")})
      AND event.position <= ${parameters.add(head, "bigint")} ${condition === "" ? "" : `AND ${condition}`}
    ORDER BY ${place.map((text) => `${text} ${orderOf(request)}`).join(", ")} LIMIT ${limitOf(request)}`;
}

/** SQL that gives what all probes find: n, columns of the events and the rank within the page. */
function ranked(
  way: Way,
  probes: readonly Probe[],
  request: PagesRequest,
  parameters: Parameters,
  columns: string,
): string {
  const order = orderOf(request);
  return `
    SELECT probe.n, hit.*, row_number() OVER (PARTITION BY probe.n ORDER BY hit.major ${order}, hit.minor ${order}) AS rank
    FROM ${unnested(probes, parameters)}
    CROSS JOIN LATERAL (${hit(way, request, parameters, columns)}) AS hit`;
}

function orderOf({ direction }: PagesRequest): "DESC" | "ASC" {
  return direction === "before" ? "DESC" : "ASC";
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
       FROM (${ranked(way, probes[way], request, parameters, "event.major, event.minor")}) AS page
       WHERE page.rank <= ${limitOf(request)} GROUP BY page.n`,
      ...parameters.values,
    );
    for (const { n, ...estimate } of rows) estimates.set(n, estimate);
  }
  return estimates;
}
