import fc from "fast-check";
import { expect, test } from "vitest";
import { inSpans, ownMembershipPositions, readableSpans } from "../../src/domain/rules/visibility.ts";
import type { HistoryVisibility, Membership } from "../../src/model/content/typed.ts";

type Step = { membership: Membership } | { visibility: HistoryVisibility } | { event: true };

/** Turns a room's story, one step per position from 1 on, into periods, as the store keeps them. */
function periods(story: readonly Step[]) {
  const memberships: { from: number; to: number | null; membership: Membership; previous: Membership | null }[] = [];
  const visibilities: { from: number; to: number | null; visibility: HistoryVisibility }[] = [];
  for (const [index, step] of story.entries()) {
    const position = index + 1;
    if ("membership" in step) {
      const last = memberships.at(-1);
      if (last) last.to = position;
      const previous = last?.membership ?? null;
      memberships.push({ from: position, to: null, membership: step.membership, previous });
    } else if ("visibility" in step) {
      const last = visibilities.at(-1);
      if (last) last.to = position;
      visibilities.push({ from: position, to: null, visibility: step.visibility });
    }
  }
  return { memberships, visibilities };
}

/** The rule said once more, event by event, straight from the specification. */
function visibleByTheBook(story: readonly Step[], at: number): boolean {
  const after = (upTo: number, key: "membership" | "visibility"): string | null => {
    for (let index = upTo - 1; index >= 0; index--) {
      const step = story[index] as Record<string, string>;
      if (key in step) return step[key]!;
    }
    return null;
  };
  const stands = (upTo: number): boolean => {
    const membership = after(upTo, "membership");
    switch (after(upTo, "visibility") ?? "shared") {
      case "world_readable":
        return true;
      case "shared":
        return (
          membership === "join" || story.slice(upTo).some((step) => "membership" in step && step.membership === "join")
        );
      case "invited":
        return membership === "join" || membership === "invite";
      default:
        return membership === "join";
    }
  };
  const step = story[at - 1]!;
  // A change of membership or visibility is seen by whoever could see the room before or after it.
  return stands(at) || (!("event" in step) && stands(at - 1));
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ membership: fc.constantFrom<Membership>("invite", "join", "leave", "ban", "knock") }),
  fc.record({ visibility: fc.constantFrom<HistoryVisibility>("world_readable", "shared", "invited", "joined") }),
  fc.constant<Step>({ event: true }),
);

test("[EV-9] the readable places are those of the rule, for any history of membership and visibility", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (story) => {
      const { memberships, visibilities } = periods(story);
      const spans = readableSpans(memberships, visibilities);
      for (let position = 1; position <= story.length; position++) {
        const visible = inSpans({ major: position, minor: "" }, spans);
        expect({ position, visible }).toEqual({ position, visible: visibleByTheBook(story, position) });
      }
      for (const [index, span] of spans.entries()) {
        const next = spans[index + 1];
        if (next) expect(span.to!).toBeLessThan(next.from);
      }
    }),
    { numRuns: 2000 },
  );
});

test("[EV-9] what was inserted after a user's leaving stays hidden, before it does not", () => {
  const { memberships, visibilities } = periods([{ membership: "join" }, { event: true }, { membership: "leave" }]);
  const spans = readableSpans(memberships, visibilities);
  expect(inSpans({ major: 2, minor: "8100" }, spans)).toBe(true);
  expect(inSpans({ major: 3, minor: "" }, spans)).toBe(true);
  expect(inSpans({ major: 3, minor: "8100" }, spans)).toBe(false);
});

test("[EV-9] own invites, knocks and their ends concern the user; unbans and bans of strangers do not", () => {
  const { memberships } = periods([
    { membership: "invite" },
    { membership: "leave" },
    { membership: "ban" },
    { membership: "leave" },
  ]);
  expect(ownMembershipPositions(memberships)).toEqual([1, 2]);
});
