/**
 * What power levels mean and who may change which, told a second time and without the server's code: by the requirement
 * alone. [EV-9]
 */

/** The content of the power levels event; null where there is none. */
export type LevelsContent = Readonly<Record<string, unknown>> | null;

const defaults = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  invite: 0,
  kick: 50,
  ban: 50,
  redact: 50,
};
type Key = keyof typeof defaults;
const keys = Object.keys(defaults) as Key[];

/** The levels that hold under a content. */
export class Levels {
  readonly #numbers: Record<Key, number>;
  readonly #users: Map<string, number>;
  readonly #events: Map<string, number>;

  constructor(content: LevelsContent, creator: string) {
    const said = content !== null && isValid(content) ? content : {};
    this.#numbers = Object.fromEntries(
      Object.entries(defaults).map(([key, usual]) => [key, Object.hasOwn(said, key) ? said[key] : usual]),
    ) as Record<Key, number>;
    this.#users = content === null ? new Map([[creator, 100]]) : named(said, "users");
    this.#events = named(said, "events");
  }

  of(userId: string): number {
    return this.#users.get(userId) ?? this.#numbers.users_default;
  }

  needed(act: "invite" | "kick" | "ban" | "redact"): number {
    return this.#numbers[act];
  }

  neededFor(type: string, kind: "state" | "message"): number {
    return this.#events.get(type) ?? this.#numbers[`${kind === "state" ? "state" : "events"}_default`];
  }

  get namedUsers(): string[] {
    return [...this.#users.keys()];
  }

  get namedTypes(): string[] {
    return [...this.#events.keys()];
  }
}

/** Content with a single bad level says nothing at all. */
export function isValid(content: Readonly<Record<string, unknown>>): boolean {
  return (
    keys.every((key) => !Object.hasOwn(content, key) || isLevel(content[key])) &&
    ["users", "events"].every((key) => !Object.hasOwn(content, key) || isLevels(content[key]))
  );
}

function isLevel(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= -2147483647 && value <= 2147483647;
}

function isLevels(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isLevel);
}

function named(content: Readonly<Record<string, unknown>>, key: "users" | "events"): Map<string, number> {
  return new Map(Object.entries(Object.hasOwn(content, key) ? (content[key] as Record<string, number>) : {}));
}

/** Somebody whom no content names: what is given to everybody is given to them. */
const anybody = "@anybody.else:example.org";
const usualTypes = ["m.room.message", "m.room.name", "m.room.power_levels", "m.never.named"];

/** What is wrong with a change of the levels by a user, in words; null when they had the right to all of it. */
export function wrongChange(actor: string, before: Levels, after: Levels): string | null {
  const own = before.of(actor);
  for (const userId of new Set([...before.namedUsers, ...after.namedUsers, actor, anybody])) {
    const [old, next] = [before.of(userId), after.of(userId)];
    if (next > old && next >= own) return `${actor} (${own}) raised ${userId} from ${old} to ${next}`;
    if (next < old && old >= own && userId !== actor)
      return `${actor} (${own}) lowered ${userId} from ${old} to ${next}`;
    if (next > old && old >= own) return `${actor} (${own}) changed the level of ${userId}, who had ${old}`;
  }
  for (const [name, old, next] of requirementsOf(before, after)) {
    if (old !== next && Math.max(old, next) > own) return `${actor} (${own}) changed ${name} from ${old} to ${next}`;
  }
  return null;
}

/** What each act requires before and after. */
function* requirementsOf(before: Levels, after: Levels): Generator<[name: string, old: number, next: number]> {
  for (const act of ["invite", "kick", "ban", "redact"] as const) yield [act, before.needed(act), after.needed(act)];
  for (const type of new Set([...before.namedTypes, ...after.namedTypes, ...usualTypes])) {
    for (const kind of ["state", "message"] as const) {
      yield [`${kind}:${type}`, before.neededFor(type, kind), after.neededFor(type, kind)];
    }
  }
}

/**
 * People who act together, while all others do nothing. However they go about it, the highest level among them is what
 * they begin with: they share out less than that, and whoever stands as high or higher keeps what they have.
 */
export class Coalition {
  readonly #members: ReadonlySet<string>;
  readonly #beginning: Levels;
  readonly #top: number;

  constructor(members: readonly string[], beginning: Levels) {
    this.#members = new Set(members);
    this.#beginning = beginning;
    this.#top = Math.max(...members.map((member) => beginning.of(member)));
  }

  /** What they have got that nobody granted them, or taken that wasn't theirs to take; null when nothing. */
  wrongdoing(now: Levels, everybody: readonly string[]): string | null {
    for (const userId of new Set([...everybody, ...now.namedUsers, anybody])) {
      const [first, level] = [this.#beginning.of(userId), now.of(userId)];
      const mine = this.#members.has(userId);
      if (level > first && level >= this.#top) return `${userId} came from ${first} to ${level}; all had ${this.#top}`;
      if (!mine && first >= this.#top && level !== first) return `${userId} lost ${first} and has ${level}`;
    }
    for (const [name, first, level] of requirementsOf(this.#beginning, now)) {
      if (first !== level && Math.max(first, level) > this.#top) return `${name} went from ${first} to ${level}`;
    }
    return null;
  }

  /** Those outside who stand as high as the highest inside, or higher: nobody inside may remove them. */
  outOfReach(everybody: readonly string[]): string[] {
    return everybody.filter((userId) => !this.#members.has(userId) && this.#beginning.of(userId) >= this.#top);
  }
}
