import type { Membership } from "../../model/content/typed.ts";
import type { StoredEvent } from "../../model/event.ts";
import { membershipSet } from "../rules/membership.ts";
import type { Follower } from "./follower.ts";

/** A user with open streams, and where they stand at the position that was passed last. */
interface Present {
  userId: string;
  joined: Set<string>;
  /** Rooms where they are invited or knocking: what ends that concerns them, too. */
  pending: Set<string>;
  followers: Set<Follower>;
}

/**
 * Who of the users with open streams sees an event as it passes. Memberships move with the events themselves, so that
 * they are those of the event's position and not of the time of delivery. [EV-9, STR-3]
 */
export class Audience {
  readonly #users = new Map<string, Present>();
  readonly #byRoom = new Map<string, Set<Present>>();

  /** Adds a follower, whose user's rooms at the present position are given. */
  add(follower: Follower, rooms: readonly { roomId: string; membership: Membership }[]): void {
    const { userId } = follower.base;
    let user = this.#users.get(userId);
    if (user === undefined) {
      user = { userId, joined: new Set(), pending: new Set(), followers: new Set() };
      this.#users.set(userId, user);
      for (const { roomId, membership } of rooms) this.#enter(user, roomId, membership);
    }
    user.followers.add(follower);
  }

  remove(follower: Follower): void {
    const user = this.#users.get(follower.base.userId);
    if (user === undefined || !user.followers.delete(follower) || user.followers.size > 0) return;
    for (const roomId of user.joined) this.#leave(user, roomId);
    this.#users.delete(user.userId);
  }

  /** The followers that get the event, in no particular order; moves memberships along. */
  *pass(event: StoredEvent): Iterable<Follower> {
    const subject =
      event.type === "m.room.member" && event.stateKey !== null ? this.#users.get(event.stateKey) : undefined;
    for (const user of this.#byRoom.get(event.roomId) ?? []) {
      if (user !== subject && reaches(event, user.userId)) yield* user.followers;
    }
    // The subject of a membership event sees it if it concerned them before or after: the kicked get their kick.
    if (subject !== undefined && this.#moveMembership(subject, event)) yield* subject.followers;
  }

  /** Rooms that a user with open streams is joined to; null for others. */
  roomsOf(userId: string): Iterable<string> | null {
    return this.#users.get(userId)?.joined ?? null;
  }

  /** The followers of users who are joined to any of these rooms, each once; rooms with more users are left out. */
  *inRooms(roomIds: Iterable<string>, largest: number): Iterable<Follower> {
    const users = new Set<Present>();
    for (const roomId of roomIds) {
      const present = this.#byRoom.get(roomId);
      if (present === undefined || present.size > largest) continue;
      for (const user of present) users.add(user);
    }
    for (const user of users) yield* user.followers;
  }

  of(userId: string): Iterable<Follower> {
    return this.#users.get(userId)?.followers ?? [];
  }

  all(): Iterable<Follower> {
    return [...this.#users.values()].flatMap((user) => [...user.followers]);
  }

  #moveMembership(user: Present, event: StoredEvent): boolean {
    const { roomId } = event;
    const concerned = user.joined.has(roomId) || user.pending.has(roomId);
    this.#leave(user, roomId);
    user.joined.delete(roomId);
    user.pending.delete(roomId);
    this.#enter(user, roomId, membershipSet(event));
    return concerned || user.joined.has(roomId) || user.pending.has(roomId);
  }

  #enter(user: Present, roomId: string, membership: Membership | null): void {
    if (membership === "invite" || membership === "knock") user.pending.add(roomId);
    if (membership !== "join") return;
    user.joined.add(roomId);
    const present = this.#byRoom.get(roomId);
    if (present) present.add(user);
    else this.#byRoom.set(roomId, new Set([user]));
  }

  #leave(user: Present, roomId: string): void {
    const present = this.#byRoom.get(roomId);
    if (present === undefined) return;
    present.delete(user);
    if (present.size === 0) this.#byRoom.delete(roomId);
  }
}

/** Whether an event is for this one of those in the room: a private marker is its user's alone. [ACT-11] */
function reaches({ marker, sender }: StoredEvent, userId: string): boolean {
  if (marker === null || marker === "all") return true;
  return (marker === "own") === (sender === userId);
}

/** The same judgement for one user, event by event, for events that passed before the user was in the audience. */
export class LoneObserver {
  readonly #joined = new Set<string>();
  readonly #pending = new Set<string>();
  readonly #userId: string;

  constructor(userId: string, rooms: readonly { roomId: string; membership: Membership }[]) {
    this.#userId = userId;
    for (const { roomId, membership } of rooms) (membership === "join" ? this.#joined : this.#pending).add(roomId);
  }

  sees(event: StoredEvent): boolean {
    const { roomId } = event;
    if (event.type !== "m.room.member" || event.stateKey !== this.#userId) {
      return this.#joined.has(roomId) && reaches(event, this.#userId);
    }
    const before = this.#joined.delete(roomId) || this.#pending.delete(roomId);
    const membership = membershipSet(event);
    if (membership === "join") this.#joined.add(roomId);
    if (membership === "invite" || membership === "knock") this.#pending.add(roomId);
    return before || this.#joined.has(roomId) || this.#pending.has(roomId);
  }

  rooms(): { roomId: string; membership: Membership }[] {
    return [
      ...[...this.#joined].map((roomId) => ({ roomId, membership: "join" as const })),
      ...[...this.#pending].map((roomId) => ({ roomId, membership: "invite" as const })),
    ];
  }
}
