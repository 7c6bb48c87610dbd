import { z } from "zod";
import { badInput } from "./errors.ts";

/** Parses `value` by `schema`, or throws `BAD_INPUT` that names the first offending field, below `path` if there is one. */
export function check<T extends z.ZodType>(schema: T, value: unknown, path = ""): z.output<T> {
  const result = schema.safeParse(value, { error: problemOf });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = [...(path === "" ? [] : [path]), ...(issue?.path.map(String) ?? [])].join(".") || "input";
  throw badInput(field, issue?.message ?? "is not valid");
}

/** What is wrong, in words that go on after the name of a field; schemas may say it better. */
const problemOf: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "invalid_type") return issue.input === undefined ? "is missing" : `is no ${issue.expected}`;
  if (issue.code === "invalid_value") return `is none of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "unrecognized_keys") return `takes no key ${issue.keys.join(", ")}`;
  return undefined;
};

/** Text that can be stored as it stands. */
export const plainText = z
  .string()
  .refine((text) => !text.includes("\0") && text.isWellFormed(), "holds a NUL character or a lone surrogate");

/** A JSON object as it stands: zod's own records copy it and lose keys such as `__proto__`. */
export const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "is no JSON object",
);
