/**
 * Every field that may be rendered once for many is, on events of every kind, what it is for each of two users and for
 * each of two devices, one of which acted.
 */
import { assertObjectType, execute } from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { everything } from "../../../src/domain/filters.ts";
import { actedFrom, type AnyEvent } from "../../../src/model/event.ts";
import { filterOf, type Filter } from "../../../src/model/filter.ts";
import type { Requester } from "../../../src/model/requester.ts";
import { ChunkSource } from "../../../src/resolvers/chunkSource.ts";
import { createContext, createSharedContext } from "../../../src/resolvers/context.ts";
import { schema } from "../../../src/resolvers/schema.ts";
import { fieldsOfDevice, shareableFields } from "../../../src/schema/shareable.ts";
import { shapeReader, type SharedSelection } from "../../../src/transport/live/shape.ts";
import { SharedRendering } from "../../../src/transport/live/sharing.ts";
import { startApp, type TestApp } from "../../kit/app.ts";
import { ephemeralEvents, makeEveryEvent } from "./support/everyEvent.ts";
import { listedFields, unknownFields, type ListedField } from "./support/listedFields.ts";

/** Somebody who follows everything, and what they were given: live, or replayed afterwards. */
interface Viewer {
  name: string;
  requester: Requester;
  events: AnyEvent[];
}

let server: TestApp;
const viewers: Viewer[] = [];
const shapes = shapeReader(schema);
const listed = listedFields(schema);

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { streamReplay: 10_000, streamBacklog: 10_000 } });
  const { domain } = server.app;
  const on = async (name: string, deviceId: string): Promise<Requester> => {
    const { userId } = await server.user(name, deviceId);
    return { userId, deviceId, admin: false, tokenId: `${name} ${deviceId}` };
  };
  const phone = await on("alice", "phone");
  const makers = {
    phone,
    laptop: { ...phone, deviceId: "laptop", tokenId: "alice laptop" },
    bob: await on("bob", "device"),
    carol: await on("carol", "device"),
  };
  const { carol: _carol, ...following } = makers;
  const position = domain.head.position;
  const open = async (requester: Requester, from: number | null): Promise<ChunkSource> => {
    const token = { ...requester, rooms: null, users: null, position: from };
    const follower = await domain.stream.open(token, requester.tokenId, { outOfOrder: true });
    return new ChunkSource(domain, follower, () => undefined);
  };
  const live = await Promise.all(Object.values(following).map((requester) => open(requester, null)));
  await makeEveryEvent(domain, makers);
  for (const [how, from] of [
    ["live", null],
    ["replayed", position],
  ] as const) {
    for (const [index, [name, requester]] of Object.entries(following).entries()) {
      const source = how === "live" ? live[index]! : await open(requester, from);
      viewers.push({ name: `${name}, ${how}`, requester, events: [...taken(source), ...ephemeralEvents] });
    }
  }
});
afterAll(() => server.close());

/** All that waits for a follower. */
function taken(source: ChunkSource): AnyEvent[] {
  const events: AnyEvent[] = [];
  for (let step = source.follower.take(); step !== null; step = source.follower.take()) {
    const chunk = source.chunkOf(step);
    if (chunk.limited) throw new Error("the stream gave up on its events");
    events.push(...chunk.events);
  }
  source.close();
  return events;
}

/** The selection of the one list that the document asks for; throws when it isn't shared. */
function selectionOf({ document, text }: ListedField, filter: Filter): SharedSelection {
  const [field] = shapes({ schema, document }, filter)!.fields;
  if (field?.from !== "events") throw new Error(`${text} is on the list, but rendered for each viewer`);
  return field.selection;
}

/** The JSON of each event as this viewer's own rendering has it. */
async function ownTexts(
  { document }: ListedField,
  { key }: SharedSelection,
  filter: Filter,
  requester: Requester,
  events: AnyEvent[],
): Promise<string[]> {
  const request = { requester, requestId: "own", origin: { ip: null, userAgent: null }, live: true };
  const contextValue = createContext(server.app.domain, request);
  const { data, errors } = await execute({ schema, document, rootValue: { events, filter }, contextValue });
  expect(errors).toBeUndefined();
  const chunk = data!["eventStream"] as Record<string, unknown[]>;
  return chunk[key]!.map((each) => JSON.stringify(each));
}

/** Whether the JSON of an event has the tested field on an object of a type. */
function showsTested(value: unknown, type: string): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (!("tested" in value && "on" in value)) return Object.values(value).some((inner) => showsTested(inner, type));
  const on = assertObjectType(schema.getType(String(value.on)));
  return [on, ...on.getInterfaces()].some(({ name }) => name === type);
}

interface Comparison {
  differences: string[];
  /** Users whose rendering was compared with a shared one that shows the field. */
  compared: Set<string>;
  /** Of all renderings that show the field, how many are shared. */
  sharedPart: number;
}

/** Renders the events of every viewer for nobody and for them. */
async function compare(each: ListedField, filter: Filter): Promise<Comparison> {
  const selection = selectionOf(each, filter);
  const shared = new SharedRendering(schema, () => createSharedContext(server.app.domain));
  const differences: string[] = [];
  const compared = new Set<string>();
  const shown = { all: 0, shared: 0 };
  /** By event and how it came: what is shared is the same for all who follow the event. */
  const known = new Map<string, string>();
  for (const { name, requester, events } of viewers) {
    const texts = await Promise.all(events.map(async (event) => shared.text(selection, event)));
    const own = await ownTexts(each, selection, filter, requester, events);
    expect(own).toHaveLength(events.length);
    for (const [index, event] of events.entries()) {
      const [text, ownText] = [texts[index]!, own[index]!];
      const shows = each.type === "StreamChunk" || showsTested(JSON.parse(ownText), each.type);
      if (shows) shown.all++;
      if (text === null) continue;
      if (shows) shown.shared++;
      if (selection.ofDevice && event.kind !== "EPHEMERAL" && actedFrom(event, requester)) continue;
      if (shows) compared.add(requester.userId);
      // What is derived for a user is theirs.
      const whose = event.kind === "EPHEMERAL" ? requester.userId : "everybody's";
      const key = `${name.split(", ")[1]} ${whose} ${event.eventId}`;
      const others = known.get(key) ?? text;
      known.set(key, others);
      if (ownText !== text || others !== text) {
        differences.push(`${each.text} of ${event.type} for ${name}: ${ownText}, shared: ${text}, others': ${others}`);
      }
    }
  }
  return { differences, compared, sharedPart: shown.shared / shown.all };
}

/** What is shared more seldom than this is of no use in the list. */
const leastPart = 0.25;

test("the list names types and fields that there are, once each", () => {
  expect(unknownFields(schema)).toEqual([]);
  for (const fields of Object.values(shareableFields)) expect(fields).toEqual([...new Set(fields)]);
  const all = Object.entries(shareableFields).flatMap(([type, fields]) => fields.map((field) => `${type}.${field}`));
  expect([...fieldsOfDevice].filter((each) => !all.includes(each))).toEqual([]);
  const reached = new Set(listed.map(({ type, field }) => `${type}.${field}`));
  expect(all.filter((each) => !reached.has(each))).toEqual([]);
});

test("the events are of all kinds, and both users and devices get them", () => {
  for (const { events } of viewers) expect(events.length).toBeGreaterThan(60);
  const acted = (name: string): boolean => {
    const { requester, events } = viewers.find((each) => each.name === name)!;
    return events.some((event) => event.kind !== "EPHEMERAL" && actedFrom(event, requester));
  };
  expect(["phone, live", "laptop, live", "bob, live"].map(acted)).toEqual([true, true, true]);
});

test.each(listed)("$text is rendered for nobody as it is for each viewer", async (each) => {
  const { differences, compared, sharedPart } = await compare(each, everything);
  expect(differences).toEqual([]);
  // Without them, no event has the field, or it always needs its viewer.
  expect([...compared].sort()).toEqual(["@alice:localhost", "@bob:localhost"]);
  expect(sharedPart).toBeGreaterThan(leastPart);
});

const filters: Record<string, Filter> = {
  "federation format": filterOf({ format: "FEDERATION" }),
  "some fields": filterOf({ fields: ["type", "content", "action_id"] }),
  "bundled children": filterOf({ bundleRelations: 3 }),
  "no updates": filterOf({ bundleUpdates: false }),
};

test.each(Object.entries(filters))("the chunk's json is shared with a filter for %s", async (name, filter) => {
  const json = listed.find(({ text }) => text === "StreamChunk.json")!;
  const { differences, compared } = await compare(json, filter);
  expect(differences).toEqual([]);
  expect([...compared].sort(), name).toEqual(["@alice:localhost", "@bob:localhost"]);
});
