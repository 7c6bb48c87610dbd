import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { everything } from "../../../domain/filters.ts";
import { roomAliases } from "../../../domain/reading/aliases.ts";
import { contextWindow } from "../../../domain/reading/contextWindow.ts";
import { visibleEvents } from "../../../domain/reading/history.ts";
import { olderState } from "../../../domain/reading/olderForm.ts";
import { placeOfToken, placeToken, roomPage } from "../../../domain/reading/pages.ts";
import { filterOfTypes, stateConnection } from "../../../domain/reading/roomStates.ts";
import { checkSlotName, stateInSlots } from "../../../domain/reading/state.ts";
import { badInput, eventNotFound, HearthError } from "../../../model/errors.ts";
import type { AnyEvent, StoredEvent } from "../../../model/event.ts";
import { filterOf, type FilterInput } from "../../../model/filter.ts";
import { memberships } from "../../../model/content/typed.ts";
import { filterOfOlder } from "../../../model/olderFilter.ts";
import { newerKey } from "../../../model/olderKeys.ts";
import { behind, comparePlaces } from "../../../model/order.ts";
import { maxPage } from "../../../model/paging.ts";
import { profileType } from "../../../model/profile.ts";
import type { Requester } from "../../../model/requester.ts";
import type { RoomView } from "../../../model/room.ts";
import { clientPaths, type AddRoutes } from "../routes.ts";
import { olderEvent, roomGroup, told, viewOf } from "./roomCalls.ts";

const limit = z.coerce.number().int().min(0, "is below 0").optional();
const filter = z.string().optional().describe("JSON: what events pass.");
const chunk = { chunk: z.array(olderEvent) };
const places = { start: z.string(), end: z.string().optional() };

const messagesQuery = z.object({
  from: z
    .string()
    .optional()
    .describe("Where to begin: a token that was given; without it, at the end of the direction."),
  to: z.string().optional().describe("A token not to go beyond."),
  dir: z.enum(["b", "f"]).default("b"),
  ...{ limit, filter },
});
const contextQuery = z.object({ limit, filter });
const membersQuery = z.object({
  membership: z.enum(memberships).optional(),
  not_membership: z.enum(memberships).optional(),
});
const stateQuery = z.object({
  format: z.enum(["content", "event"]).default("content").describe("`event`: the whole event."),
});
const joinedMember = z.object({ display_name: z.string().nullable(), avatar_url: z.string().nullable() });

const defaultLimit = 10;

/** What has happened in rooms, and how they are now. [AS-13] */
export function readingRoutes(domain: Domain): AddRoutes {
  const { reading, server } = domain;
  const common = { method: "GET", group: roomGroup.reading, access: "user" } as const;

  /** All state of a room, or that of a type, as who asks sees it; profiles are part of memberships. */
  async function stateOf(view: RoomView, type: string | null = null) {
    const filter = type === null ? everything : filterOfTypes([type, profileType]);
    const room = { view, at: reading.head.position, since: null };
    const events: StoredEvent[] = [];
    for (let after: string | null = null; ;) {
      const { edges, hasNextPage } = await stateConnection(reading, room, { filter, markers: "none", after });
      events.push(...edges.map(({ node }) => node as StoredEvent));
      after = edges.at(-1)?.cursor ?? null;
      if (!hasNextPage) return told(domain, olderState(events));
    }
  }

  /** The event by which somebody sees a room's state; `M_NOT_FOUND` where there is none. */
  async function slotOf(view: RoomView, type: string, key: string) {
    const stateKey = newerKey(key, server.name);
    for (const name of [type, stateKey]) checkSlotName(name, "stateKey");
    const slots = [type, ...(type === "m.room.member" ? [profileType] : [])].map((type) => ({
      ...view,
      type,
      stateKey,
    }));
    const held = (await stateInSlots(reading, slots)).filter((event) => event !== null);
    const [json] = await told(domain, olderState(held));
    if (json === undefined) throw new HearthError("NOT_FOUND", "There is no such state.");
    return json;
  }

  /** A page of a room's timeline in the order in which it is asked for, with the tokens at both its ends. */
  async function page(
    requester: Requester,
    view: RoomView,
    { from: given, to, dir, limit, filter }: z.output<typeof messagesQuery>,
  ) {
    const from = given === undefined ? undefined : fromOf(requester, view, given);
    const definition = definitionOf(filter);
    const count = Math.min(limit ?? definition.limit ?? defaultLimit, maxPage);
    const upTo = reading.head.position;
    const back = dir === "b";
    const args = back ? { last: count, before: from ?? null } : { first: count, after: from ?? null };
    const found = await roomPage(reading, view, args, filterOf({ ...definition, limit: null }), { upTo });
    const nodes = found.edges.map(({ node }) => node).filter(isStored);
    const within = to === undefined ? nodes : nodes.filter(before(placeOfToken(reading.tokens, to, view.roomId), back));
    const ordered = back ? [...within].reverse() : within;
    const origin = { roomId: view.roomId, place: back ? behind(upTo) : { major: 0, minor: "" } };
    const start = given ?? placeToken(reading.tokens, origin);
    const last = ordered.at(-1);
    const isOver = within.length < nodes.length || !(back ? found.hasPreviousPage : found.hasNextPage);
    const end = last === undefined ? start : placeToken(reading.tokens, last);
    // Forwards there will be more; backwards the room has a beginning.
    return { chunk: await told(domain, ordered), start, ...(back && isOver ? {} : { end }) };
  }

  /** What a sync gave counts as well: it stands behind all that happened up to it. */
  function fromOf(requester: Requester, { roomId }: RoomView, given: string): string {
    if (!given.startsWith("s1.")) return given;
    const { position } = reading.tokens.readStream(given.replace(/~.*$/s, ""), requester);
    return placeToken(reading.tokens, { roomId, place: behind(position ?? reading.head.position) });
  }

  async function context(requester: Requester, view: RoomView, eventId: string, query: z.output<typeof contextQuery>) {
    const event = await eventOf(requester, view, eventId);
    const definition = definitionOf(query.filter);
    const count = Math.min(query.limit ?? definition.limit ?? defaultLimit, maxPage);
    const limits = { before: Math.floor(count / 2), after: Math.ceil(count / 2) };
    const window = await contextWindow(reading, view, event, {
      ...limits,
      filter: filterOf({ ...definition, limit: null }),
    });
    const nodes = window.events.edges.map(({ node }) => node).filter(isStored);
    const middle = nodes.findIndex((node) => node.eventId === event.eventId);
    const [earlier, later] = [nodes.slice(0, middle).reverse(), nodes.slice(middle + 1)];
    const [json] = await told(domain, [event]);
    if (json === undefined) throw eventNotFound();
    const atEnd = window.end === null ? [] : await stateOf({ ...view, until: window.end });
    return {
      ...{ event: json, events_before: await told(domain, earlier), events_after: await told(domain, later) },
      start: placeToken(reading.tokens, nodes[0]!),
      end: placeToken(reading.tokens, nodes.at(-1)!),
      state: atEnd,
    };
  }

  async function eventOf(requester: Requester, { roomId }: RoomView, eventId: string): Promise<StoredEvent> {
    const event = (await visibleEvents(reading, requester.userId, [eventId])).get(eventId);
    if (event === undefined || event.roomId !== roomId) throw eventNotFound();
    return event;
  }

  return (routes) => {
    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/state"), answer: z.array(olderEvent) },
      summary: "The state of a room, as events.",
      handle: async ({ requester, params: { roomId = "" } }) => stateOf(await viewOf(domain, requester, roomId)),
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/state/:type/:key?"), query: stateQuery },
      summary: "The content of one event of a room's state.",
      answer: z.looseObject({}),
      async handle({ requester, params: { roomId = "", type = "", key = "" }, query: { format } }) {
        const event = await slotOf(await viewOf(domain, requester, roomId), type, key);
        return format === "event" ? event : event.content;
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/members"), query: membersQuery, answer: z.object(chunk) },
      summary: "The memberships of a room, as events.",
      async handle({ requester, params: { roomId = "" }, query: { membership, not_membership: not } }) {
        const members = await stateOf(await viewOf(domain, requester, roomId), "m.room.member");
        const passes = (is: unknown): boolean => (membership === undefined || is === membership) && is !== not;
        return { chunk: members.filter(({ content }) => passes(content["membership"])) };
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/joined_members") },
      summary: "Who is in a room, with the names and pictures that it shows of them.",
      answer: z.object({ joined: z.record(z.string(), joinedMember) }),
      async handle({ requester, params: { roomId = "" } }) {
        const members = await stateOf(await viewOf(domain, requester, roomId), "m.room.member");
        const joined = members.filter(({ content }) => content["membership"] === "join");
        const entries = joined.map(({ state_key: userId, content }) => {
          const shown = { display_name: textOf(content["displayname"]), avatar_url: textOf(content["avatar_url"]) };
          return [userId ?? "", shown] as const;
        });
        return { joined: Object.fromEntries(entries) };
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/event/:eventId"), answer: olderEvent },
      summary: "One event.",
      async handle({ requester, params: { roomId = "", eventId = "" } }) {
        const view = await viewOf(domain, requester, roomId);
        const [json] = await told(domain, [await eventOf(requester, view, eventId)]);
        if (json === undefined) throw eventNotFound();
        return json;
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/messages"), query: messagesQuery },
      summary: "A page of what happened in a room.",
      answer: z.object({ ...chunk, ...places }),
      handle: async ({ requester, params: { roomId = "" }, query }) =>
        page(requester, await viewOf(domain, requester, roomId), query),
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/context/:eventId"), query: contextQuery },
      summary: "What happened around an event, and the state at the end of that.",
      answer: z.object({
        ...{ event: olderEvent, events_before: z.array(olderEvent), events_after: z.array(olderEvent) },
        ...{ ...places, state: z.array(olderEvent) },
      }),
      handle: async ({ requester, params: { roomId = "", eventId = "" }, query }) =>
        context(requester, await viewOf(domain, requester, roomId), eventId, query),
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/initialSync"), query: z.object({ limit }) },
      summary: "A room's state and the end of its timeline.",
      answer: z.object({
        ...{ room_id: z.string(), membership: z.string(), visibility: z.enum(["public", "private"]) },
        messages: z.object({ ...chunk, ...places }),
        state: z.array(olderEvent),
        ...{ presence: z.array(z.never()), receipts: z.array(z.never()), account_data: z.array(z.never()) },
      }),
      async handle({ requester, params: { roomId = "" }, query }) {
        const view = await viewOf(domain, requester, roomId);
        const newest = await page(requester, view, { dir: "b", limit: query.limit });
        return {
          ...{ room_id: roomId, membership: view.membership ?? "leave" },
          visibility: view.published ? ("public" as const) : ("private" as const),
          // Its events run the way that they happened.
          messages: { ...newest, chunk: newest.chunk.reverse() },
          state: await stateOf(view),
          ...{ presence: [], receipts: [], account_data: [] },
        };
      },
    });

    routes.call({
      ...{
        ...common,
        paths: clientPaths("/rooms/:roomId/aliases"),
        answer: z.object({ aliases: z.array(z.string()) }),
      },
      summary: "The aliases of a room.",
      async handle({ requester, params: { roomId = "" } }) {
        const view = await viewOf(domain, requester, roomId);
        return { aliases: await roomAliases(reading, view) };
      },
    });
  };
}

/** What a filter in an address asks for; throws `BAD_INPUT`. */
function definitionOf(text: string | undefined): FilterInput & { limit: number | null } {
  if (text === undefined) return filterOfOlder({});
  try {
    return filterOfOlder(JSON.parse(text));
  } catch (error) {
    throw error instanceof HearthError ? error : badInput("filter", "is no JSON");
  }
}

/** Whether an event comes before a place, in the direction of reading. */
function before(place: StoredEvent["place"], back: boolean): (event: StoredEvent) => boolean {
  return (event) => (back ? comparePlaces(event.place, place) > 0 : comparePlaces(event.place, place) < 0);
}

function isStored(event: AnyEvent): event is StoredEvent {
  return event.kind !== "EPHEMERAL";
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
