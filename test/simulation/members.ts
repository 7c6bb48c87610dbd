import { membershipSet } from "../../src/domain/rules/membership.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import type { ActionName } from "./schedule.ts";

/** Who is where, as far as answers have told: good enough for choosing what will mostly be allowed. */
export class Members {
  readonly #memberships = new Map<string, { position: number; membership: string }>();

  learn(events: readonly StoredEvent[]): void {
    for (const event of events) {
      if (event.type !== "m.room.member") continue;
      const key = `${event.roomId} ${event.stateKey}`;
      if ((this.#memberships.get(key)?.position ?? 0) > event.position) continue;
      this.#memberships.set(key, { position: event.position, membership: membershipSet(event) ?? "none" });
    }
  }

  /** The user if their membership is one of these, else somebody whose is; null when there is nobody. */
  oneWith(memberships: readonly string[], roomId: string, userIds: readonly string[], first: string): string | null {
    const fits = (userId: string): boolean => memberships.includes(this.#of(roomId, userId));
    return fits(first) ? first : (userIds.find(fits) ?? null);
  }

  #of(roomId: string, userId: string): string {
    return this.#memberships.get(`${roomId} ${userId}`)?.membership ?? "none";
  }
}

/** Memberships of whoever acts that let them; everything else is done by those who are in the room. */
export const actors: Partial<Record<ActionName, readonly string[]>> = {
  join: ["invite", "leave", "none"],
  reject: ["invite"],
  createRoom: ["none", "invite", "join", "leave", "ban"],
  rejectEvent: ["none", "invite", "join", "leave", "ban"],
  refused: ["none", "invite", "join", "leave", "ban"],
};

/** Memberships of those whom it is done to. */
export const targets: Partial<Record<ActionName, readonly string[]>> = {
  invite: ["leave", "none", "invite"],
  kick: ["join", "invite"],
  ban: ["join", "invite", "leave", "none"],
  unban: ["ban"],
};
