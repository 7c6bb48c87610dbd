import { filterOf, sparseDefinition, type Filter, type FilterInput } from "../model/filter.ts";
import { checkLimit } from "../model/paging.ts";
import type { Tokens } from "../model/tokens.ts";

/** The filter that lets everything pass. */
export const everything = filterOf();

/** A filter's token: it carries the definition, so that nothing is stored. [FIL-1] */
export function filterToken(tokens: Tokens, filter: Filter): string {
  return tokens.filter(sparseDefinition(filter.definition));
}

/**
 * The filter behind a token, or the one that lets everything pass when there is none, with single keys overridden by
 * `tweak`. [FIL-4] Throws `BAD_TOKEN`, or `BAD_INPUT` for the tweak.
 */
export function readFilter(tokens: Tokens, token: string | null | undefined, tweak?: FilterInput | null): Filter {
  if (token === null || token === undefined) return tweak ? filterOf({}, tweak) : everything;
  return filterOf(tokens.readFilter(token), tweak ?? null);
}

/** Page size: the call's own argument, else the override's, else the filter's, else the default. [FIL-4] */
export function pageSize(limit: number | null | undefined, filter: Filter, defaultLimit: number): number {
  return checkLimit(limit ?? filter.definition.limit ?? defaultLimit, "limit");
}
