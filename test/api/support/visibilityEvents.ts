import { expect } from "vitest";
import {
  eachEvent,
  nodesOf,
  ids,
  noEvent,
  sorted,
  type Cell,
  type Json,
  type Page,
  type Path,
} from "./visibilityCell.ts";
import type { HistoryEvent } from "./visibilityOracle.ts";

/** The paths that begin with an event's id, and what hangs on an event. */
export const eventPaths: Record<string, Path> = {
  "event(id)": singleEvent,
  "node(id)": singleNode,
  "nodes(ids)": manyNodes,
  relations,
  "MessageEvent.replies": replies,
  "replyCount and reactions": counts,
  "updatedBy, current and editedAt": updates,
  "relatesTo.event, updates, redactedBy and RedactionContent.redacts": links,
  "StateEvent.prevContent and prev_content": previous,
  contextWindow: windows,
  "contextWindow of one event": narrowWindows,
};

/** The error about an event that doesn't exist, which is the one about hidden ones, too. */
async function missing(cell: Cell, field: string): Promise<string | null> {
  const none = { ...cell.oracle.events[0]!, id: noEvent };
  const { error } = (await eachEvent(cell, [none], field)).get(noEvent)!;
  expect(error).toMatch(/^NOT_FOUND: /);
  return error;
}

async function singleEvent(cell: Cell): Promise<void> {
  const field = "event(id: $id) { id roomId room { id } }";
  const none = await missing(cell, field);
  const asked = sample(cell);
  const found = await eachEvent<{ id: string; room: object | null }>(cell, asked, field);
  for (const event of asked) {
    const { data, error } = found.get(event.id)!;
    const seen = cell.oracle.maySee(event);
    expect({ event, id: data?.id, error }).toEqual({
      event,
      id: seen ? event.id : undefined,
      error: seen ? null : none,
    });
    if (data) expect(data.room !== null).toBe(cell.oracle.exists);
  }
}

async function singleNode(cell: Cell): Promise<void> {
  const asked = sample(cell);
  const found = await eachEvent<{ id: string }>(cell, asked, "node(id: $id) { id }");
  const seen = asked.filter(({ id }) => found.get(id)!.data !== null);
  expect(ids(seen)).toEqual(ids(asked.filter((event) => cell.oracle.maySee(event))));
  for (const { error } of found.values()) expect(error).toBeNull();
}

async function manyNodes(cell: Cell): Promise<void> {
  const found = await nodesOf(cell);
  const seen = cell.oracle.events.filter(({ id }) => found.get(id) !== null);
  expect(ids(seen)).toEqual(ids(cell.oracle.events.filter((event) => cell.oracle.maySee(event))));
}

/** The events that have children. */
function parents({ oracle }: Cell): HistoryEvent[] {
  const named = new Set(oracle.events.flatMap(({ relatesTo }) => relatesTo.map(({ eventId }) => eventId)));
  return oracle.events.filter(({ id }) => named.has(id));
}

/** Of each round a parent and children, by which windows and relations are the same as by any other; and all memberships. */
function sample({ oracle }: Cell): HistoryEvent[] {
  const isEdited = new Set(oracle.events.map(({ updatesId }) => updatesId));
  const types = ["org.example.note", "m.room.member", "m.room.history_visibility"];
  return oracle.events.filter(({ id, type, updatesId }) => {
    if (types.includes(type)) return true;
    return (
      (isEdited.has(id) && updatesId === null) || (updatesId !== null && oracle.event(updatesId).updatesId !== null)
    );
  });
}

async function relations(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const none = await missing(cell, "relations(eventId: $id) { nodes { id } }");
  const info = "nodes { id } pageInfo { hasPreviousPage startCursor }";
  const asked = sample(cell);
  const all = await eachEvent<Page>(cell, asked, `relations(eventId: $id, last: 100) { ${info} }`);
  const threads = await eachEvent<Page>(
    cell,
    parents(cell),
    `relations(eventId: $id, relType: "m.thread", last: 2) { ${info} }`,
  );
  for (const event of asked) {
    const { data, error } = all.get(event.id)!;
    expect(error).toBe(oracle.maySee(event) ? null : none);
    if (data) expect(ids(data.nodes)).toEqual(ids(oracle.children(event.id)));
  }
  await Promise.all(parents(cell).map((parent) => earlier(parent, threads.get(parent.id)!.data)));

  async function earlier(parent: HistoryEvent, newest: Page | null): Promise<void> {
    if (newest === null) return;
    const expected = ids(oracle.children(parent.id, "m.thread"));
    expect(ids(newest.nodes)).toEqual(expected.slice(-2));
    expect(newest.pageInfo.hasPreviousPage).toBe(expected.length > 2);
    const { relations } = await cell.reader.do<{ relations: Page }>(
      `query ($id: ID!, $before: ChunkToken) {
         relations(eventId: $id, relType: "m.thread", last: 100, before: $before) { ${info} }
       }`,
      { id: parent.id, before: newest.pageInfo.startCursor },
    );
    expect(ids(relations.nodes)).toEqual(expected.slice(0, -2));
    expect(relations.pageInfo.hasPreviousPage).toBe(false);
  }
}

/** Compares what hangs on each message that may be seen with what the oracle says of it. */
async function compareMessages(cell: Cell, expected: (event: HistoryEvent) => object): Promise<void> {
  const found = await nodesOf(cell);
  for (const event of cell.oracle.events) {
    if (!cell.oracle.maySee(event) || event.stateKey !== null) continue;
    const wanted = expected(event);
    const told = Object.fromEntries(Object.keys(wanted).map((key) => [key, found.get(event.id)?.[key]]));
    expect({ id: event.id, ...told }).toEqual({ id: event.id, ...wanted });
  }
}

async function replies(cell: Cell): Promise<void> {
  await compareMessages(cell, ({ id }) => {
    const children = cell.oracle.children(id).map((child) => ({ id: child.id }));
    const threads = cell.oracle.children(id, "m.thread").map((child) => ({ id: child.id }));
    return {
      replies: { nodes: children.slice(-3), pageInfo: { hasPreviousPage: children.length > 3 } },
      threads: { nodes: threads, pageInfo: { hasPreviousPage: false } },
    };
  });
}

async function counts(cell: Cell): Promise<void> {
  const { oracle } = cell;
  await compareMessages(cell, ({ id }) => {
    const reactions = new Map<string, number>();
    for (const child of oracle.children(id, "m.annotation")) {
      if (child.redactedById !== null) continue;
      const { key } = child.relatesTo.find(({ eventId }) => eventId === id)!;
      reactions.set(key!, (reactions.get(key!) ?? 0) + 1);
    }
    return {
      replyCount: oracle.children(id).length,
      inThreads: oracle.children(id, "m.thread").length,
      ofNone: 0,
      reactions: [...reactions].map(([key, count]) => ({ key, count })),
    };
  });
}

async function updates(cell: Cell): Promise<void> {
  await compareMessages(cell, (event) => {
    const found = cell.oracle.updates(event.id);
    const edit = event.redactedById === null ? found.findLast(({ redactedById }) => redactedById === null) : undefined;
    return {
      updatedBy: found.map(({ id }) => ({ id })),
      current: { raw: edit ? edit.content!["m.new_content"] : event.content },
      edited: edit ? (expect.any(String) as string) : null,
    };
  });
}

async function links(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const seen = (id: string | null): object | null => (id !== null && oracle.maySee(oracle.event(id)) ? { id } : null);
  await compareMessages(cell, ({ relatesTo, updatesId, redactsId, redactedById }) => ({
    relatesTo: relatesTo.map(({ eventId }) => ({ eventId, event: seen(eventId) })),
    updates: seen(updatesId),
    redactedBy: seen(redactedById),
    typed: redactsId === null ? (expect.anything() as object) : { redactsId, redacts: seen(redactsId) },
  }));
}

async function previous(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const found = await nodesOf(cell);
  for (const event of oracle.events) {
    if (!oracle.maySee(event) || event.stateKey === null) continue;
    const replaced = event.replacesId === null ? null : oracle.event(event.replacesId);
    const expected = replaced && oracle.maySee(replaced) ? replaced.content : null;
    const { prevContent, json } = found.get(event.id) as { prevContent: Json | null; json: Json };
    expect({ event, prevContent, json: json["prev_content"] ?? null }).toEqual({
      event,
      prevContent: expected,
      json: expected,
    });
  }
}

/** How far a window reaches to each side. */
const around = 3;

/** What stands in the window of an event that may be read: it, or the message that it edits, and its neighbours. */
function windowOf({ oracle }: Cell, event: HistoryEvent): HistoryEvent[] {
  const root = oracle.root(event);
  const middle = oracle.mayRead(root) ? root : event;
  const [place, listed] = [oracle.place(middle.id), oracle.listed()];
  return [
    ...listed.filter(({ id }) => oracle.place(id) < place).slice(-around),
    middle,
    ...listed.filter(({ id }) => oracle.place(id) > place).slice(0, around),
  ];
}

/** Makes sure of windows and of the state at their end, which is that of their last event. */
async function windows(cell: Cell): Promise<void> {
  const { oracle } = cell;
  const field = `contextWindow(eventId: $id, before: ${around}, after: ${around}) {
    event { id } events { nodes { id } moreBefore pageInfo { hasPreviousPage hasNextPage } } state { nodes { id } } }`;
  const none = await missing(cell, field);
  const asked = sample(cell);
  const found = await eachEvent<{ event: { id: string }; events: Page; state: Page }>(cell, asked, field);
  const listed = ids(oracle.listed());
  for (const event of asked) {
    const { data, error } = found.get(event.id)!;
    if (!oracle.maySee(event)) expect({ data, error }).toEqual({ data: null, error: none });
    if (oracle.maySee(event) && !oracle.exists) expect(error).toMatch(/^NOT_FOUND: /);
    if (data === null) continue;
    const expected = ids(windowOf(cell, event));
    const [first, last] = [oracle.place(expected[0]!), oracle.place(expected.at(-1)!)];
    const before = listed.filter((id) => oracle.place(id) < first).length;
    const hasNextPage = listed.some((id) => oracle.place(id) > last);
    const pageInfo = { hasPreviousPage: before > 0, hasNextPage };
    const nodes = expected.map((id) => ({ id }));
    expect({ event: data.event, events: data.events }).toEqual({
      event: { id: event.id },
      events: { nodes, moreBefore: before, pageInfo },
    });
    checkState(cell, oracle.events[last]!, ids(data.state.nodes));
  }
}

/** Windows of one event: nothing else says what the reader may know of the state there. */
async function narrowWindows(cell: Cell): Promise<void> {
  const asked = cell.oracle.events.filter(({ stateKey }) => stateKey !== null);
  const field = "contextWindow(eventId: $id, before: 0, after: 0) { state { nodes { id } } }";
  const found = await eachEvent<{ state: Page }>(cell, asked, field);
  for (const event of asked) {
    const { data } = found.get(event.id)!;
    expect(data !== null).toBe(cell.oracle.exists && cell.oracle.maySee(event));
    if (data !== null) checkState(cell, event, ids(data.state.nodes));
  }
}

function checkState({ oracle }: Cell, end: HistoryEvent, shown: string[]): void {
  const expected = ids(oracle.stateAt(oracle.place(end.id)));
  if (oracle.mayRead(end)) return expect({ end, state: sorted(shown) }).toEqual({ end, state: sorted(expected) });
  // State from before the reader's time is shown as it held in their time, never as it once was.
  const readable = oracle.events.filter((event) => oracle.mayRead(event));
  const held = new Set(readable.flatMap(({ id }) => ids(oracle.stateAt(oracle.place(id)))));
  const secret = shown.map((id) => oracle.event(id)).filter((event) => !held.has(event.id) && !oracle.maySee(event));
  expect({ end, secret }).toEqual({ end, secret: [] });
}
