import { HearthError } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { levelFor, levelOf, powerLevels } from "../../model/power.ts";
import type { RoomAuthority } from "./authority.ts";

/** What acts require: our names, and those of the content's keys. */
const requirements = {
  eventsDefault: "events_default",
  stateDefault: "state_default",
  invite: "invite",
  kick: "kick",
  ban: "ban",
  redact: "redact",
} as const;

/**
 * Holds a change of the power levels to EV-9: nobody grants or removes a level at or above their own, except lowering
 * themselves; nobody touches what an act requires when that is, or becomes, more than their own level.
 * Throws `FORBIDDEN` naming the key.
 */
export function checkPowerChange(event: EventDraft, room: RoomAuthority): void {
  const own = room.level(event.sender);
  const before = room.power;
  const after = powerLevels(event.content === null ? null : JSON.parse(event.content), room.creator);

  checkGrant("users_default", before.usersDefault, after.usersDefault, own);
  for (const userId of new Set([...Object.keys(before.users), ...Object.keys(after.users)])) {
    const old = levelOf(before, userId);
    const next = levelOf(after, userId);
    if (userId === event.sender && next <= old) continue;
    checkGrant(`users.${userId}`, old, next, own);
  }

  for (const [name, key] of Object.entries(requirements) as [keyof typeof requirements, string][]) {
    checkRequirement(key, before[name], after[name], own);
  }
  for (const type of new Set([...Object.keys(before.events), ...Object.keys(after.events)])) {
    // Without an entry of its own a type requires what its kind does, and any type may be of either kind.
    for (const isState of [true, false]) {
      checkRequirement(`events.${type}`, levelFor(before, type, isState), levelFor(after, type, isState), own);
    }
  }
}

function checkGrant(key: string, before: number, after: number, own: number): void {
  if (before === after) return;
  if (before >= own || after >= own) refuse(key, own);
}

function checkRequirement(key: string, before: number, after: number, own: number): void {
  if (before === after) return;
  if (before > own || after > own) refuse(key, own);
}

function refuse(key: string, own: number): never {
  throw new HearthError("FORBIDDEN", `${key}: your power level ${own} is not enough for this change.`, { field: key });
}
