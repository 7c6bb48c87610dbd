import { z } from "zod";
import { jsonObject } from "./check.ts";

/** A level, within GraphQL's Int, so that every one can be shown. */
export const powerLevel = z
  .number({ error: "is no integer" })
  .refine((value) => Number.isInteger(value) && Math.abs(value) < 2 ** 31, "is no integer within ±(2^31−1)");

/** Levels by user or type. What is checked is what holds: not even a type by the name of `__proto__` gets lost. */
const levelsByName = jsonObject.superRefine((levels, context) => {
  for (const [name, value] of Object.entries(levels)) {
    const message = powerLevel.safeParse(value).error?.issues[0]?.message;
    if (message !== undefined) context.addIssue({ code: "custom", path: [name], message });
  }
}) as z.ZodType<Record<string, number>>;

/** `m.room.power_levels` as clients set it: every key optional. */
export const powerLevelsContent = z.looseObject({
  users: levelsByName.optional(),
  users_default: powerLevel.optional(),
  events: levelsByName.optional(),
  events_default: powerLevel.optional(),
  state_default: powerLevel.optional(),
  invite: powerLevel.optional(),
  kick: powerLevel.optional(),
  ban: powerLevel.optional(),
  redact: powerLevel.optional(),
});

/** Power levels with every default filled in. [EV-9] */
export interface PowerLevels {
  users: Record<string, number>;
  usersDefault: number;
  events: Record<string, number>;
  eventsDefault: number;
  stateDefault: number;
  invite: number;
  kick: number;
  ban: number;
  redact: number;
}

/**
 * The levels that hold in a room: those of the content, else the defaults. Without any power levels event, the creator
 * has 100. Content that isn't valid counts as none of its keys being there.
 */
export function powerLevels(content: unknown, creator: string | null): PowerLevels {
  if (typeof content !== "object" || content === null) return levelsOf(content, creator);
  // With thousands of levels checking them takes longer than all else that authorises a message.
  const known = read.get(content) ?? levelsOf(content, creator);
  read.set(content, known);
  return known;
}

/** Levels by the content that they were read from, which nobody changes. */
const read = new WeakMap<object, PowerLevels>();

function levelsOf(content: unknown, creator: string | null): PowerLevels {
  const parsed = powerLevelsContent.safeParse(content ?? {});
  const given = parsed.success ? parsed.data : {};
  return {
    users: given.users ?? (content === null && creator !== null ? { [creator]: 100 } : {}),
    usersDefault: given.users_default ?? 0,
    events: given.events ?? {},
    eventsDefault: given.events_default ?? 0,
    stateDefault: given.state_default ?? 50,
    invite: given.invite ?? 0,
    kick: given.kick ?? 50,
    ban: given.ban ?? 50,
    redact: given.redact ?? 50,
  };
}

/** The level of a user. */
export function levelOf(power: PowerLevels, userId: string): number {
  return Object.hasOwn(power.users, userId) ? power.users[userId]! : power.usersDefault;
}

/** The level that a user needs for sending an event of this type. */
export function levelFor(power: PowerLevels, type: string, isState: boolean): number {
  if (Object.hasOwn(power.events, type)) return power.events[type]!;
  return isState ? power.stateDefault : power.eventsDefault;
}
