import type { StoredEvent } from "../model/event.ts";
import { groupBy } from "../model/groupBy.ts";
import { justAfter, type Place } from "../model/order.ts";
import { exactTexts, type Patterns } from "../model/patterns.ts";
import type { Span } from "../model/room.ts";
import type { Selection } from "../model/selection.ts";
import { isFound, query, type Connection } from "./database.ts";
import { eventColumns, eventList, eventOfRow, eventsOfJson, listedColumns, type EventRow } from "./rows.ts";
import { Parameters, patternsCondition, selectionCondition } from "./selection.ts";

const endless = Number.MAX_SAFE_INTEGER;
/** Children by `updates` of one event that one look at them takes in: far more than anybody edits. */
const maxUpdates = 100_000;

/** All descendants by `updates` of events, by the event's id, in the room's order; one statement. [UPD-1] */
export async function updatesOf(
  connection: Connection,
  eventIds: readonly string[],
  head: number,
): Promise<Map<string, StoredEvent[]>> {
  const children = (parent: string): string =>
    `CROSS JOIN LATERAL (SELECT event.event_id, event.position FROM event WHERE event.updates_id = ${parent}
       AND event.position <= $2::bigint ORDER BY event.major, event.minor LIMIT ${maxUpdates}) AS child`;
  const rows = await query<EventRow & { root_id: string }>(
    connection,
    `WITH RECURSIVE tree AS (
       SELECT root.event_id AS root_id, child.event_id, child.position
       FROM unnest($1::text[]) AS root(event_id) ${children("root.event_id")}
       UNION
       SELECT tree.root_id, child.event_id, child.position FROM tree ${children("tree.event_id")}
     )
     SELECT tree.root_id, found.* FROM tree
     CROSS JOIN LATERAL (SELECT ${eventColumns} FROM event WHERE event.position = tree.position LIMIT 1) AS found
     ORDER BY found.major, found.minor`,
    eventIds,
    head,
  );
  const byRoot = groupBy(rows, (row) => row.root_id);
  return new Map([...byRoot].map(([rootId, found]) => [rootId, found.map(eventOfRow)]));
}

/** The events that each of these is part of by `updates`, itself included, by its id; one statement. [CTX-1, UPD-2] */
export async function linesOfUpdates(
  connection: Connection,
  eventIds: readonly string[],
): Promise<Map<string, StoredEvent[]>> {
  const rows = await query<EventRow & { start_id: string }>(
    connection,
    `WITH RECURSIVE line AS (
       SELECT event_id AS start_id, event_id, updates_id FROM event WHERE event_id = ANY ($1::text[])
       UNION
       SELECT line.start_id, event.event_id, event.updates_id FROM line JOIN event ON event.event_id = line.updates_id
     )
     SELECT line.start_id, ${eventColumns} FROM line JOIN event ON event.event_id = line.event_id`,
    eventIds,
  );
  const byStart = groupBy(rows, (row) => row.start_id);
  return new Map([...byStart].map(([startId, line]) => [startId, line.map(eventOfRow)]));
}

/** How many updates each of these events has, those of its updates included: at most `atMost`; one statement. */
export async function countUpdates(
  connection: Connection,
  eventIds: readonly string[],
  atMost: number,
): Promise<Map<string, number>> {
  const rows = await query<{ event_id: string; count: number }>(
    connection,
    `SELECT root.event_id, counted.count FROM unnest($1::text[]) AS root(event_id)
     CROSS JOIN LATERAL (
       WITH RECURSIVE tree AS (
         SELECT event.event_id FROM event WHERE event.updates_id = root.event_id
         UNION
         SELECT event.event_id FROM tree JOIN event ON event.updates_id = tree.event_id
       )
       SELECT count(*)::integer AS count FROM (SELECT FROM tree LIMIT $2::integer) AS update
     ) AS counted`,
    eventIds,
    atMost,
  );
  return new Map(rows.map(({ event_id, count }) => [event_id, count]));
}

export interface ChildrenRequest {
  parents: readonly { parentId: string; spans: readonly Span[]; from: Place | null }[];
  relationTypes: Patterns;
  /** All of these must let a child pass; their listing on their own is no matter here. */
  selections: readonly Selection[];
  head: number;
  direction: "before" | "after";
  limit: number;
  /** No more than one beyond these are read for all parents together. */
  atMost: number;
}

/**
 * Up to `limit` + 1 children of each of these parents, next to a place, nearest first: one statement for all. [REL-1, REL-2]
 * Probed by relation type where the types are named, else in the parent's order.
 */
export async function childrenOf(connection: Connection, request: ChildrenRequest): Promise<StoredEvent[][]> {
  const { parents, relationTypes, selections, head, direction, limit, atMost } = request;
  const types = exactTexts(relationTypes);
  const probes = parents.flatMap(({ parentId, spans, from }, n) =>
    spans.flatMap((span) =>
      (types ?? [""]).map((type) => ({ n, parentId, type, ...childBounds(span, from, direction) })),
    ),
  );
  if (probes.length === 0) return parents.map(() => []);
  const parameters = new Parameters();
  const column = (valueOf: (probe: (typeof probes)[number]) => unknown, type: string): string =>
    parameters.add(probes.map(valueOf), `${type}[]`);
  const unnested = [
    column(({ n }) => n, "integer"),
    column(({ parentId }) => parentId, "text"),
    column(({ type }) => type, "text"),
    column(({ low }) => low.major, "bigint"),
    column(({ low }) => low.minor, "text"),
    column(({ high }) => high.major, "bigint"),
    column(({ high }) => high.minor, "text"),
  ].join(", ");
  const order = direction === "before" ? "DESC" : "ASC";
  const conditions = [
    patternsCondition("relation.type", relationTypes, parameters),
    ...selections.map((selection) => selectionCondition(selection, parameters, { alone: false })),
  ];
  // As in pages.ts, the bounds and the order begin with what is looked for, and the limit stands as a number.
  const [column1, value1, order1] =
    types === null ? ["", "", ""] : ["relation.type, ", "probe.type, ", `relation.type ${order}, `];
  const k = Math.trunc(limit) + 1;
  const rows = await query<{ n: number; events: string }>(
    connection,
    `SELECT page.n, ${eventList("page", "page.rank")} AS events FROM (
       SELECT ranked.* FROM (SELECT child.*, row_number() OVER (PARTITION BY child.n ORDER BY child.major ${order}, child.minor COLLATE "C" ${order}) AS rank
       FROM (
         SELECT ${types === null || types.length < 2 ? "" : "DISTINCT ON (probe.n, hit.position)"} probe.n, hit.*
         FROM unnest(${unnested}) AS probe(n, parent_id, type, low, low_minor, high, high_minor)
         CROSS JOIN LATERAL (
           SELECT ${types === null ? "DISTINCT ON (relation.major, relation.minor)" : ""} ${listedColumns}
           FROM relation JOIN event ON event.event_id = relation.child_id
           WHERE relation.parent_id = probe.parent_id
             AND (${column1}relation.major, relation.minor) >= (${value1}probe.low, decode(probe.low_minor, 'hex'))
             AND (${column1}relation.major, relation.minor) < (${value1}probe.high, decode(probe.high_minor, 'hex'))
             AND event.position <= ${parameters.add(head, "bigint")}
             ${conditions.map((condition) => (condition === "" ? "" : `AND ${condition}`)).join(" ")}
           ORDER BY ${order1}relation.major ${order}, relation.minor ${order} LIMIT ${k}
         ) AS hit
       ) AS child) AS ranked
       WHERE ranked.rank <= ${k} LIMIT ${Math.trunc(atMost) + 1}
     ) AS page GROUP BY page.n`,
    ...parameters.values,
  );
  const found = new Map(rows.map(({ n, events }) => [n, events]));
  return parents.map((_parent, n) => {
    const events = found.get(n);
    return events === undefined ? [] : eventsOfJson(events);
  });
}

function childBounds(span: Span, from: Place | null, direction: "before" | "after"): { low: Place; high: Place } {
  const low = { major: span.from, minor: "" };
  const high = justAfter({ major: span.to ?? endless, minor: "" });
  if (from === null) return { low, high };
  const later = (a: Place, b: Place): boolean => a.major > b.major || (a.major === b.major && a.minor > b.minor);
  if (direction === "before") return { low, high: later(high, from) ? from : high };
  const next = justAfter(from);
  return { low: later(next, low) ? next : low, high };
}

/** A parent, and the places whose children the reader may see. */
export interface ParentSpans {
  parentId: string;
  spans: readonly Span[];
}

/** SQL of the places given, unnested from the first four parameters. */
const spansOfParents = "unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[]) AS span(n, parent_id, low, high)";

function spanColumns(parents: readonly ParentSpans[]): unknown[][] {
  const spans = parents.flatMap(({ parentId, spans }, n) => spans.map((span) => ({ n, parentId, ...span })));
  return [
    spans.map(({ n }) => n),
    spans.map(({ parentId }) => parentId),
    spans.map(({ from }) => from),
    spans.map(({ to }) => to ?? endless),
  ];
}

/** How many children these parents have, by relation type, and under `null` of any type; one statement. [REL-4] */
export async function countChildren(
  connection: Connection,
  parents: readonly ParentSpans[],
  head: number,
): Promise<Map<string | null, number>[]> {
  const rows = await query<{ n: number; type: string | null; count: number }>(
    connection,
    // A live child's place is its position; only one that was inserted has to be looked at.
    `SELECT span.n, child.type, count(DISTINCT child.child_id)::integer AS count
     FROM ${spansOfParents}
     CROSS JOIN LATERAL (
       SELECT relation.type, relation.child_id FROM relation
       WHERE relation.parent_id = span.parent_id AND (relation.major, relation.minor) >= (span.low, ''::bytea)
         AND (relation.major, relation.minor) <= (span.high, ''::bytea)
         AND CASE WHEN relation.minor = ''::bytea THEN relation.major <= $5::bigint ELSE ${isFound(
           "FROM event WHERE event.event_id = relation.child_id AND event.position <= $5::bigint",
         )} END
       ORDER BY relation.major, relation.minor OFFSET 0
     ) AS child
     GROUP BY GROUPING SETS ((span.n, child.type), (span.n))`,
    ...spanColumns(parents),
    head,
  );
  const counts = groupBy(rows, (row) => row.n);
  return parents.map((_parent, n) => new Map((counts.get(n) ?? []).map(({ type, count }) => [type, count])));
}

export interface ReactionRow {
  key: string;
  count: number;
  /** The user's own reaction, if there is one. */
  ownEventId: string | null;
}

/** Reactions to these parents by key, in the order in which the keys came; without redacted ones; one statement. [REL-4] */
export async function countReactions(
  connection: Connection,
  userId: string,
  parents: readonly ParentSpans[],
  head: number,
): Promise<ReactionRow[][]> {
  const rows = await query<{ n: number; key: string; count: number; own: string | null }>(
    connection,
    `SELECT span.n, relation.key, count(*)::integer AS count,
       min(relation.child_id) FILTER (WHERE event.sender = $6) AS own
     FROM ${spansOfParents}
     CROSS JOIN LATERAL (
       SELECT relation.major, relation.key, relation.child_id FROM relation
       WHERE relation.parent_id = span.parent_id
         AND (relation.type, relation.major, relation.minor) >= ('m.annotation', span.low, ''::bytea)
         AND (relation.type, relation.major, relation.minor) <= ('m.annotation', span.high, ''::bytea)
         AND relation.key IS NOT NULL
       ORDER BY relation.type, relation.major, relation.minor OFFSET 0
     ) AS relation
     CROSS JOIN LATERAL (
       SELECT event.sender FROM event
       WHERE event.event_id = relation.child_id AND event.redacted_by_id IS NULL AND event.position <= $5::bigint LIMIT 1
     ) AS event
     GROUP BY span.n, relation.key ORDER BY min(relation.major), relation.key`,
    ...spanColumns(parents),
    head,
    userId,
  );
  const groups = groupBy(rows, (row) => row.n);
  return parents.map((_parent, n) =>
    (groups.get(n) ?? []).map(({ key, count, own }) => ({ key, count, ownEventId: own })),
  );
}
