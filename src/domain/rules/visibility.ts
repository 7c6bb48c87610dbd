import type { Membership } from "../../model/content/typed.ts";
import type { Span } from "../../model/room.ts";

interface Period {
  from: number;
  to: number | null;
}

interface Memberships extends Period {
  membership: Membership;
  previous: Membership | null;
  /** What counts instead of the membership where its event was rejected. [EVS-7] */
  effective?: Membership | null;
}

interface Visibilities extends Period {
  visibility: "world_readable" | "shared" | "invited" | "joined";
}

/** Memberships whose beginning and end concern the user even where they may not read the room. */
const concerning = new Set<Membership | null>(["join", "invite", "knock"]);

/**
 * The places of a room that a user may read, from their memberships and the room's history visibilities. [EV-9]
 *
 * - WORLD_READABLE: anyone reads what happened meanwhile.
 * - SHARED: whoever was joined then or at any time later.
 * - INVITED: whoever was joined or invited then.
 * - JOINED: whoever was joined then.
 *
 * A span includes the event that ends it, such as the reader's own leaving or a stricter visibility.
 */
export function readableSpans(memberships: readonly Memberships[], visibilities: readonly Visibilities[]): Span[] {
  const borders = [...memberships, ...visibilities].flatMap(({ from, to }) => (to === null ? [from] : [from, to]));
  // What precedes the first border, the room's creation, counts as its beginning.
  const starts = [...new Set([0, ...borders])].sort((a, b) => a - b);
  const spans: Span[] = [];
  for (const [index, from] of starts.entries()) {
    const visibility = visibilities.find((period) => covers(period, from))?.visibility ?? "shared";
    const then = memberships.find((period) => covers(period, from));
    const membership = then === undefined ? null : counting(then);
    const joinedThenOrLater = memberships.some(
      (period) => counting(period) === "join" && (period.to === null || period.to > from),
    );
    if (!readable(visibility, membership, joinedThenOrLater)) continue;
    add(spans, { from, to: starts[index + 1] ?? null });
  }
  return spans;
}

/**
 * Positions of the user's own membership events that they may see, whatever the room's visibility: where they could see
 * the room, were invited or had knocked before or after it.
 */
export function ownMembershipPositions(memberships: readonly Memberships[]): number[] {
  return memberships
    .filter(({ membership, previous }) => concerning.has(membership) || concerning.has(previous))
    .map(({ from }) => from);
}

function counting({ membership, effective }: Memberships): Membership {
  return effective ?? membership;
}

function covers(period: Period, position: number): boolean {
  return period.from <= position && (period.to === null || position < period.to);
}

function readable(
  visibility: Visibilities["visibility"],
  membership: Membership | null,
  joinedThenOrLater: boolean,
): boolean {
  switch (visibility) {
    case "world_readable":
      return true;
    case "shared":
      return joinedThenOrLater;
    case "invited":
      return membership === "join" || membership === "invite";
    case "joined":
      return membership === "join";
  }
}

function add(spans: Span[], span: Span): void {
  const last = spans.at(-1);
  if (last && last.to === span.from) last.to = span.to;
  else spans.push({ ...span });
}

/** Whether a live or inserted event stands in one of the spans. */
export function inSpans(place: { major: number; minor: string }, spans: readonly Span[]): boolean {
  return spans.some(
    ({ from, to }) =>
      place.major >= from && (to === null || place.major < to || (place.major === to && place.minor === "")),
  );
}
