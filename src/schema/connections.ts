import type { InterfaceRef, ObjectRef } from "@pothos/core";
import type { Connection, Edge } from "../model/connection.ts";
import { builder, type Types } from "./builder.ts";

export const PageInfo = builder.objectRef<Connection<unknown>>("PageInfo").implement({
  fields: (t) => ({
    hasNextPage: t.exposeBoolean("hasNextPage"),
    hasPreviousPage: t.exposeBoolean("hasPreviousPage"),
    startCursor: t.field({
      type: "ChunkToken",
      nullable: true,
      resolve: (page) => page.start ?? page.edges[0]?.cursor ?? null,
    }),
    endCursor: t.field({
      type: "ChunkToken",
      nullable: true,
      resolve: (page) => page.end ?? page.edges.at(-1)?.cursor ?? null,
    }),
  }),
});

// Pothos's own types for refs differ by kind; a connection takes either.
type NodeRef<T> = ObjectRef<Types, T> | InterfaceRef<Types, T>;

/** Declares `<name>Connection` and `<name>Edge`; gives the former. */
export function connectionType<T extends object>(name: string, node: NodeRef<T>) {
  const edge = builder.objectRef<Edge<T>>(`${name}Edge`);
  edge.implement({
    fields: (t) => ({
      cursor: t.expose("cursor", { type: "ChunkToken" }),
      node: t.field({ type: node, resolve: (parent) => parent.node as never }),
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
      totalCount: t.int({ resolve: totalOf }),
    }),
  });
  return connection;
}

/** How many there are in all: what is on the page, where nothing else is said. */
export async function totalOf(page: Connection<unknown>): Promise<number> {
  return (await page.total?.()) ?? page.edges.length;
}
