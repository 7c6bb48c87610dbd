import type { JoinRule } from "../../model/content/typed.ts";
import { RoomAuthority } from "../rules/authority.ts";

/** A room before its first event. */
export function newRoomAuthority(roomId: string, creator: string, joinRule: JoinRule): RoomAuthority {
  const rules = { roomId, version: null, creator, powerContent: null, joinRule, visibility: "shared" as const };
  return new RoomAuthority(rules, new Map());
}

/** The power levels of a new room, written in full, since bridges read, change and write them whole. */
export function initialPowerLevels(creator: string): Record<string, unknown> {
  return {
    users: { [creator]: 100 },
    users_default: 0,
    events: {},
    events_default: 0,
    state_default: 50,
    invite: 0,
    kick: 50,
    ban: 50,
    redact: 50,
  };
}
