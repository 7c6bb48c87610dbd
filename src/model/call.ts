import type { StoredEvent } from "./event.ts";
import type { EventId, RoomId, UserId } from "./ids.ts";

export const callStates = ["RINGING", "ANSWERED", "CONNECTED", "ENDED"] as const;
export type CallState = (typeof callStates)[number];
export const callEndReasons = ["HANGUP", "REJECTED", "EXPIRED", "SESSION_ENDED", "GLARE"] as const;
export type CallEndReason = (typeof callEndReasons)[number];

export interface CallDevice {
  userId: UserId;
  deviceId: string;
}

/** A device of the callee that answered or rejected. [VOIP-2] */
export interface CallParty extends CallDevice {
  rejected: boolean;
  /** Its answer, or what it rejected by. */
  eventId: EventId;
}

/** A call between two users, as its signals have left it. */
export interface Call {
  callId: string;
  roomId: RoomId;
  caller: UserId;
  callerDevice: string;
  callee: UserId;
  state: CallState;
  parties: CallParty[];
  /** The party that the caller acknowledged. */
  acceptedBy: CallDevice | null;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** When the invite lapses, in milliseconds since the epoch; null once a party was acknowledged. [VOIP-5] */
  expiresAt: number | null;
  endedReason: CallEndReason | null;
  /** Grows whenever any of this changes. */
  revision: number;
}

/** A call with its invite, for whoever may see that. */
export interface CallView extends Call {
  invite: StoredEvent;
}

/** Credentials of one user for TURN servers, for a time. [VOIP-8] */
export interface TurnServerShape {
  uris: string[];
  username: string;
  password: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** The types of the events that signal a call. [VOIP-1] */
export const signalTypes = [
  "m.call.invite",
  "m.call.answer",
  "m.call.reject",
  "m.call.ack",
  "m.call.candidates",
  "m.call.hangup",
] as const;
export type SignalType = (typeof signalTypes)[number];

const signals: ReadonlySet<string> = new Set(signalTypes);

export function isSignalType(type: string): type is SignalType {
  return signals.has(type);
}

const prefix = "call_";

/** The id of the call that an invite places: who knows the one knows the other. */
export function callIdOf(inviteId: EventId): string {
  return prefix + inviteId.slice(1);
}

/** The invite of a call; null where this is the id of no call. */
export function inviteIdOf(callId: string): EventId | null {
  return callId.startsWith(prefix) && callId.length > prefix.length ? `$${callId.slice(prefix.length)}` : null;
}

/** The call that a signal belongs to; null for an event that isn't part of any. */
export function callOfSignal(event: { type: string; eventId: EventId; updatesId: EventId | null }): string | null {
  if (!isSignalType(event.type)) return null;
  if (event.type === "m.call.invite") return callIdOf(event.eventId);
  return event.updatesId === null ? null : callIdOf(event.updatesId);
}

/** Whether nobody was acknowledged yet, so that the invite may lapse, and meet one from the other side. [VOIP-5, VOIP-7] */
export function isUnacknowledged({ state }: Call): boolean {
  return state === "RINGING" || state === "ANSWERED";
}
