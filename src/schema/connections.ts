import type { InterfaceRef, ObjectRef } from "@pothos/core";
import type { Connection, Edge } from "../model/connection.ts";
import type { Context } from "./context.ts";
import { builder, type Types } from "./builder.ts";

const PageInfo = builder.objectRef<Connection<unknown>>("PageInfo").implement({
  fields: (t) => ({
    hasNextPage: t.exposeBoolean("hasNextPage"),
    hasPreviousPage: t.exposeBoolean("hasPreviousPage"),
    startCursor: t.field({ type: "ChunkToken", nullable: true, resolve: (page) => page.edges[0]?.cursor ?? null }),
    endCursor: t.field({ type: "ChunkToken", nullable: true, resolve: (page) => page.edges.at(-1)?.cursor ?? null }),
  }),
});

// Pothos's own types for refs differ by kind; a connection takes either.
type NodeRef<T> = ObjectRef<Types, T> | InterfaceRef<Types, T>;

export interface ConnectionOptions<T> {
  /** Adds `totalCount`; so it is unless this is false. */
  totals?: boolean;
  /** Adds `json` to the edges. */
  json?: (node: T, context: Context) => Promise<Record<string, unknown>>;
}

/** Declares `<name>Connection` and `<name>Edge`; gives the former. */
export function connectionType<T extends object>(name: string, node: NodeRef<T>, options: ConnectionOptions<T> = {}) {
  const { totals = true, json } = options;
  const edge = builder.objectRef<Edge<T>>(`${name}Edge`);
  edge.implement({
    fields: (t) => ({
      cursor: t.expose("cursor", { type: "ChunkToken" }),
      node: t.field({ type: node, resolve: (parent) => parent.node as never }),
      ...(json && {
        json: t.field({
          type: "JSONObject",
          description: "The event as one JSON document.",
          resolve: (parent, _args, context) => json(parent.node, context),
        }),
      }),
    }),
  });
  const connection = builder.objectRef<Connection<T>>(`${name}Connection`);
  connection.implement({
    fields: (t) => ({
      edges: t.field({ type: [edge], complexity: { field: 0, multiplier: 1 }, resolve: (parent) => parent.edges }),
      nodes: t.field({
        type: [node],
        complexity: { field: 0, multiplier: 1 },
        resolve: (parent) => parent.edges.map((each) => each.node) as never,
      }),
      pageInfo: t.field({ type: PageInfo, complexity: 0, resolve: (parent) => parent }),
      ...(totals
        ? { totalCount: t.int({ resolve: async (parent) => (await parent.total?.()) ?? parent.edges.length }) }
        : {}),
    }),
  });
  return connection;
}
