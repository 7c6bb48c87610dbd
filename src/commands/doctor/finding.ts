import { plainMessage } from "../problem.ts";

/** What a check found, and what to do about it. */
export interface Finding {
  level: "ok" | "warning" | "problem";
  /** What was looked at, such as `store`. */
  about: string;
  what: string;
  /** Null where there is nothing to do. */
  todo: string | null;
  /** False: what else would be looked at there can't be. */
  usable?: false;
}

export type Findings = AsyncIterable<Finding> | Iterable<Finding>;

export const ok = (about: string, what: string): Finding => ({ level: "ok", about, what, todo: null });
export const warning = (about: string, what: string, todo: string): Finding => ({
  level: "warning",
  about,
  what,
  todo,
});
export const problem = (about: string, what: string, todo: string): Finding => ({
  level: "problem",
  about,
  what,
  todo,
});

/** What an error says, in one line, and no more than that: answers of others may hold anything. */
export function short(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const inner = cause instanceof Error ? plainMessage(cause) : "";
  const text = [plainMessage(error), inner].filter(Boolean).join(": ");
  return text.replace(/\s+/g, " ").slice(0, 200);
}
