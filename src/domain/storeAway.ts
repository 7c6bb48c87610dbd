import { overloaded, type HearthError } from "../model/errors.ts";
import { isStoreAway } from "../store/failures.ts";

/** What callers are told while the store is away, or has no room: with an action id they may try again in any case. */
export function storeUnreachable(): HearthError {
  return overloaded("The store is not reachable now; try again, with the same action id.");
}

/** The same for an error that means just that; null for any other. */
export function asStoreAway(error: unknown): HearthError | null {
  return isStoreAway(error) ? storeUnreachable() : null;
}
