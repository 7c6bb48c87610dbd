import { isUnacknowledged, type Call, type CallDevice, type CallEndReason, type CallParty } from "../../model/call.ts";
import { HearthError } from "../../model/errors.ts";

/** What a device says in a call that was placed. */
export type Signal =
  | { type: "m.call.answer" | "m.call.reject"; eventId: string }
  | { type: "m.call.ack"; accepted: CallDevice }
  | { type: "m.call.candidates"; to: { userId: string | null; deviceId: string | null } }
  | { type: "m.call.hangup" };

/**
 * What a signal makes of a call: the next one, or the same where nothing changes. [VOIP-2, VOIP-3, VOIP-4] Throws what
 * refuses it: `FORBIDDEN` for who has no part in it, or has said it before, `CALL_ENDED`, `CALL_TAKEN`, and `NOT_FOUND` for
 * the name of a device that hasn't answered or rejected. Pure.
 */
export function advance(call: Call, from: CallDevice, signal: Signal, now: number): Call {
  const calling = from.userId === call.caller;
  if (!calling && from.userId !== call.callee) throw forbidden("You have no part in this call.");
  if (calling && from.deviceId !== call.callerDevice) {
    throw forbidden("Another device of yours placed this call, and only that one signals in it.");
  }
  if (call.state === "ENDED" || hasLapsed(call, now)) throw new HearthError("CALL_ENDED", "The call has ended.");
  switch (signal.type) {
    case "m.call.answer":
      return answered(call, demandCallee(calling, from), signal.eventId);
    case "m.call.reject":
      return rejected(call, demandCallee(calling, from), signal.eventId);
    case "m.call.ack":
      if (!calling) throw forbidden("Only the device that placed the call acknowledges.");
      return acknowledged(call, signal.accepted);
    case "m.call.candidates":
      demandPart(call, from);
      checkAddressee(call, calling ? call.callee : call.caller, signal.to);
      return call;
    case "m.call.hangup":
      demandPart(call, from);
      return ended(call, "HANGUP");
  }
}

/** The call after its end. */
export function ended(call: Call, reason: CallEndReason): Call {
  return { ...call, state: "ENDED", endedReason: reason, expiresAt: null };
}

/** Whether the invite has run out, whether or not anybody was told so yet. [VOIP-5] */
export function hasLapsed({ expiresAt }: Call, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/**
 * The calls that one from the other side meets when it is placed in the same room: those that nobody was acknowledged in
 * yet. If there is any, the new one ends at once: the invite that stands first in the room survives. Both sides see them
 * in the same order, so both compute the same. [VOIP-7]
 */
export function metInGlare(caller: string, others: readonly Call[], now: number): Call[] {
  return others.filter((call) => call.caller !== caller && isUnacknowledged(call) && !hasLapsed(call, now));
}

/** The call without a device that answered or rejected, and is gone before anybody acknowledged it. [VOIP-5] */
export function withoutParty(call: Call, { userId, deviceId }: CallDevice): Call {
  return withParties(
    call,
    call.parties.filter((party) => party.userId !== userId || party.deviceId !== deviceId),
  );
}

function answered(call: Call, from: CallDevice, eventId: string): Call {
  if (call.state === "CONNECTED") throw taken();
  if (partyOf(call, from) !== null) throw forbidden("This device has answered or rejected the call already.");
  return withParties(call, [...call.parties, { ...from, rejected: false, eventId }]);
}

/** Who has answered may think better of it, as long as nobody acknowledged. */
function rejected(call: Call, from: CallDevice, eventId: string): Call {
  if (call.state === "CONNECTED") throw taken();
  if (partyOf(call, from)?.rejected) throw forbidden("This device has rejected the call already.");
  return withParties(call, [...withoutParty(call, from).parties, { ...from, rejected: true, eventId }]);
}

function acknowledged(call: Call, { userId, deviceId }: CallDevice): Call {
  if (call.state === "CONNECTED") throw taken();
  const party = partyOf(call, { userId, deviceId });
  if (party === null) throw new HearthError("NOT_FOUND", "No such device answered or rejected the call.");
  const acceptedBy = { userId, deviceId };
  if (party.rejected) return { ...ended(call, "REJECTED"), acceptedBy };
  return { ...call, state: "CONNECTED", acceptedBy, expiresAt: null };
}

function demandCallee(calling: boolean, from: CallDevice): CallDevice {
  if (calling) throw forbidden("Nobody answers or rejects their own call.");
  return from;
}

function demandPart(call: Call, from: CallDevice): void {
  if (takesPart(call, from)) return;
  throw forbidden(call.acceptedBy === null ? "This device hasn't answered the call." : "Another device took the call.");
}

function checkAddressee(call: Call, other: string, to: { userId: string | null; deviceId: string | null }): void {
  if (to.userId !== null && to.userId !== other) throw unknownDevice();
  if (to.deviceId === null) return;
  if (!takesPart(call, { userId: other, deviceId: to.deviceId })) throw unknownDevice();
}

/** Whether a device signals in the call: the one that called, and of the callee's those that answered, or the chosen one. */
function takesPart(call: Call, device: CallDevice): boolean {
  if (device.userId === call.caller) return device.deviceId === call.callerDevice;
  if (call.acceptedBy !== null) return call.acceptedBy.deviceId === device.deviceId;
  return partyOf(call, device)?.rejected === false;
}

function withParties(call: Call, parties: CallParty[]): Call {
  return { ...call, parties, state: parties.some((party) => !party.rejected) ? "ANSWERED" : "RINGING" };
}

function partyOf({ parties }: Call, { userId, deviceId }: CallDevice): CallParty | null {
  return parties.find((party) => party.userId === userId && party.deviceId === deviceId) ?? null;
}

function forbidden(message: string): HearthError {
  return new HearthError("FORBIDDEN", message);
}

function taken(): HearthError {
  return new HearthError("CALL_TAKEN", "The call was taken: the caller has acknowledged a device.");
}

function unknownDevice(): HearthError {
  return new HearthError("NOT_FOUND", "No such device takes part in the call.");
}
