import { filterToken, readFilter } from "../domain/filters.ts";
import { filterOf, type Filter as FilterShape, type FilterDefinition as DefinitionShape } from "../model/filter.ts";
import { builder } from "../schema/builder.ts";
import { EventFormat, RelationOrder } from "../schema/enums.ts";
import { domainOf } from "./context.ts";

export const FilterInput = builder.inputType("FilterInput", {
  description:
    "In lists of patterns `*` stands for any run of characters and a leading `-` excludes; an omitted list doesn't limit, an empty one matches nothing. [FIL-2, FIL-3]",
  fields: (t) => ({
    types: t.stringList({
      description: "A `state:`, `message:` or `ephemeral:` prefix limits a pattern to that kind.",
    }),
    rooms: t.stringList(),
    senders: t.stringList(),
    users: t.stringList({ description: "Whose presence and profile changes to receive." }),
    format: t.field({ type: EventFormat, description: "Event JSON in client form (default) or federation form." }),
    bundleUpdates: t.boolean({
      description:
        "Bundle `updates` children into their parents (default true); false: list them as events of their own.",
    }),
    bundleRelations: t.int({ description: "How many `relates_to` children to bundle into their parents (default 0)." }),
    relationTypes: t.stringList(),
    relationOrder: t.field({ type: RelationOrder }),
    children: t.boolean({
      description:
        "Whether events that relate to others are listed on their own (default: only when none are bundled).",
    }),
    fields: t.stringList({
      description: 'Keys of the event JSON to return, e.g. ["type", "content.body"]. Encrypted content is never cut.',
    }),
    limit: t.int({ description: "Page size for calls that name none." }),
  }),
});

const FilterDefinition = builder.objectRef<DefinitionShape>("FilterDefinition").implement({
  fields: (t) => ({
    types: t.exposeStringList("types", { nullable: true }),
    rooms: t.exposeStringList("rooms", { nullable: true }),
    senders: t.exposeStringList("senders", { nullable: true }),
    users: t.exposeStringList("users", { nullable: true }),
    format: t.expose("format", { type: EventFormat }),
    bundleUpdates: t.exposeBoolean("bundleUpdates"),
    bundleRelations: t.exposeInt("bundleRelations"),
    relationTypes: t.exposeStringList("relationTypes", { nullable: true }),
    relationOrder: t.expose("relationOrder", { type: RelationOrder }),
    children: t.boolean({ resolve: ({ children, bundleRelations }) => children ?? bundleRelations === 0 }),
    fields: t.exposeStringList("fields", { nullable: true }),
    limit: t.exposeInt("limit", { nullable: true }),
  }),
});

const Filter = builder.objectRef<FilterShape>("Filter").implement({
  fields: (t) => ({
    token: t.field({
      type: "FilterToken",
      resolve: (filter, _args, context) => filterToken(domainOf(context).tokens, filter),
    }),
    definition: t.field({ type: FilterDefinition, resolve: ({ definition }) => definition }),
  }),
});

builder.queryField("filter", (t) =>
  t.field({
    type: Filter,
    nullable: true,
    description:
      "Filter inputs to an opaque token. Pure: nothing is stored, and equal definitions give equal tokens. [FIL]",
    args: { definition: t.arg({ type: FilterInput, required: true }) },
    resolve: (_root, { definition }) => filterOf(definition),
  }),
);

builder.queryField("decodeFilter", (t) =>
  t.field({
    type: Filter,
    nullable: true,
    description: "What a filter token stands for.",
    args: { token: t.arg({ type: "FilterToken", required: true }) },
    resolve: (_root, { token }, context) => readFilter(domainOf(context).tokens, token),
  }),
);
