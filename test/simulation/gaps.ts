import type { Mirror } from "../kit/mirror.ts";
import type { World } from "./world.ts";

/** What the database holds of an event, for judging from outside who should have got it. */
export interface HeldEvent {
  position: number;
  id: string;
  room: string;
  /** Whose membership it sets. */
  member: string | null;
  membership: string | null;
}

/** Everything in the rooms that these users made, in stream order. */
export function heldEvents(world: World, userIds: readonly string[]): Promise<HeldEvent[]> {
  return world.query<HeldEvent>(
    `SELECT position::float8 AS position, event_id AS id, room_id AS room,
       CASE WHEN type = 'm.room.member' THEN state_key END AS member,
       CASE WHEN type = 'm.room.member' THEN content::jsonb ->> 'membership' END AS membership
     FROM event WHERE room_id IN (SELECT room_id FROM room WHERE creator = ANY ($1)) ORDER BY position`,
    [userIds],
  );
}

/** Throws unless a mirror got each live event that its user may see exactly once, in order. [STR-3] */
export function expectGapFree({ requester, start, skipped, received }: Mirror, held: readonly HeldEvent[]): void {
  const due = held.filter(
    ({ position }) => position > start && !skipped.some(({ after, to }) => position > after && position <= to),
  );
  const seen = new Set(seenBy(requester.userId, held).map(({ id }) => id));
  const wanted = due.filter(({ id }) => seen.has(id)).map(({ id }) => id);
  if (JSON.stringify(wanted) === JSON.stringify(received)) return;
  const known = new Set(wanted);
  const got = new Set(received);
  const repeated = received.filter((id, index) => received.indexOf(id) !== index);
  throw new Error(
    [
      `the stream of ${requester.userId} wasn't gap-free:`,
      `  missed: ${wanted.filter((id) => !got.has(id)).join(", ")}`,
      `  repeated: ${repeated.join(", ")}`,
      `  not theirs to see: ${received.filter((id) => !known.has(id)).join(", ")}`,
      `  wanted order: ${wanted.join(", ")}`,
      `  came in order: ${received.join(", ")}`,
    ].join("\n"),
  );
}

/** What happens in rooms while the user is in them, and what moves them into, out of or in front of a room. [EV-9] */
function seenBy(userId: string, held: readonly HeldEvent[]): HeldEvent[] {
  const memberships = new Map<string, string | null>();
  const concerning = ["join", "invite", "knock"];
  return held.filter(({ room, member, membership }) => {
    const before = memberships.get(room) ?? "";
    if (member !== userId) return before === "join";
    memberships.set(room, membership);
    return concerning.includes(before) || concerning.includes(membership ?? "");
  });
}
