import { z } from "zod";
import { badInput } from "./errors.ts";

/** Parses `value` by `schema`, or throws `BAD_INPUT` that names the first offending field. */
export function check<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.map(String).join(".") || "input";
  const problem = issue?.message ?? "is not valid";
  throw badInput(field, problem);
}

/** A JSON object as it stands: zod's own records copy it and lose keys such as `__proto__`. */
export const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "is no JSON object",
);
