import type { Membership } from "../../model/content/typed.ts";
import type { StoredEvent } from "../../model/event.ts";

/** The membership that a membership event sets; null when it deletes it. */
export function membershipSet(event: StoredEvent): Membership | null {
  if (event.content === null) return null;
  return (JSON.parse(event.content) as { membership?: Membership }).membership ?? null;
}
