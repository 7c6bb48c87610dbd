/**
 * Random rooms, and random attempts of several users who act together to get more than they were granted.
 *
 * HEARTH_POWER_RUNS=200000   tries so many instead of 3,000.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { authoriseAll } from "../../src/domain/actions/plan.ts";
import { RoomAuthority } from "../../src/domain/rules/authority.ts";
import type { Membership } from "../../src/model/content/typed.ts";
import { HearthError } from "../../src/model/errors.ts";
import type { EventDraft } from "../../src/model/event.ts";
import { beginning, cooked, move, type LevelsRecipe, type Move } from "./support/powerMoves.ts";
import { Coalition, Levels, wrongChange, type LevelsContent } from "./support/powerOracle.ts";

const numRuns = Number(process.env["HEARTH_POWER_RUNS"] ?? 3000);
const serverName = "example.org";
const userIds = Array.from({ length: 5 }, (_, number) => `@user${number}:${serverName}`);
/** The first ones act; the others do nothing. */
const actors = 3;

const room = fc.record({
  levels: beginning(userIds.length),
  creator: fc.nat(userIds.length - 1),
  away: fc.subarray([0, 1, 2, 3, 4], { maxLength: 2 }),
  open: fc.boolean(),
  moves: fc.array(move(actors, userIds.length), { minLength: 1, maxLength: 14, size: "max" }),
});
type RandomRoom = typeof room extends fc.Arbitrary<infer Value> ? Value : never;

/** What the store holds of a room. */
interface Held {
  levels: LevelsContent;
  memberships: Map<string, Membership | null>;
}

/** A room, what is held of it, and what was granted in it. */
class Attempt {
  readonly #creator: string;
  readonly #open: boolean;
  readonly #coalition: Coalition;
  readonly #outOfReach: string[];
  #held: Held;
  /** Changes of the levels that were accepted. */
  accepted = 0;
  refused = 0;

  constructor({ levels, creator, away, open }: RandomRoom) {
    this.#creator = userIds[creator]!;
    this.#open = open;
    const joined = userIds.map((userId, user): [string, Membership | null] => [
      userId,
      away.includes(user) ? null : "join",
    ]);
    this.#held = {
      levels: levels === null ? null : cooked(levels, null, userIds),
      memberships: new Map(joined),
    };
    this.#coalition = new Coalition(userIds.slice(0, actors), this.#levels());
    this.#outOfReach = this.#coalition
      .outOfReach(userIds)
      .filter((userId) => this.#held.memberships.get(userId) === "join");
  }

  take(each: Move): void {
    const actor = userIds[each.actor]!;
    const drafts = this.#drafts(each, actor);
    const before = this.#held;
    const authority = this.#authority();
    try {
      authoriseAll(drafts, authority, serverName);
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      this.refused++;
      return;
    }
    const levelsBefore = this.#levels();
    for (const draft of drafts) this.#hold(draft);
    const levels = this.#levels();
    expect(authority.power).toEqual(this.#authority().power);
    for (const userId of userIds) expect(authority.level(userId)).toBe(levels.of(userId));
    if (this.#held.levels !== before.levels) this.accepted++;
    // Each event of a batch is judged after those before it, so only a single one is compared with what was before.
    if (each.move === "levels" && drafts.length === 1) expect(wrongChange(actor, levelsBefore, levels)).toBeNull();
    if (each.move === "member") this.#checkRemoval(each, levelsBefore, before);
    expect(this.#coalition.wrongdoing(levels, userIds)).toBeNull();
    for (const userId of this.#outOfReach) expect(this.#held.memberships.get(userId)).toBe("join");
  }

  #drafts(each: Move, sender: string): EventDraft[] {
    switch (each.move) {
      case "levels": {
        let content = this.#held.levels;
        return each.contents.map((recipe: LevelsRecipe) => {
          content = cooked(recipe, content, userIds);
          return levelsDraft(sender, each.stateKey, JSON.stringify(content));
        });
      }
      case "delete":
        return [levelsDraft(sender, each.stateKey, null)];
      case "member": {
        const { membership } = each;
        const content = membership === null ? null : JSON.stringify({ membership });
        return [{ type: "m.room.member", stateKey: userIds[each.target]!, sender, content }];
      }
    }
  }

  #checkRemoval(each: Extract<Move, { move: "member" }>, levels: Levels, { memberships }: Held): void {
    const [actor, target] = [userIds[each.actor]!, userIds[each.target]!];
    if (actor === target || !["leave", "ban"].includes(each.membership ?? "")) return;
    const needed = levels.needed(each.membership === "ban" || memberships.get(target) === "ban" ? "ban" : "kick");
    expect(levels.of(actor)).toBeGreaterThanOrEqual(needed);
    if (memberships.get(target) !== "ban") expect(levels.of(target)).toBeLessThan(levels.of(actor));
  }

  /** As the store does: one slot for each type and key. */
  #hold({ type, stateKey, content }: EventDraft): void {
    const parsed = content === null ? null : (JSON.parse(content) as Record<string, unknown>);
    if (type === "m.room.member") {
      const memberships = new Map(this.#held.memberships);
      memberships.set(stateKey!, (parsed?.["membership"] as Membership | undefined) ?? null);
      this.#held = { ...this.#held, memberships };
    } else if (stateKey === "_") {
      this.#held = { ...this.#held, levels: parsed };
    }
  }

  #levels(): Levels {
    return new Levels(this.#held.levels, this.#creator);
  }

  #authority(): RoomAuthority {
    const { levels: powerContent, memberships } = this.#held;
    const rules = { joinRule: this.#open ? ("public" as const) : ("invite" as const), visibility: "shared" as const };
    return new RoomAuthority(
      { roomId: "!room:example.org", version: 1, creator: this.#creator, powerContent, ...rules },
      memberships,
    );
  }
}

function levelsDraft(sender: string, stateKey: string, content: string | null): EventDraft {
  return { type: "m.room.power_levels", stateKey, sender, content };
}

test(
  "[EV-9] [ACT-10] whatever users do together, none of them gets a level above what they were granted",
  { timeout: 30_000 + numRuns * 10 },
  () => {
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(room, (random) => {
        const attempt = new Attempt(random);
        for (const each of random.moves) attempt.take(each);
        accepted += attempt.accepted;
        refused += attempt.refused;
      }),
      { numRuns },
    );
    // Nobody gets anything where nothing is accepted, and nothing is shown where nobody tries.
    expect(accepted).toBeGreaterThan(numRuns / 2);
    expect(refused).toBeGreaterThan(numRuns);
  },
);
