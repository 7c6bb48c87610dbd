import { defaultFieldResolver, type GraphQLSchema } from "graphql";
import type { Context } from "../schema/context.ts";
import { domainOf } from "./context.ts";

/**
 * Has each field of a mutation counted as a change of who asks for it, so that one request with many of them counts as many.
 * What is too much is `RATE_LIMITED` at its field, and what came before it is done.
 */
export function countingChanges(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const { resolve = defaultFieldResolver } = field;
    field.resolve = (root, args, context: Context, info): unknown => {
      const { requester } = context;
      if (requester !== null) domainOf(context).limits.changes(requester);
      return resolve(root, args, context, info);
    };
  }
  return schema;
}
