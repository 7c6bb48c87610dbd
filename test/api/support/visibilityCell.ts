import { expect } from "vitest";
import type { Answer, Client } from "../../kit/client.ts";
import type { LivedRoom } from "./visibilityRooms.ts";
import type { HistoryEvent, Oracle } from "./visibilityOracle.ts";

/** A reader and a room, as every path gets them. */
export interface Cell {
  room: LivedRoom;
  oracle: Oracle;
  reader: Client;
  /** Every event that came down the reader's open stream while the rooms lived. */
  streamed: { id: string; roomId: string; kind: string }[];
  /** All of the room's events as nodes, null for those that can't be seen; asked for once, for several paths. */
  nodes?: Promise<Map<string, Json | null>>;
}

/** One way to read; it throws where the server and the oracle disagree. */
export type Path = (cell: Cell) => Promise<void>;

export const noRoom = "!nothing:localhost";
export const noEvent = "$nothing";

export interface Page {
  nodes: { id: string }[];
  edges: { json: Json; node: { id: string }; bundledReplies: Page | null }[];
  pageInfo: { hasPreviousPage: boolean; hasNextPage: boolean; startCursor: string | null; endCursor: string | null };
  moreBefore: number | null;
}
export type Json = Record<string, unknown>;

export const ids = (events: readonly { id: string }[]): string[] => events.map(({ id }) => id);
export const sorted = (list: string[]): string[] => [...list].sort();

/**
 * Asks for a room by `$room`. Gives null, after making sure that the answer is the one about a room that doesn't exist,
 * where the reader may see nothing of it.
 */
export async function lookInto<Data>(cell: Cell, document: string, variables: Json = {}): Promise<Data | null> {
  if (cell.oracle.exists) return cell.reader.do<Data>(document, { room: cell.room.roomId, ...variables });
  await looksLikeNone(cell, document, { room: cell.room.roomId, ...variables }, { room: noRoom, ...variables });
  return null;
}

/** Makes sure that two questions have the same answer to the letter, and that it is one. */
export async function looksLikeNone(cell: Cell, document: string, hidden: Json, none: Json): Promise<void> {
  const [answer, blank] = await Promise.all([cell.reader.ask(document, hidden), cell.reader.ask(document, none)]);
  expect(answer).toEqual(blank);
  expect(isNothing(answer), JSON.stringify(answer)).toBe(true);
}

function isNothing({ data, errors }: Answer): boolean {
  const found = Object.values(data ?? {}).some(
    (value) => value !== null && !(Array.isArray(value) && !value.some(Boolean)),
  );
  return !found && (errors ?? []).every((error) => error.extensions?.["code"] === "NOT_FOUND");
}

/** What each event gives for a field that takes `$id`: its data, or its error's code and message. */
export async function eachEvent<Data>(
  { reader }: Cell,
  events: readonly HistoryEvent[],
  field: string,
): Promise<Map<string, { data: Data | null; error: string | null }>> {
  const found = new Map<string, { data: Data | null; error: string | null }>();
  // As many as a document's limits on tokens and costs let through.
  for (const part of parts(events, 20)) {
    const { data, errors } = await reader.ask(
      `query (${part.map((_event, n) => `$id${n}: ID!`).join(", ")}) {
         ${part.map((_event, n) => `found${n}: ${field.replace("$id", `$id${n}`)}`).join(" ")}
       }`,
      Object.fromEntries(part.map(({ id }, n) => [`id${n}`, id])),
    );
    expect(data, JSON.stringify(errors)).toBeTruthy();
    for (const [n, { id }] of part.entries()) {
      const error = errors?.find(({ path }) => path?.[0] === `found${n}`);
      const told = error ? `${String(error.extensions?.["code"])}: ${error.message}` : null;
      found.set(id, { data: (data?.[`found${n}`] as Data | null | undefined) ?? null, error: told });
    }
  }
  return found;
}

const ofMessages = `replies(last: 3) { nodes { id } pageInfo { hasPreviousPage } }
  threads: replies(last: 50, relType: "m.thread") { nodes { id } pageInfo { hasPreviousPage } }
  replyCount inThreads: replyCount(relType: "m.thread") ofNone: replyCount(relType: "x") reactions { key count }
  updatedBy { id } current { raw } edited: editedAt
  relatesTo { eventId event { id } } updates { id } redactedBy { id }
  typed { ... on RedactionContent { redactsId redacts { id } } }`;

/** The nodes behind all of the room's events, with everything that hangs on them. */
export function nodesOf(cell: Cell): Promise<Map<string, Json | null>> {
  cell.nodes ??= readNodes<Json>(cell, `... on MessageEvent { ${ofMessages} } ... on StateEvent { prevContent json }`);
  return cell.nodes;
}

async function readNodes<Data>(cell: Cell, fields: string): Promise<Map<string, Data | null>> {
  const found = new Map<string, Data | null>();
  for (const part of parts(cell.oracle.events, 50)) {
    const { nodes } = await cell.reader.do<{ nodes: (Data | null)[] }>(
      `query ($ids: [ID!]!) { nodes(ids: $ids) { id ${fields} } }`,
      { ids: ids(part) },
    );
    for (const [n, { id }] of part.entries()) found.set(id, nodes[n] ?? null);
  }
  return found;
}

function parts<Item>(list: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) => list.slice(n * size, (n + 1) * size));
}
