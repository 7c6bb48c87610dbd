import { createAlias } from "../domain/actions/createAlias.ts";
import { deleteAlias } from "../domain/actions/deleteAlias.ts";
import { check } from "../model/check.ts";
import { aliasNotFound } from "../model/errors.ts";
import { alias as aliasId } from "../model/ids.ts";
import { builder } from "../schema/builder.ts";
import { Room, StateEvent } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { run, type Acted } from "./actions.ts";
import { domainOf, signedIn } from "./context.ts";

const RoomAlias = builder.objectRef<{ alias: string; roomId: string }>("RoomAlias").implement({
  fields: (t) => ({
    alias: t.exposeID("alias"),
    roomId: t.exposeID("roomId"),
    servers: t.stringList({
      description: "Servers that know the room.",
      resolve: (_alias, _args, { server }) => [server.name],
    }),
  }),
});

builder.queryField("roomAlias", (t) =>
  t.field({
    type: RoomAlias,
    nullable: true,
    description: "Resolve a room alias; asks the owning application service when it is unknown here. [ALI-1, AS-3]",
    args: { alias: t.arg.id({ required: true }) },
    async resolve(_root, args, context) {
      signedIn(context);
      const alias = check(aliasId, args.alias, "alias");
      const roomId = await domainOf(context).tools.queries.alias(alias);
      if (roomId === null) throw aliasNotFound();
      return { alias, roomId };
    },
  }),
);

interface ActedOnAlias extends Acted {
  alias: string;
}

const CreateAliasInput = builder.inputType("CreateAliasInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    alias: t.id({ required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const CreateAliasPayload = builder.objectRef<ActedOnAlias>("CreateAliasPayload").implement({
  fields: (t) => ({
    alias: t.field({ type: RoomAlias, resolve: ({ alias, event }) => ({ alias, roomId: event.roomId }) }),
    event: t.field({
      type: StateEvent,
      description: "Tells all aliases of the room on this server.",
      resolve: ({ event }) => event,
    }),
    room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

builder.mutationField("createAlias", (t) =>
  t.field({
    type: CreateAliasPayload,
    nullable: true,
    description: "Gives a room that one is in another alias. [ALI-2]",
    args: { input: t.arg({ type: CreateAliasInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      event: await run(context, createAlias, input),
      alias: String(input.alias),
      actionId: input.actionId ?? null,
    }),
  }),
);

const DeleteAliasInput = builder.inputType("DeleteAliasInput", {
  fields: (t) => ({
    alias: t.id({ required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const DeleteAliasPayload = builder.objectRef<ActedOnAlias>("DeleteAliasPayload").implement({
  fields: (t) => ({
    alias: t.exposeID("alias"),
    event: t.field({
      type: StateEvent,
      nullable: true,
      description: "Tells the aliases that the room still has; null for who may not see the room.",
      resolve: ({ event }, _args, context) => context.load.event(event.eventId),
    }),
    room: t.field({
      type: Room,
      nullable: true,
      description: "Null for who may not see it.",
      resolve: ({ event }, _args, context) => context.load.room(event.roomId),
    }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

builder.mutationField("deleteAlias", (t) =>
  t.field({
    type: DeleteAliasPayload,
    nullable: true,
    description: "For who made the alias, operators of its room and admins. [ALI-2]",
    args: { input: t.arg({ type: DeleteAliasInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      event: await run(context, deleteAlias, input),
      alias: String(input.alias),
      actionId: input.actionId ?? null,
    }),
  }),
);
