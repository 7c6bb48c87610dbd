import { edited, latestEdit } from "../model/edits.ts";
import type { AnyEvent, EventRelation } from "../model/event.ts";
import { typedContent } from "../model/content/typed.ts";
import { builder } from "./builder.ts";
import type { ReactionShape } from "./context.ts";
import { Node } from "./node.ts";
import { Event, EventConnection, EventContent, MessageEvent } from "./refs.ts";

const Relation = builder.objectRef<EventRelation>("Relation").implement({
  fields: (t) => ({
    type: t.exposeString("type"),
    eventId: t.exposeID("eventId"),
    key: t.exposeString("key", { nullable: true }),
    event: t.field({
      type: MessageEvent,
      nullable: true,
      async resolve({ eventId }, _args, context) {
        const event = await context.load.event(eventId);
        return event?.kind === "MESSAGE" ? event : null;
      },
    }),
  }),
});

const ReactionGroup = builder.objectRef<ReactionShape>("ReactionGroup").implement({
  fields: (t) => ({
    key: t.exposeString("key"),
    count: t.exposeInt("count"),
    viewerEvent: t.field({
      type: MessageEvent,
      nullable: true,
      description: "The viewer's own reaction.",
      resolve: ({ ownEventId }, _args, context) => (ownEventId === null ? null : context.load.event(ownEventId)),
    }),
  }),
});

MessageEvent.implement({
  interfaces: [Event, Node],
  isTypeOf: (value) => (value as AnyEvent).kind === "MESSAGE",
  fields: (t) => ({
    id: t.exposeID("eventId"),
    updatesId: t.exposeID("updatesId", { nullable: true, description: "The event that this one updates. [UPD]" }),
    updates: t.field({
      type: MessageEvent,
      nullable: true,
      resolve: ({ updatesId }, _args, context) => (updatesId === null ? null : context.load.event(updatesId)),
    }),
    updatedBy: t.field({
      type: [MessageEvent],
      description: "All descendants by `updates`, flat, oldest first.",
      complexity: { field: 1, multiplier: 50 },
      resolve: (event, _args, context) => context.load.updates(event),
    }),
    current: t.field({
      type: EventContent,
      nullable: true,
      description: "Content with the edits of the sender applied.",
      async resolve(event, _args, context) {
        const edit = latestEdit(event, await context.load.updates(event));
        return typedContent(edit === null ? event : edited(event, edit));
      },
    }),
    editedAt: t.field({
      type: "DateTime",
      nullable: true,
      resolve: async (event, _args, context) => latestEdit(event, await context.load.updates(event))?.sentAt ?? null,
    }),
    relatesTo: t.field({
      type: [Relation],
      description: "The events that this one relates to. [REL-1]",
      resolve: ({ relatesTo }) => relatesTo,
    }),
    replies: t.field({
      type: EventConnection,
      description: "Child events; a connection without nodes when `last` is 0.",
      args: {
        relType: t.arg.string(),
        last: t.arg.int({ required: true, defaultValue: 0 }),
        before: t.arg({ type: "ChunkToken" }),
      },
      complexity: ({ last }) => ({ field: 1, multiplier: Math.max(1, last) }),
      resolve: (event, args, context) => context.load.replies(event, args),
    }),
    replyCount: t.int({
      args: { relType: t.arg.string() },
      resolve: (event, { relType }, context) => context.load.replyCount(event, relType ?? null),
    }),
    reactions: t.field({
      type: [ReactionGroup],
      description: "Children of relation type m.annotation, counted by key. [REL-4]",
      resolve: (event, _args, context) => context.load.reactions(event),
    }),
  }),
});
