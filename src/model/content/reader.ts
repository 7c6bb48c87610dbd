import type { z } from "zod";
import type { AnyEvent } from "../event.ts";

/** A content of a well-known type, checked; `typename` is the GraphQL type, and the other keys are its fields. */
export interface TypedContent {
  typename: string;
  raw: Record<string, unknown>;
  [field: string]: unknown;
}

/** Turns content into the fields of a GraphQL type; null when the content isn't valid. */
export type ContentReader = (raw: Record<string, unknown>, event: AnyEvent) => TypedContent | null;

/** A reader from a zod schema and the fields that its output gives. */
export function reader<T extends z.ZodType>(
  typename: string,
  schema: T,
  fields: (content: z.output<T>, event: AnyEvent) => Record<string, unknown>,
): ContentReader {
  return (raw, event) => {
    const parsed = schema.safeParse(raw);
    return parsed.success ? { typename, raw, ...fields(parsed.data, event) } : null;
  };
}
