import { z } from "zod";
import { badInput, HearthError } from "../../model/errors.ts";
import { checkProfileChange, type ProfileChange } from "../rules/profile.ts";
import type { OwnChanges } from "./roomProfile.ts";

/** The keys of a profile that memberships of the older form have. */
export const profileInMembership = z.strictObject({
  displayname: z.string().nullish(),
  avatar_url: z.string().nullish(),
});

/**
 * What members say of themselves in a membership of the older form: that goes before the global profile in the room, where
 * it isn't the same. [AS-13] Throws `BAD_INPUT` naming the key.
 */
export function saidInMembership(said: z.output<typeof profileInMembership>): OwnChanges {
  const changes = Object.entries(said).flatMap(([key, value]): ProfileChange[] =>
    value === undefined ? [] : [{ key, value: value === "" ? null : value }],
  );
  for (const change of changes) {
    try {
      checkProfileChange(change);
    } catch (error) {
      throw error instanceof HearthError ? badInput(change.key, "is nothing that a profile takes") : error;
    }
  }
  return (global) => changes.map(({ key, value }) => ({ key, value: value === global[key] ? null : value }));
}
