import type { StoredEvent } from "../../src/model/event.ts";
import type { Entry } from "../kit/mirror/entry.ts";
import type { Snapshot } from "../kit/mirror/snapshot.ts";
import { inOrder, type HeldEvent, type HeldMove, type Journal } from "./journal.ts";

type Reach = "own" | "others" | "all";

/**
 * Whom each move of a marker reaches: a private one its user alone; a public one everybody, but for its user while they
 * have a private one further on. Throws when a marker moved back. [ACT-11]
 */
export function reachOfMoves(moves: readonly HeldMove[]): Map<string, Reach> {
  const slots = new Map<string, { open: HeldMove | null; secret: HeldMove | null }>();
  const reach = new Map<string, Reach>();
  for (const move of moves) {
    const name = `${move.room} ${move.user} ${move.kind}`;
    const { open, secret } = slots.get(name) ?? { open: null, secret: null };
    for (const before of move.private ? [open, secret] : [open]) {
      if (before !== null && inOrder(before, move) >= 0) throw new Error(`[ACT-11] ${move.id} moved ${name} back`);
    }
    const behind = !move.private && secret !== null && inOrder(secret, move) > 0;
    reach.set(move.id, move.private ? "own" : behind ? "others" : "all");
    slots.set(name, move.private ? { open, secret: move } : { open: move, secret: behind ? secret : null });
  }
  return reach;
}

/** Where the markers of a room stand for a viewer: their own furthest, of others the public ones. By slot. */
function markersFor(viewer: string, roomId: string, moves: readonly HeldMove[]): Map<string, HeldMove> {
  const standing = new Map<string, HeldMove>();
  for (const move of moves) {
    if (move.room !== roomId || (move.private && move.user !== viewer)) continue;
    const slot = `m.room.marker.${move.kind} ${move.user}`;
    const before = standing.get(slot);
    // Where both stand at the same place, the public one says all that there is to say.
    const ahead = before === undefined ? 1 : inOrder(move, before);
    if (ahead > 0 || (ahead === 0 && !move.private)) standing.set(slot, move);
  }
  return standing;
}

/** Throws unless the markers in a fresh sync are those that the journal leads to: at rest all agree on the public ones. */
export function expectMarkers(viewer: string, { rooms }: Snapshot, { moves }: Journal): void {
  for (const { roomId, state } of rooms) {
    const shown = state.filter(isMarker).map((event) => `${event.type} ${event.stateKey} ${event.eventId}`);
    const due = [...markersFor(viewer, roomId, moves)].map(([slot, { id }]) => `${slot} ${id}`);
    if (shown.sort().join("\n") === due.sort().join("\n")) continue;
    throw new Error(`[ACT-11] markers of ${roomId} for ${viewer}:\n${shown.join("\n")}\ninstead of\n${due.join("\n")}`);
  }
}

/**
 * Throws when something that a user was shown is another one's private marker, or moved back. Each list is one way by which
 * the markers came: the stream, or one sync after the other. [ACT-11]
 */
export function expectShown(viewer: string, ways: readonly (readonly StoredEvent[])[], { moves }: Journal): void {
  const byId = new Map(moves.map((move) => [move.id, move]));
  for (const shown of ways) {
    const last = new Map<string, HeldMove>();
    for (const event of shown) {
      const move = byId.get(event.eventId);
      if (move === undefined) throw new Error(`${viewer} was shown ${event.eventId}, which moved no marker`);
      const marked = (JSON.parse(event.content ?? "{}") as { event_id?: string }).event_id;
      if (move.user !== event.stateKey || move.marked !== marked) {
        throw new Error(`${viewer} was shown ${event.eventId} of ${event.stateKey} at ${marked}, which is another's`);
      }
      if (move.private && move.user !== viewer) {
        throw new Error(`[ACT-11] ${viewer} was shown ${move.id}, a private marker of ${move.user}`);
      }
      const slot = `${move.room} ${move.user} ${move.kind}`;
      const before = last.get(slot);
      if (before !== undefined && inOrder(before, move) > 0) {
        throw new Error(`[ACT-11] ${viewer} saw ${slot} move back from ${before.id} to ${move.id}`);
      }
      last.set(slot, move);
    }
  }
}

export function isMarker({ type }: Pick<StoredEvent, "type">): boolean {
  return type.startsWith("m.room.marker.");
}

/** What unread messages are counted from. */
interface Counted {
  viewer: string;
  roomId: string;
  /** Oldest first. */
  timeline: readonly Entry[];
  /** Whether the room has more than the timeline holds. */
  moreBefore: boolean;
}

/**
 * How many messages by others stand behind the viewer's read marker, or their join where they have none, and how many of
 * them mention the viewer: without redacted ones, and what belongs to other messages. [ACT-11] Null when the timeline
 * doesn't go back that far.
 */
export function unreadIn(
  { viewer, roomId, timeline, moreBefore }: Counted,
  { moves, events, rejected }: Journal,
): { count: number; highlight: number } | null {
  const join = events.findLast((event) => isOwnMembership(event, viewer, roomId) && !rejected.has(event.id))!;
  const from = markersFor(viewer, roomId, moves).get(`m.room.marker.read ${viewer}`) ?? join;
  const first = timeline[0];
  if (moreBefore && (first === undefined || inOrder(first.place, from) > 0)) return null;
  const unread = timeline.filter(({ place, facts }) => {
    const aside =
      facts.type === "m.room.redaction" || facts.updates !== null || facts.relatesTo.includes("m.annotation");
    const theirs = facts.stateKey === null && facts.sender !== viewer;
    return theirs && !aside && facts.redactedBy === null && inOrder(place, from) > 0;
  });
  const mentioning = unread.filter(({ facts }) => {
    const content = JSON.parse(facts.content ?? "{}") as { "m.mentions"?: { user_ids: string[] } };
    return content["m.mentions"]?.user_ids.includes(viewer);
  });
  return { count: unread.length, highlight: mentioning.length };
}

function isOwnMembership({ type, key, room, insertedAfter }: HeldEvent, userId: string, roomId: string): boolean {
  return type === "m.room.member" && key === userId && room === roomId && insertedAfter === null;
}
