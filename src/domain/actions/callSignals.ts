import {
  callIdOf,
  inviteIdOf,
  isSignalType,
  type Call,
  type CallDevice,
  type CallEndReason,
  type SignalType,
} from "../../model/call.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { signalContents } from "../../model/content/calls.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { CallMove } from "../../store/append.ts";
import { callsById, liveCallsIn, partiesOfRoom } from "../../store/calls.ts";
import type { Connection } from "../../store/database.ts";
import { advance, ended, metInGlare, type Signal } from "../rules/calls.ts";
import type { ActionTools } from "./act.ts";

/** A draft as `signalDraft` makes it. */
interface SignalDraft extends EventDraft {
  type: SignalType;
  content: string;
  eventId: string;
}

/** Keys that the rules look at, of all types of signals. [VOIP-9] */
interface SignalContent {
  call_id: string;
  device_id: string;
  lifetime: number;
  accepted_user_id: string;
  accepted_device_id: string;
  to_user_id?: string | null;
  to_device_id?: string | null;
}

/**
 * A message as its sender asked for it, made a signal if it is of such a type: with the id of its call and of the device
 * that acts, which nobody can forge. [VOIP-9] Throws `BAD_INPUT`, and `FORBIDDEN` for the name of another device.
 */
export function signalDraft(tools: ActionTools, requester: Requester, draft: EventDraft, field: string): EventDraft {
  if (!isSignalType(draft.type)) return draft;
  const content = JSON.parse(draft.content!) as Record<string, unknown>;
  const given = content["call_id"] ?? null;
  if ((content["device_id"] ?? requester.deviceId) !== requester.deviceId) {
    throw new HearthError("FORBIDDEN", "device_id: names another device than the one that acts.", { field });
  }
  // Known beforehand, since calls go by the ids of their invites, and name the answers.
  const eventId = tools.ids.eventId(tools.clock.now());
  const placed = draft.type === "m.call.invite";
  if (placed && draft.updatesId !== undefined) throw badInput(`${field}.updates`, "has no place in an invite");
  const named = draft.updatesId ?? (typeof given === "string" ? inviteIdOf(given) : null);
  const inviteId = placed ? eventId : named;
  if (inviteId === null) throw badInput(`${field}.updates`, "names no call: a signal updates the invite");
  const callId = callIdOf(inviteId);
  if (given !== null && given !== callId) {
    const problem = placed ? "is given by the server: leave it out" : "is not that of the invite that it updates";
    throw badInput(`${field}.content.call_id`, problem);
  }
  check(signalContents[draft.type], content, `${field}.content`);
  const whole = canonicalJson({ ...content, call_id: callId, device_id: requester.deviceId }, `${field}.content`);
  return { ...draft, eventId, content: whole, ...(placed ? {} : { updatesId: inviteId }) };
}

/** The events to append, with what the server adds to them, and what becomes of their calls; undefined without any. */
export interface Signalled {
  append: EventDraft[];
  calls: CallMove[] | undefined;
}

/**
 * Holds the signals among messages to the rules of their calls, one after the other: of whatever way they come, all pass
 * here. [VOIP-9] Calls are one-to-one: to place one, the room must have exactly two members, joined or invited. [VOIP-1]
 */
export async function signalled(
  tools: ActionTools,
  connection: Connection,
  roomId: string,
  append: EventDraft[],
  field: (index: number) => string,
): Promise<Signalled> {
  const signals = append.filter(isSignal);
  if (signals.length === 0) return { append, calls: undefined };
  const ids = new Set(signals.map((draft) => contentOf(draft).call_id));
  const calls = new Map((await callsById(connection, [...ids])).map((call) => [call.callId, call]));
  const moves = new Map<string, CallMove>();
  const added: EventDraft[] = [];
  const now = tools.clock.now();
  for (const [index, draft] of append.entries()) {
    if (!isSignal(draft)) continue;
    if (draft.type === "m.call.invite") {
      const { ends, moves: placed } = await placing(connection, roomId, draft, now);
      for (const move of placed) moves.set(move.callId, move);
      if (ends !== null) added.push(hangupDraft(tools.serverName, ends, "GLARE"));
      continue;
    }
    const { call_id: callId } = contentOf(draft);
    const call = calls.get(callId);
    if (call?.roomId !== roomId) throw badInput(`${field(index)}.updates`, "names no call of this room");
    const next = advance(call, deviceOf(draft), signalOf(draft), now);
    const before = moves.get(callId)?.next ?? null;
    calls.set(callId, next);
    moves.set(callId, { callId, revision: call.revision, next: next === call ? before : next });
  }
  return { append: [...append, ...added], calls: [...moves.values()] };
}

/** What becomes of a call that is placed; `ends` is the same call where it meets another one at once. [VOIP-7] */
async function placing(
  connection: Connection,
  roomId: string,
  draft: SignalDraft,
  now: number,
): Promise<{ moves: CallMove[]; ends: Call | null }> {
  const placed = await placedCall(connection, roomId, draft, now);
  const others = (await liveCallsIn(connection, [roomId])).filter(({ caller }) => caller !== placed.caller);
  const met = metInGlare(placed.caller, others, now);
  const next = met.length === 0 ? placed : ended(placed, "GLARE");
  const opposing = others.map(({ callId }) => callId);
  // Those that it meets must still be there when it ends for their sake.
  const kept = met.map(({ callId, revision }) => ({ callId, revision, next: null }));
  return {
    moves: [{ callId: placed.callId, revision: null, next, opposing }, ...kept],
    ends: met.length === 0 ? null : placed,
  };
}

async function placedCall(
  connection: Connection,
  roomId: string,
  { sender, content }: SignalDraft,
  now: number,
): Promise<Call> {
  const users = await partiesOfRoom(connection, roomId, 3);
  const others = users.filter((userId) => userId !== sender);
  if (users.length !== 2 || others.length !== 1) {
    throw badInput("roomId", "is no room of two: calls are between the two who are in it, or invited");
  }
  const { call_id: callId, device_id: callerDevice, lifetime } = JSON.parse(content) as SignalContent;
  return {
    ...{ callId, roomId, caller: sender, callerDevice, callee: others[0]!, state: "RINGING", parties: [] },
    ...{ acceptedBy: null, createdAt: now, expiresAt: now + lifetime, endedReason: null, revision: 0 },
  };
}

/**
 * What ends the call that an invite placed, for the unit that redacts the invite: nobody can answer what was said no more.
 * Null for all other events, and calls that have ended.
 */
export async function endingWithInvite(
  { serverName }: { serverName: string },
  connection: Connection,
  { type, eventId }: { type: string; eventId: string },
): Promise<{ hangup: EventDraft; move: CallMove } | null> {
  if (type !== "m.call.invite") return null;
  const [call] = await callsById(connection, [callIdOf(eventId)]);
  return call === undefined || call.state === "ENDED" ? null : ending(serverName, call, "HANGUP");
}

/** The server's hangup, and what it makes of the call. [VOIP-5] */
export function ending(serverName: string, call: Call, reason: CallEndReason): { hangup: EventDraft; move: CallMove } {
  const { callId, revision } = call;
  return {
    hangup: hangupDraft(serverName, call, reason),
    move: { callId, revision, next: ended(call, reason) },
  };
}

/** What the server says of a call's end. [VOIP-5, VOIP-7] */
function hangupDraft(serverName: string, { callId }: Call, reason: CallEndReason): EventDraft {
  const content = canonicalJson({ call_id: callId, reason: reason.toLowerCase() }, "");
  return { type: "m.call.hangup", sender: serverName, content, updatesId: inviteIdOf(callId)! };
}

function isSignal(draft: EventDraft): draft is SignalDraft {
  return draft.stateKey === undefined && isSignalType(draft.type);
}

function contentOf({ content }: SignalDraft): SignalContent {
  return JSON.parse(content) as SignalContent;
}

function deviceOf(draft: SignalDraft): CallDevice {
  return { userId: draft.sender, deviceId: contentOf(draft).device_id };
}

function signalOf(draft: SignalDraft): Signal {
  const content = contentOf(draft);
  switch (draft.type) {
    case "m.call.answer":
    case "m.call.reject":
      return { type: draft.type, eventId: draft.eventId };
    case "m.call.ack":
      return {
        type: draft.type,
        accepted: { userId: content.accepted_user_id, deviceId: content.accepted_device_id },
      };
    case "m.call.candidates":
      return {
        type: draft.type,
        to: { userId: content.to_user_id ?? null, deviceId: content.to_device_id ?? null },
      };
    default:
      return { type: "m.call.hangup" };
  }
}
