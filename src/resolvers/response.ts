import { everything, pageSize, readFilter } from "../domain/filters.ts";
import { roomPage } from "../domain/reading/pages.ts";
import { stateConnection } from "../domain/reading/roomStates.ts";
import type { EventConnection as EventPage, StateConnection as StatePage } from "../model/connection.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import { builder, usualPage } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { StateConnection } from "../schema/eventConnection.ts";
import { EventConnection, Room, StateEvent } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { domainOf } from "./context.ts";

/** Events of a response that names no number: enough to fill a screen. [JOI-2] */
const defaultResponse = 30;

export const ResponseInput = builder.inputType("ResponseInput", {
  description: "What of the outcome comes back: without it nothing, as `{}` everything. [JOI-2]",
  fields: (t) => ({
    filter: t.field({ type: "FilterToken" }),
    stateFilter: t.field({ type: "FilterToken" }),
    limit: t.int(),
  }),
});

interface Asked {
  filter: Filter;
  stateFilter: Filter;
  limit: number;
}

/** What a room's action gave, and what of the room is to come back. */
export interface Entered {
  event: StoredEvent;
  actionId: string | null;
  asked: Asked | null;
}

/** Reads what is asked for, before anything is done: a bad token stops the action. Throws `BAD_TOKEN`, `BAD_INPUT`. */
export function readResponse(
  response: { filter?: string | null; stateFilter?: string | null; limit?: number | null } | null | undefined,
  context: Context,
): Asked | null {
  if (!response) return null;
  const { tokens } = domainOf(context);
  const filter = readFilter(tokens, response.filter);
  return {
    filter,
    stateFilter: readFilter(tokens, response.stateFilter),
    limit: pageSize(response.limit, filter, defaultResponse),
  };
}

const nothing = { edges: [], hasPreviousPage: false, hasNextPage: false };

async function stateOf({ event, asked }: Entered, args: Paging, context: Context): Promise<StatePage> {
  if (asked === null) return nothing;
  const { reading } = domainOf(context);
  const room = { view: await roomOf(event, context), at: reading.head.position, since: null };
  return stateConnection(reading, room, { ...args, filter: asked.stateFilter, markers: "sync" });
}

async function timelineOf({ event, asked }: Entered, context: Context): Promise<EventPage> {
  if (asked === null) return { ...nothing, filter: everything, before: null };
  const { reading } = domainOf(context);
  return roomPage(reading, await roomOf(event, context), { last: asked.limit }, asked.filter);
}

interface Paging {
  first?: number | null;
  after?: string | null;
}

/** The payload of entering a room: by making it, or by joining it. */
export function enteredPayload(name: string) {
  return builder.objectRef<Entered>(name).implement({
    fields: (t) => ({
      room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }),
      event: t.field({ type: StateEvent, resolve: ({ event }) => event }),
      state: t.field({
        type: StateConnection,
        description: "Empty unless `response` was given.",
        args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
        complexity: usualPage.state,
        resolve: stateOf,
      }),
      timeline: t.field({
        type: EventConnection,
        description: "Empty unless `response` was given; `pageInfo` tells whether there is more.",
        complexity: usualPage.events,
        resolve: (entered, _args, context) => timelineOf(entered, context),
      }),
      actionId: t.exposeString("actionId", { nullable: true }),
    }),
  });
}
