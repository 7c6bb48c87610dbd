import type { InterfaceRef, ObjectRef } from "@pothos/core";
import type { Connection, Edge } from "../model/connection.ts";
import { builder, type Types } from "./builder.ts";
import type { Context } from "./context.ts";

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

/**
 * Declares `<name>Connection` and `<name>Edge`; gives the former. With `paced` each node has a turn of its own, for lists
 * whose nodes are much work each.
 */
export function connectionType<T extends object>(name: string, node: NodeRef<T>, { paced = false } = {}) {
  async function inTurn(value: T, context: Context): Promise<T> {
    await context.pace.turn();
    return value;
  }
  const nodeOf = (value: T, context: Context): T | Promise<T> => (paced ? inTurn(value, context) : value);
  const edge = builder.objectRef<Edge<T>>(`${name}Edge`);
  edge.implement({
    fields: (t) => ({
      cursor: t.expose("cursor", { type: "ChunkToken" }),
      node: t.field({ type: node, resolve: (parent, _args, context) => nodeOf(parent.node, context) as never }),
    }),
  });
  const connection = builder.objectRef<Connection<T>>(`${name}Connection`);
  connection.implement({
    fields: (t) => ({
      edges: t.field({ type: [edge], complexity: { field: 0, multiplier: 1 }, resolve: (parent) => parent.edges }),
      nodes: t.field({
        type: [node],
        complexity: { field: 0, multiplier: 1 },
        resolve: (parent, _args, context) => parent.edges.map((each) => nodeOf(each.node, context)) as never,
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
