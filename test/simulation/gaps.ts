import type { Mirror } from "../kit/mirror.ts";
import { membershipMade, type HeldEvent, type HeldMove, type Journal } from "./journal.ts";
import { reachOfMoves } from "./markers.ts";

/** Something that a stream carries. */
interface Due {
  position: number;
  id: string;
  /** Whether it may be left out. */
  optional: boolean;
}

/**
 * Throws unless a mirror got each event and each move of a marker that its user may see exactly once, in stream order.
 * [STR-3] Left out may be a move that was superseded [EVS-5], and what depends on a membership that was rejected: live it
 * was judged as it seemed then, replayed it is judged as if it had never been. [EVS-7]
 */
export function expectGapFree({ requester, start, skipped, received }: Mirror, journal: Journal): void {
  const due = dueTo(requester.userId, journal).filter(
    ({ position }) => position > start && !skipped.some(({ after, to }) => position > after && position <= to),
  );
  const wanted = due.filter(({ optional }) => !optional).map(({ id }) => id);
  const got = new Set(received);
  const known = new Map(due.map(({ id, position }) => [id, position]));
  const missed = wanted.filter((id) => !got.has(id));
  const positions = received.map((id) => known.get(id) ?? NaN);
  const ordered = positions.every((position, index) => index === 0 || position > positions[index - 1]!);
  if (missed.length === 0 && ordered && !positions.includes(NaN)) return;
  throw new Error(
    [
      `the stream of ${requester.userId} wasn't gap-free:`,
      `  missed: ${missed.join(", ")}`,
      `  repeated: ${received.filter((id, index) => received.indexOf(id) !== index).join(", ")}`,
      `  not theirs to see: ${received.filter((id) => !known.has(id)).join(", ")}`,
      `  due, those in brackets perhaps: ${due.map(({ id, optional }) => (optional ? `(${id})` : id)).join(", ")}`,
      `  came in order: ${received.join(", ")}`,
    ].join("\n"),
  );
}

/** What happens in rooms while the user is in them, and what moves them into, out of or in front of a room. [EV-9] */
function dueTo(userId: string, { events, moves, rejected }: Journal): Due[] {
  const reach = reachOfMoves(moves);
  const reaching = moves.filter(({ id, user }) =>
    user === userId ? reach.get(id) !== "others" : reach.get(id) !== "own",
  );
  const superseded = new Set<string>();
  const newest = new Map<string, string>();
  for (const { id, room, user, kind } of reaching) {
    const slot = `${room} ${user} ${kind}`;
    if (newest.has(slot)) superseded.add(newest.get(slot)!);
    newest.set(slot, id);
  }
  /** By room: what the user's membership may be taken for, more than one thing where it was rejected. */
  const memberships = new Map<string, Set<string>>();
  const happened = [...events, ...reaching].sort((one, other) => one.position - other.position);
  return happened.flatMap((each): Due[] => {
    const before = memberships.get(each.room) ?? new Set([""]);
    if (!("user" in each) && isMembershipOf(each, userId)) {
      const after = rejected.has(each.id) ? [membershipMade(each), ""] : [membershipMade(each)];
      memberships.set(each.room, new Set(rejected.has(each.id) ? [...after, ...before] : after));
      return dueIf(
        each,
        [...before].flatMap((one) => after.map((other) => concerns(one) || concerns(other))),
        false,
      );
    }
    return dueIf(
      each,
      [...before].map((membership) => membership === "join"),
      superseded.has(each.id),
    );
  });
}

function isMembershipOf({ type, key, insertedAfter }: HeldEvent, userId: string): boolean {
  return type === "m.room.member" && key === userId && insertedAfter === null;
}

function concerns(membership: string): boolean {
  return ["join", "invite", "knock"].includes(membership);
}

function dueIf({ position, id }: HeldEvent | HeldMove, verdicts: readonly boolean[], optional: boolean): Due[] {
  if (!verdicts.includes(true)) return [];
  return [{ position, id, optional: optional || verdicts.includes(false) }];
}
