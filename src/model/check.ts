import { z } from "zod";
import { HearthError } from "./errors.ts";

/**
 * Parses `value` by `schema`, or throws `BAD_INPUT` that names the first offending field. A schema may raise another
 * code by an issue with `params: {code}`.
 */
export function check<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.map(String).join(".") || "input";
  const problem = issue?.message ?? "is not valid";
  const code = issue?.code === "custom" && issue.params?.["code"] === "TOO_LARGE" ? "TOO_LARGE" : "BAD_INPUT";
  throw new HearthError(code, `${field}: ${problem}`, { field });
}

/** A JSON object as it stands: zod's own records copy it and lose keys such as `__proto__`. */
export const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "is no JSON object",
);
