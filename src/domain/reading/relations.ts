import { lazyEdge, type EventConnection } from "../../model/connection.ts";
import type { AnyEvent, StoredEvent } from "../../model/event.ts";
import { filterOf, type Filter } from "../../model/filter.ts";
import type { Place } from "../../model/order.ts";
import { HearthError } from "../../model/errors.ts";
import { checkText } from "../../model/ids.ts";
import { readPaging, type PagingArguments } from "../../model/paging.ts";
import { patternsOf, type Patterns } from "../../model/patterns.ts";
import type { RoomView, Span } from "../../model/room.ts";
import type { Selection } from "../../model/selection.ts";
import type { Tokens } from "../../model/tokens.ts";
import * as store from "../../store/relations.ts";
import { everything } from "../filters.ts";
import { inSpans } from "../rules/visibility.ts";
import { defaultPage } from "./pages.ts";
import type { Reading } from "./reading.ts";

/** A parent, and the room as the reader sees it: null when they see but this event of it. */
export interface Parent {
  event: StoredEvent;
  view: RoomView | null;
}

/** All descendants by `updates` of each event, in order, as far as the reader may see them; one statement. [UPD-1] */
export async function updatesOf({ connection, head }: Reading, parents: readonly Parent[]): Promise<StoredEvent[][]> {
  const messages = parents.filter(({ event }) => event.kind === "MESSAGE").map(({ event }) => event.eventId);
  if (messages.length === 0) return parents.map(() => []);
  const found = await store.updatesOf(connection, messages, head.position);
  return parents.map(({ event, view }) => visibleLine(event, found.get(event.eventId) ?? [], view?.spans ?? []));
}

/** The updates that the reader sees and that hang on the event by nothing else, so that each has its parent at hand. */
function visibleLine(root: StoredEvent, updates: readonly StoredEvent[], spans: readonly Span[]): StoredEvent[] {
  const seen = new Set<string | null>([root.eventId]);
  return updates.filter((update) => {
    const visible = seen.has(update.updatesId) && inSpans(update.place, spans);
    if (visible) seen.add(update.eventId);
    return visible;
  });
}

/** Which children of an event are asked for, and how they come. */
export interface ChildrenOf {
  relationTypes: Patterns;
  /** All of these must let a child pass. */
  selections: readonly Selection[];
  direction: "before" | "after";
  limit: number;
  /** A chunk token of the relations family; null: from the direction's end. */
  token: string | null;
  order: "NEWEST_LAST" | "NEWEST_FIRST";
  /** Shapes the children's JSON. */
  filter: Filter;
}

/** The children that a filter bundles into each parent: its newest ones. Type filters never drop any. [REL-2, REL-3] */
export function bundledBy({ definition }: Filter): ChildrenOf {
  const { relationTypes, bundleRelations, relationOrder, format, bundleUpdates, fields } = definition;
  return {
    relationTypes: patternsOf(relationTypes),
    selections: [],
    ...{ direction: "before", limit: bundleRelations, token: null, order: relationOrder },
    // Children come with their own edits, but without children of theirs.
    filter: filterOf({ format, bundleUpdates, fields }),
  };
}

/** The children that `relations` lists, through a filter and by type. [REL-1] */
export function listedBy(
  args: PagingArguments & { relType?: string | null; eventType?: string | null },
  filter: Filter,
): ChildrenOf {
  const { relationTypes, limit, relationOrder } = filter.definition;
  return {
    ...readPaging(args, limit ?? defaultPage),
    relationTypes: typeof args.relType === "string" ? ofType(args.relType) : patternsOf(relationTypes),
    selections: [filter.selection, ...(args.eventType ? [filterOf({ types: [args.eventType] }).selection] : [])],
    order: relationOrder,
    filter,
  };
}

/** Exactly one relation type. */
function ofType(type: string): Patterns {
  return { included: [[checkText(type, "relType")]], excluded: [] };
}

/** The children that `MessageEvent.replies` gives: the `last` ones before a token. [REL-1] */
export function repliesBy(args: { relType?: string | null; last: number; before?: string | null }): ChildrenOf {
  const paging = readPaging({ last: args.last, before: args.before ?? null }, 0);
  const relationTypes = typeof args.relType === "string" ? ofType(args.relType) : patternsOf(null);
  return { ...paging, relationTypes, selections: [], order: "NEWEST_LAST", filter: everything };
}

/** Children that one answer holds: a page of parents may have far more between them than anybody shows. */
const maxChildren = 10_000;

/** A page of the children of each of these parents; one statement for all. [REL-1, REL-2] Throws `TOO_LARGE`. */
export async function childPages(
  { connection, tokens, head }: Reading,
  parents: readonly Parent[],
  request: ChildrenOf,
): Promise<EventConnection[]> {
  const { direction, limit, token, relationTypes, selections } = request;
  const asked = parents.map(({ event, view }) => ({
    parentId: event.eventId,
    spans: event.kind === "MESSAGE" ? (view?.spans ?? []) : [],
    from: token === null ? null : placeOfRelationToken(tokens, token, event.eventId),
  }));
  const found = await store.childrenOf(connection, {
    ...{ parents: asked, relationTypes, selections, direction, limit, head: head.position, atMost: maxChildren },
  });
  if (found.reduce((sum, children) => sum + children.length, 0) > maxChildren) {
    throw new HearthError("TOO_LARGE", `The answer would hold more than ${maxChildren} children: ask for fewer.`);
  }
  return parents.map(({ event }, index) => childConnection(tokens, event.eventId, found[index] ?? [], request));
}

/** Throws `BAD_TOKEN` for a token that is none of this parent's children. [STR-4] */
export function checkRelationToken({ tokens }: Reading, token: string | null, parentId: string): void {
  if (token !== null) placeOfRelationToken(tokens, token, parentId);
}

/** How the children beyond the page, if there are some, are reached: always from the newest to earlier ones. */
function childConnection(
  tokens: Tokens,
  parentId: string,
  nearest: readonly StoredEvent[],
  { direction, limit, token, order, filter }: ChildrenOf,
): EventConnection {
  const more = nearest.length > limit;
  const page = nearest.slice(0, limit);
  if (direction === "before") page.reverse();
  const cursorOf = ({ place }: StoredEvent): string => tokens.chunk("relations", parentId, [place.major, place.minor]);
  const edges = page.map((node) => lazyEdge<AnyEvent>(node, () => cursorOf(node)));
  // An empty page before nothing starts at the end, so that it leads to the children that it holds none of.
  const emptyAt = (): string =>
    token ?? tokens.chunk("relations", parentId, direction === "before" ? [endOfAll, ""] : [0, ""]);
  const [oldest, newest] = [edges[0], edges.at(-1)];
  return {
    edges: order === "NEWEST_FIRST" ? [...edges].reverse() : edges,
    hasPreviousPage: direction === "before" ? more : token !== null,
    hasNextPage: direction === "before" ? token !== null : more,
    get start() {
      return oldest?.cursor ?? emptyAt();
    },
    get end() {
      return newest?.cursor ?? emptyAt();
    },
    filter,
    before: null,
  };
}

/** Behind every child. */
const endOfAll = Number.MAX_SAFE_INTEGER;

function placeOfRelationToken(tokens: Tokens, token: string, parentId: string): Place {
  const [major, minor] = tokens.readChunk(token, "relations", parentId) as [number, string];
  return { major, minor };
}

/** How many children each parent has: by relation type, and under null of any type; one statement. [REL-4] */
export function childCounts(
  { connection, head }: Reading,
  parents: readonly Parent[],
): Promise<Map<string | null, number>[]> {
  return store.countChildren(connection, parents.map(spansOf), head.position);
}

/** Reactions to each parent, counted by key; one statement. [REL-4] */
export function reactionCounts(
  { connection, head }: Reading,
  userId: string,
  parents: readonly Parent[],
): Promise<store.ReactionRow[][]> {
  return store.countReactions(connection, userId, parents.map(spansOf), head.position);
}

function spansOf({ event, view }: Parent): { parentId: string; spans: readonly Span[] } {
  return { parentId: event.eventId, spans: view?.spans ?? [] };
}
