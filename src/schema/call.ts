import type { CallParty as CallPartyShape, CallView, TurnServerShape } from "../model/call.ts";
import { contentOf, type StoredEvent } from "../model/event.ts";
import { builder } from "./builder.ts";
import { SessionDescription } from "./content.ts";
import { CallEndReason, CallState } from "./enums.ts";
import { Node } from "./node.ts";
import { Call, MessageEvent, Room, User } from "./refs.ts";
import { roomOf } from "./room.ts";

interface Description {
  type: string;
  sdp: string;
}

/** What a signal describes; null when it was redacted. */
function description(event: StoredEvent, key: "offer" | "answer"): Description | null {
  return (contentOf(event)?.[key] as Description | undefined) ?? null;
}

const CallParty = builder.objectRef<CallPartyShape>("CallParty").implement({
  description: "A device that answered or rejected.",
  fields: (t) => ({
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    deviceId: t.exposeString("deviceId"),
    answer: t.field({
      type: SessionDescription,
      nullable: true,
      async resolve({ rejected, eventId }, _args, context) {
        const event = rejected ? null : await context.load.event(eventId);
        return event && description(event, "answer");
      },
    }),
    rejected: t.exposeBoolean("rejected"),
  }),
});

function acceptedParty({ parties, acceptedBy }: CallView): CallPartyShape | null {
  return parties.find((party) => party.userId === acceptedBy?.userId && party.deviceId === acceptedBy.deviceId) ?? null;
}

Call.implement({
  description: "A call between the two users of a room. [VOIP-1]",
  interfaces: [Node],
  isTypeOf: (value) => "callerDevice" in (value as object),
  fields: (t) => ({
    id: t.exposeID("callId"),
    room: t.field({ type: Room, resolve: (call, _args, context) => roomOf(call, context) }),
    invite: t.field({ type: MessageEvent, resolve: ({ invite }) => invite }),
    offer: t.field({
      type: SessionDescription,
      description: "Empty when the invite was redacted.",
      resolve: ({ invite }) => description(invite, "offer") ?? { type: "offer", sdp: "" },
    }),
    caller: t.field({ type: User, resolve: ({ caller }) => ({ kind: "USER" as const, userId: caller }) }),
    callee: t.field({ type: User, resolve: ({ callee }) => ({ kind: "USER" as const, userId: callee }) }),
    state: t.expose("state", { type: CallState }),
    parties: t.field({
      type: [CallParty],
      description: "Devices that answered or rejected.",
      resolve: ({ parties }) => parties,
    }),
    acceptedBy: t.field({
      type: CallParty,
      nullable: true,
      description: "The device that the caller acknowledged.",
      resolve: (call) => acceptedParty(call),
    }),
    signals: t.field({
      type: [MessageEvent],
      description: "What was signalled after the invite, the oldest first.",
      complexity: { field: 1, multiplier: 50 },
      resolve: ({ invite }, _args, context) => context.load.updates(invite),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    expiresAt: t.expose("expiresAt", {
      type: "DateTime",
      nullable: true,
      description: "When the invite lapses; null once a device was acknowledged or the call has ended.",
    }),
    endedReason: t.expose("endedReason", { type: CallEndReason, nullable: true }),
  }),
});

builder.objectField(Room, "activeCalls", (t) =>
  t.field({
    type: [Call],
    description: "Calls in the room that haven't ended, the oldest first.",
    resolve: ({ roomId }, _args, context) => context.load.callsIn(roomId),
  }),
);

export const TurnServer = builder.objectRef<TurnServerShape>("TurnServer").implement({
  description: "Where the media of calls may be relayed, with credentials that hold for a time. [VOIP-8]",
  fields: (t) => ({
    uris: t.exposeStringList("uris"),
    username: t.exposeString("username"),
    password: t.exposeString("password"),
    expiresAt: t.expose("expiresAt", { type: "DateTime" }),
  }),
});
