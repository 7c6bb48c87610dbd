import SchemaBuilder from "@pothos/core";
import ComplexityPlugin from "@pothos/plugin-complexity";
import { HearthError } from "../model/errors.ts";
import type { Context } from "./context.ts";

interface SchemaTypes {
  Context: Context;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date | number };
    JSON: { Input: unknown; Output: unknown };
    JSONObject: { Input: Record<string, unknown>; Output: Record<string, unknown> };
    ChunkToken: { Input: string; Output: string };
    FilterToken: { Input: string; Output: string };
    StreamToken: { Input: string; Output: string };
  };
}

/** What one operation may cost, by its variables; other limits of documents are the transport's, which reads them. */
const maxComplexity = 50_000;

/** All types and root fields are added to this; `buildSchema` in the resolvers makes the schema of it. */
export const builder = new SchemaBuilder<SchemaTypes>({
  defaultFieldNullability: false,
  plugins: [ComplexityPlugin],
  complexity: {
    limit: { complexity: maxComplexity },
    defaultComplexity: 1,
    defaultListMultiplier: 10,
    complexityError: () =>
      new HearthError("TOO_COMPLEX", `The document's complexity is over the limit of ${maxComplexity}.`),
  },
});

/** For helpers that take the builder's refs. */
export type Types = typeof builder.$inferSchemaTypes;

/** What a paged field costs: its page's worth of whatever is selected below. */
export function pageCost(defaultLimit: number) {
  return (args: { first?: number | null; last?: number | null }) => ({
    field: 1,
    multiplier: Math.max(1, args.first ?? args.last ?? defaultLimit),
  });
}

/**
 * What pages cost whose size an argument further up decides, or the data: a field's cost is told from its own arguments
 * alone, so that these stand for what such a page holds.
 */
export const usualPage = {
  events: { field: 1, multiplier: 50 },
  state: { field: 1, multiplier: 20 },
  /** Rarely more than a few. */
  changed: { field: 1, multiplier: 5 },
  rooms: { field: 1, multiplier: 10 },
};
