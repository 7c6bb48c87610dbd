import type { Edge, StateConnection as StatePage } from "../model/connection.ts";
import type { AnyEvent, StoredEvent } from "../model/event.ts";
import { filterOf, type Filter } from "../model/filter.ts";
import { builder } from "./builder.ts";
import { PageInfo, totalOf } from "./connections.ts";
import { shapedJson, stateJson } from "./eventJson.ts";
import { Event, EventConnection, StateEvent } from "./refs.ts";

/** An entry of a page, with the filter that shapes it: what has an id can't depend on that. */
interface ShapedEdge<T> {
  edge: Edge<T>;
  filter: Filter;
}

const unfiltered = filterOf();

const EventEdge = builder.objectRef<ShapedEdge<AnyEvent>>("EventEdge").implement({
  fields: (t) => ({
    cursor: t.field({ type: "ChunkToken", resolve: ({ edge }) => edge.cursor }),
    node: t.field({ type: Event, resolve: ({ edge }) => edge.node }),
    json: t.field({
      type: "JSONObject",
      description: "In the format, with the fields and the bundles, that the filter in force asked for.",
      resolve: ({ edge, filter }, _args, context) => shapedJson(edge.node, filter, context),
    }),
    bundledReplies: t.field({
      type: EventConnection,
      nullable: true,
      description: "The children that the filter in force bundles. [REL-2]",
      complexity: { field: 1, multiplier: 10 },
      resolve: ({ edge: { node }, filter }, _args, context) =>
        node.kind === "MESSAGE" && filter.definition.bundleRelations > 0
          ? context.load.bundledReplies(node, filter)
          : null,
    }),
  }),
});

EventConnection.implement({
  fields: (t) => ({
    edges: t.field({
      type: [EventEdge],
      complexity: { field: 0, multiplier: 1 },
      resolve: ({ edges, filter }) => edges.map((edge) => ({ edge, filter })),
    }),
    nodes: t.field({
      type: [Event],
      complexity: { field: 0, multiplier: 1 },
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.field({ type: PageInfo, complexity: 0, resolve: (page) => page }),
    moreBefore: t.int({
      nullable: true,
      description: 'How many more events lie before this chunk, as an estimate: "and X more". [SCR-5]',
      resolve: ({ before, filter, hasPreviousPage }, _args, context) =>
        before === null ? null : hasPreviousPage ? context.load.moreBefore(before, filter) : 0,
    }),
  }),
});

const StateEdge = builder.objectRef<ShapedEdge<StoredEvent>>("StateEdge").implement({
  fields: (t) => ({
    cursor: t.field({ type: "ChunkToken", resolve: ({ edge }) => edge.cursor }),
    node: t.field({ type: StateEvent, resolve: ({ edge }) => edge.node }),
    json: t.field({
      type: "JSONObject",
      description: "The event as one JSON document, without what it replaced. [SYN-10]",
      resolve: ({ edge, filter }, _args, context) => stateJson(edge.node, filter, context),
    }),
  }),
});

export const StateConnection = builder.objectRef<StatePage>("StateConnection").implement({
  fields: (t) => ({
    edges: t.field({
      type: [StateEdge],
      complexity: { field: 0, multiplier: 1 },
      resolve: ({ edges, filter }) => edges.map((edge) => ({ edge, filter: filter ?? unfiltered })),
    }),
    nodes: t.field({
      type: [StateEvent],
      complexity: { field: 0, multiplier: 1 },
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.field({ type: PageInfo, complexity: 0, resolve: (page) => page }),
    totalCount: t.int({ resolve: totalOf }),
  }),
});
