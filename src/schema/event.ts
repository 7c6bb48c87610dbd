import type { AnyEvent, EphemeralEvent as EphemeralShape, StoredEvent } from "../model/event.ts";
import { contentOf, qualifiedType } from "../model/event.ts";
import { isUserId } from "../model/ids.ts";
import { profileType } from "../model/profile.ts";
import { orderText } from "../model/order.ts";
import { canonicalPatterns } from "../model/patterns.ts";
import { typedContent } from "../model/content/typed.ts";
import { builder } from "./builder.ts";
import { eventJson, previousContent } from "./eventJson.ts";
import { EventFormat, EventKind } from "./enums.ts";
import { Node } from "./node.ts";
import { Event, EventContent, Invite, Member, MessageEvent, Room, StateEvent, User } from "./refs.ts";
import { Profile } from "./user.ts";

const EphemeralEvent = builder.objectRef<EphemeralShape>("EphemeralEvent");

const stored = (event: AnyEvent): StoredEvent | null => (event.kind === "EPHEMERAL" ? null : event);

Event.implement({
  description: "Something that happened in a room. The order of all events is that of their positions in the stream.",
  resolveType: (event) =>
    event.kind === "MESSAGE" ? "MessageEvent" : event.kind === "STATE" ? "StateEvent" : "EphemeralEvent",
  fields: (t) => ({
    id: t.exposeID("eventId"),
    kind: t.expose("kind", { type: EventKind }),
    type: t.exposeString("type", { description: "e.g. m.room.message" }),
    qualifiedType: t.string({
      description: "Event version 2 type, prefixed with its kind: `state:m.room.name`. [EV-1]",
      resolve: qualifiedType,
    }),
    roomId: t.exposeID("roomId", { nullable: true }),
    room: t.field({
      type: Room,
      nullable: true,
      resolve: (event, _args, context) => (event.roomId === null ? null : context.load.room(event.roomId)),
    }),
    senderId: t.exposeID("sender", { description: "A user id, or a server name for server-generated events. [EV-5]" }),
    sender: t.field({
      type: User,
      nullable: true,
      description: "Null for servers.",
      resolve: (event, _args, context) => (isUserId(event.sender) ? context.load.user(event.sender) : null),
    }),
    senderMember: t.field({
      type: Member,
      nullable: true,
      description: "The sender as this room knows them: room profile, power level. Null for servers.",
      async resolve(event, _args, context) {
        const room = event.roomId === null || !isUserId(event.sender) ? null : await context.load.room(event.roomId);
        return room && context.load.member(room, event.sender);
      },
    }),
    sentAt: t.field({ type: "DateTime", resolve: (event) => event.sentAt }),
    content: t.field({
      type: "JSONObject",
      nullable: true,
      description: "Absent for a deleted state event; empty when redacted.",
      resolve: contentOf,
    }),
    typed: t.field({
      type: EventContent,
      nullable: true,
      description: "Content of a well-known type, validated; UnknownContent otherwise.",
      resolve: typedContent,
    }),
    json: t.field({
      type: "JSONObject",
      description: "The whole event as one JSON document. [EV-6]",
      args: {
        format: t.arg({ type: EventFormat, required: true, defaultValue: "CLIENT" }),
        fields: t.arg.stringList(),
      },
      resolve: (event, { format, fields }, context) =>
        eventJson(event, { format, fields: fields ? canonicalPatterns(fields, "fields") : null }, context),
    }),
    redactedBy: t.field({
      type: MessageEvent,
      nullable: true,
      resolve(event, _args, context) {
        const redactedById = stored(event)?.redactedById ?? null;
        return redactedById === null ? null : context.load.event(redactedById);
      },
    }),
    order: t.string({
      nullable: true,
      description: "Place in the room: sorts bytewise, never changes. Null for ephemeral events and markers.",
      resolve: (event) => (hasPlace(event) ? orderText(event.place) : null),
    }),
    cursor: t.field({
      type: "ChunkToken",
      nullable: true,
      description: "The same place as a chunk token. [SCR-3]",
      resolve: (event, _args, context) => (hasPlace(event) ? context.load.cursor(event) : null),
    }),
    actionId: t.string({
      nullable: true,
      description: "Only on the device that acted. [EVS-8]",
      resolve: (event, _args, context) =>
        event.kind !== "EPHEMERAL" && context.acted(event) ? (event.action?.actionId ?? null) : null,
    }),
    insertedAfterId: t.id({
      nullable: true,
      description: "Set on an out-of-order event: the event that it comes after in its room. [EVS-6]",
      resolve: (event) => stored(event)?.insertedAfterId ?? null,
    }),
  }),
});

/** Markers are state, but stand in no timeline. [ACT-11] */
function hasPlace(event: AnyEvent): event is StoredEvent {
  return event.kind !== "EPHEMERAL" && event.marker === null;
}

StateEvent.implement({
  interfaces: [Event, Node],
  isTypeOf: (value) => (value as AnyEvent).kind === "STATE",
  fields: (t) => ({
    id: t.exposeID("eventId"),
    stateKey: t.string({
      description: "`_` for the empty key. [EV-2]",
      resolve: (event) => event.stateKey ?? "",
    }),
    prevContent: t.field({
      type: "JSONObject",
      nullable: true,
      resolve: (event, _args, context) => previousContent(event, context),
    }),
    replacesId: t.exposeID("replacesId", { nullable: true }),
    deleted: t.boolean({
      description: "True when the event deletes its key: it then has no content. [ACT-9]",
      resolve: (event) => event.content === null,
    }),
    profile: t.field({
      type: Profile,
      nullable: true,
      description: "On membership events: the member's profile at that time. [PRO-4]",
      async resolve(event, _args, context) {
        if (event.type !== "m.room.member" || event.stateKey === null) return null;
        const then = { roomId: event.roomId, until: event.place.major };
        return { userId: event.stateKey, event: await context.load.state(then, profileType, event.stateKey) };
      },
    }),
    invite: t.field({
      type: Invite,
      nullable: true,
      description: "On the viewer's own invite: what may be seen of the room. [SYN-5]",
      async resolve(event, _args, context) {
        const own = event.type === "m.room.member" && event.stateKey === context.requester?.userId;
        if (!own || contentOf(event)?.["membership"] !== "invite") return null;
        // What it shows is the room of today, so it is shown only while the invite holds.
        return (await context.load.membership(event.roomId)) === "invite" ? { event } : null;
      },
    }),
  }),
});

EphemeralEvent.implement({
  description: "Typing, presence and other events that are never stored. Their id is made from room, type and sender.",
  interfaces: [Event],
  isTypeOf: (value) => (value as AnyEvent).kind === "EPHEMERAL",
  fields: (t) => ({ id: t.exposeID("eventId") }),
});
