import { badInput } from "./errors.ts";

/** Relay's paging arguments. */
export interface PagingArguments {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
}

/** Paging arguments made plain: how many, which way, and from which token on (null: from that way's end). */
export interface Paging {
  direction: "before" | "after";
  limit: number;
  token: string | null;
}

/** No page is larger. */
export const maxPage = 500;

/**
 * Reads paging arguments for a list that runs oldest first: without any, the newest page. [SCR-1]
 * Throws `BAD_INPUT` for contradictory ones, and for limits below 0 or above 500.
 */
export function readPaging({ first, after, last, before }: PagingArguments, defaultLimit: number): Paging {
  const forwards = defined(first) || defined(after);
  const backwards = defined(last) || defined(before);
  if (forwards && backwards) throw badInput(defined(last) ? "last" : "before", "can't go together with first or after");
  if (forwards) return { direction: "after", limit: checkLimit(first ?? defaultLimit, "first"), token: after ?? null };
  return { direction: "before", limit: checkLimit(last ?? defaultLimit, "last"), token: before ?? null };
}

/** A page size within 0 and 500, else `BAD_INPUT` naming the argument. */
export function checkLimit(limit: number, argument: string): number {
  if (limit < 0 || limit > maxPage) throw badInput(argument, `is not between 0 and ${maxPage}`);
  return limit;
}

function defined(value: unknown): boolean {
  return value !== null && value !== undefined;
}
