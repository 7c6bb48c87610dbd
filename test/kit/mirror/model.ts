import { membershipSet } from "../../../src/domain/rules/membership.ts";
import type { StoredEvent } from "../../../src/model/event.ts";
import { comparePlaces, type Place } from "../../../src/model/order.ts";
import { entryOf, type Entry } from "./entry.ts";
import type { RoomSnapshot, Snapshot } from "./snapshot.ts";

/** A joined room as a client keeps it. */
export class RoomModel {
  /** By `type state-key`: the event that holds the slot, and its present content. */
  readonly state = new Map<string, { id: string; content: string | null }>();
  /** Oldest first, without children by `updates`, which are inside their parents. */
  timeline: Entry[];
  /** Every event of the timeline and every child in it, by id. */
  readonly #entries = new Map<string, Entry>();
  /** The entry of the timeline that an event is, or is inside of, by its id. */
  readonly #roots = new Map<string, Entry>();

  constructor({ state, timeline }: Pick<RoomSnapshot, "state" | "timeline">) {
    this.timeline = [];
    for (const event of state) this.#setState(event);
    for (const entry of timeline) this.#append(entry);
  }

  /** Whether the room was read when the event had happened already. Children by `updates` can't be told by their place. */
  holds({ place, updatesId, eventId }: StoredEvent): boolean {
    if (updatesId !== null) return this.#entries.has(eventId);
    const last = this.timeline.at(-1);
    return last !== undefined && comparePlaces(place, last.place) <= 0;
  }

  /** Takes an event of the stream that it doesn't hold yet. */
  take(event: StoredEvent): void {
    if (event.insertedAfterId !== null) return this.#insert(event);
    if (event.stateKey !== null) this.#setState(event);
    // Markers are state, but stand in no timeline. [ACT-11]
    if (event.marker !== null) return;
    if (event.redactsId !== null) this.#redact(event.redactsId, event.eventId);
    if (event.updatesId !== null) this.#addChild(event, event.updatesId);
    else this.#append(entryOf(event));
  }

  /** Takes what changed since the token that a sync started from; gives the ids that it had already. [SYN-2, SYN-11] */
  takeDifference({ state, timeline, changed }: RoomSnapshot): string[] {
    const repeated: string[] = [];
    for (const event of state) this.#setState(event);
    for (const { id, facts, children } of changed) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      entry.facts = facts;
      this.#adopt(entry, children);
    }
    for (const entry of timeline) {
      if (this.#entries.has(entry.id)) repeated.push(entry.id);
      else this.#append(entry);
    }
    return repeated;
  }

  #setState(event: StoredEvent): void {
    const slot = `${event.type} ${event.stateKey}`;
    if (event.content === null) this.state.delete(slot);
    else this.state.set(slot, { id: event.eventId, content: event.content });
  }

  #append(entry: Entry): void {
    this.timeline.push(entry);
    this.#register(entry);
  }

  #register(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    this.#roots.set(entry.id, entry);
    this.#adopt(entry, entry.children);
  }

  #adopt(entry: Entry, children: Entry[]): void {
    entry.children = children;
    for (const child of children) {
      this.#entries.set(child.id, child);
      this.#roots.set(child.id, entry);
    }
  }

  /** Out-of-order events come after the one that they name, in their order among others there; they set no state. [EVS-6] */
  #insert(event: StoredEvent): void {
    // What the room was read with, and what is older than the timeline.
    const first = this.timeline[0];
    if (this.#entries.has(event.eventId) || first === undefined || comparePlaces(event.place, first.place) < 0) return;
    const entry = entryOf(event);
    const next = this.timeline.findIndex(({ place }) => comparePlaces(place, event.place) > 0);
    this.timeline.splice(next < 0 ? this.timeline.length : next, 0, entry);
    this.#register(entry);
  }

  /** Children of what is older than the timeline are left to whoever scrolls back. */
  #addChild(event: StoredEvent, parentId: string): void {
    const root = this.#roots.get(parentId);
    if (root === undefined) return;
    const byPlace = (one: { place: Place }, other: { place: Place }): number => comparePlaces(one.place, other.place);
    this.#adopt(root, [...root.children, entryOf(event)].sort(byPlace));
  }

  #redact(targetId: string, redactedBy: string): void {
    const target = this.#entries.get(targetId);
    if (target !== undefined && target.facts.redactedBy === null) {
      // A deletion has no content that could go.
      const content = target.facts.content === null ? null : "{}";
      // Nor does a key, which is text as well, stay in its relations.
      const relations = JSON.parse(target.facts.relatesTo) as { key: string | null }[];
      const relatesTo = JSON.stringify(relations.map((relation) => ({ ...relation, key: null })));
      target.facts = { ...target.facts, content, relatesTo, redactedBy };
    }
    for (const held of this.state.values()) if (held.id === targetId) held.content = "{}";
  }
}

/** All that a client keeps of its user's rooms and invites. */
export class ClientModel {
  readonly rooms = new Map<string, RoomModel>();
  /** The open invites: event ids by room. */
  readonly invites = new Map<string, string>();
  readonly #userId: string;

  constructor(userId: string) {
    this.#userId = userId;
  }

  /** Takes a sync, whole or from the token that the model stands at; gives the ids of events that it had already. */
  takeSnapshot({ rooms, invites, left }: Snapshot): string[] {
    this.invites.clear();
    for (const invite of invites) this.invites.set(invite.roomId, invite.eventId);
    for (const roomId of left) this.rooms.delete(roomId);
    return rooms.flatMap((room) => this.takeRoom(room));
  }

  /** Takes one room of a sync; gives the ids of events that it had already. */
  takeRoom(room: RoomSnapshot): string[] {
    const known = this.rooms.get(room.roomId);
    if (room.incremental && known !== undefined) return known.takeDifference(room);
    if (room.incremental) throw new Error(`an incremental ${room.roomId}, which wasn't joined at the token`);
    this.rooms.set(room.roomId, new RoomModel(room));
    return [];
  }

  /** Takes an event of the stream; true when the room has to be read anew because the user joined it. */
  take(event: StoredEvent): boolean {
    const room = this.rooms.get(event.roomId);
    if (event.insertedAfterId === null && room?.holds(event)) return false;
    if (event.type === "m.room.member" && event.stateKey === this.#userId && event.insertedAfterId === null) {
      return this.#moveMembership(event);
    }
    room?.take(event);
    return false;
  }

  #moveMembership(event: StoredEvent): boolean {
    const membership = membershipSet(event);
    this.rooms.delete(event.roomId);
    this.invites.delete(event.roomId);
    if (membership === "invite") this.invites.set(event.roomId, event.eventId);
    return membership === "join";
  }
}
