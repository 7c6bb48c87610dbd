import { HearthError } from "../../model/errors.ts";
import type { Requester } from "../../model/requester.ts";

/** Throws `FORBIDDEN` for who is no admin. Called before anything is looked at, so that the answer tells nothing else. */
export function demandAdmin(requester: Requester): void {
  if (!requester.admin) throw new HearthError("FORBIDDEN", "Only admins of this server may do this.");
}
