import { redactEvent } from "../domain/actions/redactEvent.ts";
import { sendMessage, sendMessages } from "../domain/actions/sendMessages.ts";
import { eventBefore } from "../domain/reading/history.ts";
import { clientJson, type StoredEvent } from "../model/event.ts";
import { eventNotFound } from "../model/errors.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { Event, MessageEvent, Room } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { run, type Acted, type ActedBatch } from "./actions.ts";
import { domainOf, signedIn } from "./context.ts";

const TextInput = builder.inputType("TextInput", {
  fields: (t) => ({
    body: t.string({ required: true }),
    msgtype: t.string({ required: true, defaultValue: "m.text" }),
    formattedBody: t.string(),
    externalUrl: t.string(),
  }),
});
const MediaInput = builder.inputType("MediaInput", {
  fields: (t) => ({
    msgtype: t.string({ required: true }),
    body: t.string({ required: true }),
    mxc: t.string({ required: true }),
    mimetype: t.string(),
    size: t.int(),
    width: t.int(),
    height: t.int(),
    durationMs: t.int(),
    thumbnailMxc: t.string(),
    externalUrl: t.string(),
  }),
});
const LocationInput = builder.inputType("LocationInput", {
  fields: (t) => ({ body: t.string({ required: true }), geoUri: t.string({ required: true }) }),
});
const MessageContentInput = builder.inputType("MessageContentInput", {
  description: "`custom` is the content of any other type, as it stands.",
  isOneOf: true,
  fields: (t) => ({
    text: t.field({ type: TextInput }),
    media: t.field({ type: MediaInput }),
    location: t.field({ type: LocationInput }),
    reaction: t.string({
      description: "The key of a reaction to the one event that `relatesTo` names as m.annotation.",
    }),
    custom: t.field({ type: "JSONObject" }),
  }),
});
const RelationInput = builder.inputType("RelationInput", {
  fields: (t) => ({
    type: t.string({ required: true }),
    eventId: t.id({ required: true }),
    key: t.string(),
  }),
});
export const MessageInput = builder.inputType("MessageInput", {
  fields: (t) => ({
    type: t.string({ required: true, defaultValue: "m.room.message" }),
    content: t.field({ type: MessageContentInput, required: true }),
    updates: t.id({ description: "The event that this one becomes part of, such as the one that it edits. [UPD]" }),
    relatesTo: t.field({ type: [RelationInput] }),
    mentions: t.idList(),
    actionId: t.string(),
  }),
});
const SendMessageInput = builder.inputType("SendMessageInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    message: t.field({ type: MessageInput, required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
  }),
});
const SendMessagesInput = builder.inputType("SendMessagesInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    messages: t.field({ type: [MessageInput], required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const RedactEventInput = builder.inputType("RedactEventInput", {
  fields: (t) => ({
    eventId: t.id({ required: true }),
    reason: t.string(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

/** The keys that the server added or changed: all but what the client gave. [ACT-12] */
function compact(event: StoredEvent, context: Context): Record<string, unknown> {
  const {
    content: _content,
    room_id: _roomId,
    signatures: _signatures,
    ...added
  } = clientJson(event, context.acted(event), null);
  return added;
}

/** A position just after an event, for all rooms and users. [ACT-12] */
function tokenAfter(event: StoredEvent, context: Context): string {
  const { userId, deviceId } = signedIn(context);
  return domainOf(context).tokens.stream({ userId, deviceId, rooms: null, users: null, position: event.position });
}

export const SendMessagePayload = builder.objectRef<Acted>("SendMessagePayload").implement({
  fields: (t) => ({
    event: t.field({ type: MessageEvent, resolve: ({ event }) => event }),
    compact: t.field({
      type: "JSONObject",
      description: "Only the keys that the server added or changed. [ACT-12]",
      resolve: ({ event }, _args, context) => compact(event, context),
    }),
    stream: t.field({
      type: "StreamToken",
      description: "A position just after the event, for all rooms and users. [ACT-12]",
      resolve: ({ event }, _args, context) => tokenAfter(event, context),
    }),
    previousEventId: t.id({
      nullable: true,
      description: "The event before it in the room.",
      resolve: ({ event }, _args, context) => eventBefore(domainOf(context).reading, event),
    }),
    room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

const SendMessagesPayload = builder.objectRef<ActedBatch>("SendMessagesPayload").implement({
  fields: (t) => ({
    events: t.field({ type: [MessageEvent], resolve: ({ events }) => events }),
    compact: t.field({
      type: ["JSONObject"],
      resolve: ({ events }, _args, context) => events.map((event) => compact(event, context)),
    }),
    stream: t.field({
      type: "StreamToken",
      resolve: ({ events }, _args, context) => tokenAfter(events.at(-1)!, context),
    }),
    previousEventId: t.id({
      nullable: true,
      resolve: ({ events }, _args, context) => eventBefore(domainOf(context).reading, events[0]!),
    }),
    room: t.field({ type: Room, resolve: ({ events }, _args, context) => roomOf(events[0]!, context) }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

const RedactEventPayload = builder.objectRef<Acted>("RedactEventPayload").implement({
  fields: (t) => ({
    event: t.field({ type: MessageEvent, resolve: ({ event }) => event }),
    redacted: t.field({
      type: Event,
      async resolve({ event }, _args, context) {
        const redacted = await context.load.event(event.redactsId ?? "");
        if (redacted === null) throw eventNotFound();
        return redacted;
      },
    }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

builder.mutationField("sendMessage", (t) =>
  t.field({
    type: SendMessagePayload,
    nullable: true,
    args: { input: t.arg({ type: SendMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      event: await run(context, sendMessage, input),
      actionId: input.message.actionId ?? null,
    }),
  }),
);

builder.mutationField("sendMessages", (t) =>
  t.field({
    type: SendMessagesPayload,
    nullable: true,
    description: "All or nothing, in order, at neighbouring places of the stream. [ACT-8]",
    args: { input: t.arg({ type: SendMessagesInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      events: await run(context, sendMessages, input),
      actionId: input.actionId ?? null,
    }),
  }),
);

builder.mutationField("redactEvent", (t) =>
  t.field({
    type: RedactEventPayload,
    nullable: true,
    args: { input: t.arg({ type: RedactEventInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      event: await run(context, redactEvent, input),
      actionId: input.actionId ?? null,
    }),
  }),
);
