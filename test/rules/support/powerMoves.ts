import fc from "fast-check";
import type { LevelsContent } from "./powerOracle.ts";

type Json = Record<string, unknown>;

/** Something that a user tries. */
export type Move =
  | { move: "levels"; actor: number; contents: LevelsRecipe[]; stateKey: string }
  | { move: "delete"; actor: number; stateKey: string }
  | { move: "member"; actor: number; target: number; membership: "join" | "leave" | "invite" | "ban" | null };

/** New levels: from what is there or from nothing, with these changes. */
export interface LevelsRecipe {
  fromNothing: boolean;
  changes: Change[];
}

/** A place in the content, and what to put there; `removed` takes it away. Users are named by their number. */
export interface Change {
  path: readonly (string | { user: number })[];
  value: unknown;
}

export const removed = { removed: true } as const;

const level = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(-5, 0, 10, 24, 25, 26, 49, 50, 51, 75, 99, 100, 101) },
  { weight: 2, arbitrary: fc.constant(removed) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(2 ** 31 - 1, 2 ** 31, -(2 ** 31) + 1, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1),
  },
  { weight: 1, arbitrary: fc.constantFrom("100", "", true, false, null, {}, [], [100], { valueOf: 100 }) },
);

const numberKeys = ["users_default", "events_default", "state_default", "invite", "kick", "ban", "redact"];
const strangeKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "Users_Default",
  "KICK",
  "",
];
const types = [
  "m.room.power_levels",
  "m.room.message",
  "m.room.name",
  "__proto__",
  "constructor",
  "M.Room.Power_Levels",
];

function change(users: number): fc.Arbitrary<Change> {
  const user = fc.nat(users - 1).map((number) => ({ user: number }));
  const path = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...numberKeys).map((key) => [key]) },
    { weight: 6, arbitrary: user.map((name) => ["users", name]) },
    { weight: 4, arbitrary: fc.constantFrom(...types).map((type) => ["events", type]) },
    { weight: 1, arbitrary: fc.constantFrom(["users"], ["events"], ["__proto__", "users_default"]) },
    { weight: 1, arbitrary: fc.constantFrom(...strangeKeys).map((key) => [key]) },
    { weight: 1, arbitrary: fc.constantFrom(...strangeKeys).map((key) => ["users", key]) },
  );
  return fc.record({ path, value: level });
}

function recipe(users: number): fc.Arbitrary<LevelsRecipe> {
  return fc.record({
    fromNothing: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    changes: fc.oneof(
      { weight: 3, arbitrary: fc.array(change(users), { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(change(users), { maxLength: 5 }) },
    ),
  });
}

/** The slot that counts, and others of the same type that don't. */
const stateKey = fc.oneof(
  { weight: 14, arbitrary: fc.constant("_") },
  { weight: 1, arbitrary: fc.constantFrom("_other", "@user0:example.org", "__proto__", "example.org", "") },
);

/** Moves of the first `actors` of so many users. */
export function move(actors: number, users: number): fc.Arbitrary<Move> {
  const actor = fc.nat(actors - 1);
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        move: fc.constant("levels" as const),
        actor,
        contents: fc.oneof(
          { weight: 5, arbitrary: fc.array(recipe(users), { minLength: 1, maxLength: 1 }) },
          { weight: 1, arbitrary: fc.array(recipe(users), { minLength: 2, maxLength: 3 }) },
        ),
        stateKey,
      }),
    },
    { weight: 1, arbitrary: fc.record({ move: fc.constant("delete" as const), actor, stateKey }) },
    {
      weight: 4,
      arbitrary: fc.record({
        move: fc.constant("member" as const),
        actor,
        target: fc.nat(users - 1),
        membership: fc.constantFrom("join" as const, "leave" as const, "invite" as const, "ban" as const, null),
      }),
    },
  );
}

/** Levels that a room begins with: mostly such that several users may change them. */
export function beginning(users: number): fc.Arbitrary<LevelsRecipe | null> {
  const usual = fc.record({
    named: fc.array(fc.constantFrom(0, 10, 25, 26, 50, 51, 75, 100), { minLength: 2, maxLength: users }),
    needed: fc.constantFrom(0, 10, 25, 50),
    more: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(change(users)) }),
  });
  const levels = usual.map(({ named, needed, more }) => ({
    fromNothing: true,
    changes: [
      { path: ["events", "m.room.power_levels"], value: needed },
      ...named.map((value, user) => ({ path: ["users", { user }], value })),
      ...more,
    ],
  }));
  return fc.oneof({ weight: 9, arbitrary: levels }, { weight: 1, arbitrary: fc.constant(null) });
}

/** The content that a recipe makes of another one. */
export function cooked(
  { fromNothing, changes }: LevelsRecipe,
  before: LevelsContent,
  userIds: readonly string[],
): Json {
  const start: Json = fromNothing || before === null ? {} : before;
  return changes.reduce((content, { path, value }) => {
    const names = path.map((name) => (typeof name === "string" ? name : userIds[name.user]!));
    return withValue(content, names, value);
  }, start);
}

/** A copy with another value at a place; keys such as `__proto__` become keys like all others. */
function withValue(content: Json, [key, ...rest]: readonly string[], value: unknown): Json {
  const others = Object.entries(content).filter(([each]) => each !== key);
  if (rest.length === 0) return Object.fromEntries(value === removed ? others : [...others, [key!, value]]);
  const inner = Object.hasOwn(content, key!) ? content[key!] : {};
  const object = typeof inner === "object" && inner !== null ? (inner as Json) : {};
  return Object.fromEntries([...others, [key!, withValue(object, rest, value)]]);
}
