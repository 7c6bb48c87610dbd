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
