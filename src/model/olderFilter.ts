import { z } from "zod";
import { check } from "./check.ts";
import type { FilterInput } from "./filter.ts";
import { passes, patternsOf } from "./patterns.ts";
import { profileType } from "./profile.ts";

const list = z.array(z.string()).nullish();
const shape = z.object({
  ...{ types: list, not_types: list, senders: list, not_senders: list, rooms: list, not_rooms: list },
  limit: z.int().nullish(),
});

const memberType = "m.room.member";

/** A filter of events in the older form, as one of here; keys that it doesn't know are let pass. [AS-13] Throws `BAD_INPUT`. */
export function filterOfOlder(given: unknown): FilterInput & { limit: number | null } {
  const filter = check(shape, given, "filter");
  const types = joined(filter.types, filter.not_types);
  return {
    types: types === null ? null : [...types, ...ofProfiles(types)],
    senders: joined(filter.senders, filter.not_senders),
    rooms: joined(filter.rooms, filter.not_rooms),
    limit: filter.limit ?? null,
    // There edits are events like all others.
    bundleUpdates: false,
  };
}

/** One list of what is meant and what isn't; null where nothing is said. */
function joined(meant: string[] | null | undefined, not: string[] | null | undefined): string[] | null {
  // Nothing is meant: what is excluded besides makes it no more.
  if (meant?.length === 0) return [];
  if (!meant && !not?.length) return null;
  return [...(meant ?? []), ...(not ?? []).map((entry) => `-${entry}`)];
}

/** Changes of profiles are memberships there. */
function ofProfiles(types: readonly string[]): string[] {
  const patterns = patternsOf(types);
  if (passes(patterns, memberType) === passes(patterns, profileType)) return [];
  return [passes(patterns, memberType) ? profileType : `-${profileType}`];
}
