import type { Membership } from "../../model/content/typed.ts";
import { HearthError } from "../../model/errors.ts";
import { emptyStateKey, movesAuth, type EventDraft } from "../../model/event.ts";
import { isUserId } from "../../model/ids.ts";
import { profileType } from "../../model/profile.ts";
import type { RoomAuthority } from "./authority.ts";
import { checkPowerChange } from "./powerChange.ts";
import { checkTypeRule, ownerOfKey } from "./stateKeys.ts";

/**
 * Whether an event may be appended to a room as it stands; returns, or throws `FORBIDDEN` or `BAD_STATE_KEY`. [EV-9]
 * Pure: everything that it looks at is in its arguments. Events of the server itself are always allowed. [EV-5]
 */
export function authorise(event: EventDraft, room: RoomAuthority, serverName: string): void {
  if (event.sender === serverName) return;
  if (event.type === "m.room.member" && event.stateKey !== undefined) return authoriseMembership(event, room);
  if (event.type === "m.room.create") throw forbidden("A room is created only once.");
  if (event.type === profileType) return authoriseProfile(event, room);
  if (room.membership(event.sender) !== "join") throw forbidden("You are not in the room.");
  if (event.stateKey !== undefined) return authoriseState(event, event.stateKey, room, serverName);
  demand(room, event.sender, room.levelFor(event.type, false), `send ${event.type}`);
}

/** Whether a user may redact an event: their own, or with the level for redacting any. [ACT-14] */
export function authoriseRedaction(
  sender: string,
  target: { sender: string; type: string; stateKey: string | null },
  room: RoomAuthority,
): void {
  if (movesAuth({ type: target.type, stateKey: target.stateKey })) {
    throw forbidden(
      `A ${target.type} event decides who may do and see what, and can't be redacted; set new state instead.`,
    );
  }
  if (target.sender !== sender) demand(room, sender, room.power.redact, "redact events of others");
}

function authoriseState(event: EventDraft, stateKey: string, room: RoomAuthority, serverName: string): void {
  const owner = ownerOfKey(stateKey, serverName);
  checkTypeRule(event.type, stateKey);
  if (owner.kind === "server") throw forbidden("State under a server's name is set by that server alone.");
  const own = owner.kind === "user" && owner.userId === event.sender;
  if (owner.kind === "user" && !own && !room.isOperator(event.sender)) {
    throw forbidden(`State under ${owner.userId} is set by that user and by the room's operators alone.`);
  }
  // A member's own slots need no more than speaking does, unless the room says otherwise for the type. [EV-2]
  const needed =
    own && !Object.hasOwn(room.power.events, event.type) ? room.power.eventsDefault : room.levelFor(event.type, true);
  demand(room, event.sender, needed, `set ${event.type}`);
  if (event.type === "m.room.power_levels" && stateKey === emptyStateKey) checkPowerChange(event, room);
}

function authoriseMembership(event: EventDraft, room: RoomAuthority): void {
  const target = event.stateKey ?? "";
  if (!isUserId(target)) throw new HearthError("BAD_STATE_KEY", "stateKey: memberships are kept under user ids.");
  const self = target === event.sender;
  const before = room.membership(target);
  const after =
    event.content === null ? null : ((JSON.parse(event.content) as { membership?: Membership }).membership ?? null);
  if (self) return authoriseOwnMembership(before, after, event.sender, room);

  if (room.membership(event.sender) !== "join") throw forbidden("You are not in the room.");
  switch (after) {
    case "invite":
      if (before === "join") throw forbidden("The user is in the room already.");
      if (before === "ban") throw forbidden("The user is banned from the room.");
      return demand(room, event.sender, room.power.invite, "invite");
    case "ban":
      demand(room, event.sender, room.power.ban, "ban");
      return demandAbove(room, event.sender, target, "ban");
    case "leave":
      if (before === "ban") return demand(room, event.sender, room.power.ban, "unban");
      if (before === null || before === "leave") throw forbidden("The user is not in the room.");
      demand(room, event.sender, room.power.kick, "kick");
      return demandAbove(room, event.sender, target, "kick");
    default:
      throw forbidden("Nobody joins, knocks or rejects for somebody else.");
  }
}

/**
 * Members show their profiles whatever speaking takes in the room, unless the room says otherwise for the type; who enters
 * shows it just before, so that nobody sees them without a name. [PRO-3, PRO-4]
 */
function authoriseProfile({ type, stateKey, sender }: EventDraft, room: RoomAuthority): void {
  if (stateKey !== sender) throw forbidden("Users set their own profiles alone.");
  const membership = room.membership(sender);
  if (membership !== "join") authoriseOwnMembership(membership, "join", sender, room);
  if (Object.hasOwn(room.power.events, type)) demand(room, sender, room.levelFor(type, true), `set ${type}`);
}

function authoriseOwnMembership(
  before: Membership | null,
  after: Membership | null,
  userId: string,
  room: RoomAuthority,
): void {
  switch (after) {
    case "join":
      if (before === "ban") throw forbidden("You are banned from the room.");
      if (before === "join" || before === "invite" || room.joinRule === "public") return;
      // The creator's own join, the second event of a room.
      if (room.version === null && room.creator === userId) return;
      throw forbidden("The room takes only users who were invited.");
    case "leave":
      if (before === "join" || before === "invite" || before === "knock") return;
      throw forbidden("You are not in the room.");
    case "knock":
      if (before === "ban") throw forbidden("You are banned from the room.");
      if (before === "join" || before === "invite") throw forbidden("You are in the room or invited already.");
      if (room.joinRule !== "knock") throw forbidden("The room takes no knocks.");
      return;
    case null:
      if (before === "invite") return;
      throw forbidden("You are not invited.");
    default:
      throw forbidden("Nobody invites or bans themselves.");
  }
}

function demand(room: RoomAuthority, userId: string, needed: number, act: string): void {
  const level = room.level(userId);
  if (level < needed) throw forbidden(`You need power level ${needed} to ${act}; yours is ${level}.`);
}

function demandAbove(room: RoomAuthority, sender: string, target: string, act: string): void {
  if (room.level(target) >= room.level(sender)) {
    throw forbidden(`You can't ${act} a user of your own or a higher power level.`);
  }
}

function forbidden(message: string): HearthError {
  return new HearthError("FORBIDDEN", message);
}
