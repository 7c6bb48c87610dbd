import { contextWindow, type ContextWindow as WindowShape } from "../domain/reading/contextWindow.ts";
import { pageOverview, type PageOverview as OverviewShape } from "../domain/reading/overview.ts";
import { childPages, listedBy } from "../domain/reading/relations.ts";
import { stateConnection } from "../domain/reading/roomStates.ts";
import { readFilter } from "../domain/filters.ts";
import { eventNotFound } from "../model/errors.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import { isEventId } from "../model/ids.ts";
import { builder, pageCost, usualPage } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { StateConnection } from "../schema/eventConnection.ts";
import { Event, EventConnection } from "../schema/refs.ts";
import { domainOf, signedIn } from "./context.ts";
import { FilterInput } from "./filters.ts";
import { visibleRoom } from "./scrollback.ts";

const ContextWindow = builder.objectRef<WindowShape & { stateFilter: Filter }>("ContextWindow").implement({
  fields: (t) => ({
    event: t.field({ type: Event, resolve: ({ event }) => event }),
    events: t.field({
      type: EventConnection,
      description: "All events of the window in order, the event itself always included; cursors go either way.",
      complexity: usualPage.events,
      resolve: ({ events }) => events,
    }),
    state: t.field({
      type: StateConnection,
      description: "Room state at the end of the window.",
      args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
      complexity: usualPage.state,
      async resolve({ view, end, stateFilter }, args, context) {
        if (end === null) return { edges: [], hasPreviousPage: false, hasNextPage: false };
        const room = { view, at: end, since: null };
        return stateConnection(domainOf(context).reading, room, {
          ...args,
          filter: stateFilter,
          markers: "none",
        });
      },
    }),
  }),
});

builder.queryField("contextWindow", (t) =>
  t.field({
    type: ContextWindow,
    nullable: true,
    description: "The window around one event. [CTX]",
    args: {
      eventId: t.arg.id({ required: true }),
      before: t.arg.int({ required: true, defaultValue: 10 }),
      after: t.arg.int({ required: true, defaultValue: 10 }),
      filter: t.arg({ type: "FilterToken" }),
      stateFilter: t.arg({ type: "FilterToken" }),
      tweak: t.arg({ type: FilterInput }),
    },
    async resolve(_root, { eventId, before, after, ...args }, context) {
      const { tokens, reading } = domainOf(context);
      const event = await visibleEvent(eventId, context);
      const view = await visibleRoom(event.roomId, context);
      const filter = readFilter(tokens, args.filter, args.tweak);
      const stateFilter = readFilter(tokens, args.stateFilter);
      return { ...(await contextWindow(reading, view, event, { before, after, filter })), stateFilter };
    },
  }),
);

const PageRef = builder.objectRef<OverviewShape["pages"][number]>("PageRef").implement({
  description:
    "`scrollback(first: perPage, after: after, filter: the same)` gives the page; the oldest is page 1 with a null token. [OVR-1]",
  fields: (t) => ({
    number: t.exposeInt("number"),
    after: t.expose("after", { type: "ChunkToken", nullable: true }),
  }),
});

const PageOverview = builder.objectRef<OverviewShape>("PageOverview").implement({
  fields: (t) => ({
    pages: t.field({ type: [PageRef], resolve: ({ pages }) => pages }),
    totalEvents: t.exposeInt("totalEvents"),
  }),
});

builder.queryField("pageOverview", (t) =>
  t.field({
    type: PageOverview,
    nullable: true,
    description: "Every page of a room, as a snapshot: page X of Y. [OVR]",
    args: {
      roomId: t.arg.id({ required: true }),
      perPage: t.arg.int({ required: true, defaultValue: 20 }),
      filter: t.arg({ type: "FilterToken" }),
      tweak: t.arg({ type: FilterInput }),
    },
    async resolve(_root, { roomId, perPage, filter, tweak }, context) {
      const { tokens, reading } = domainOf(context);
      const view = await visibleRoom(roomId, context);
      return pageOverview(reading, view, perPage, readFilter(tokens, filter, tweak));
    },
  }),
);

builder.queryField("relations", (t) =>
  t.field({
    type: EventConnection,
    nullable: true,
    description: "Child events that relate to an event. Without paging arguments: the newest page. [REL]",
    args: {
      eventId: t.arg.id({ required: true }),
      relType: t.arg.string(),
      eventType: t.arg.string(),
      first: t.arg.int(),
      after: t.arg({ type: "ChunkToken" }),
      last: t.arg.int(),
      before: t.arg({ type: "ChunkToken" }),
      filter: t.arg({ type: "FilterToken" }),
    },
    complexity: pageCost(20),
    async resolve(_root, { eventId, filter, ...args }, context) {
      const { tokens, reading } = domainOf(context);
      const event = await visibleEvent(eventId, context);
      const view = await context.load.room(event.roomId);
      const [page] = await childPages(reading, [{ event, view }], listedBy(args, readFilter(tokens, filter)));
      return page!;
    },
  }),
);

/** An event that the requester may see, else `NOT_FOUND`. [EV-9] */
async function visibleEvent(eventId: string, context: Context): Promise<StoredEvent> {
  signedIn(context);
  const event = isEventId(eventId) ? await context.load.event(eventId) : null;
  if (event === null) throw eventNotFound();
  return event;
}
