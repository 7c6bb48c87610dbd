import { banUser } from "../domain/actions/banUser.ts";
import { inviteUser } from "../domain/actions/inviteUser.ts";
import { kickUser } from "../domain/actions/kickUser.ts";
import { knockRoom } from "../domain/actions/knockRoom.ts";
import { leaveRoom } from "../domain/actions/leaveRoom.ts";
import { rejectInvite } from "../domain/actions/rejectInvite.ts";
import { unbanUser } from "../domain/actions/unbanUser.ts";
import { HearthError } from "../model/errors.ts";
import { builder } from "../schema/builder.ts";
import { Member, Room, StateEvent } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { actionField, statePayload, type Acted } from "./actions.ts";

interface OwnMembershipInput {
  roomId: string;
  reason?: string | null;
  suppressOnStream: boolean;
  actionId?: string | null;
}
interface OthersMembershipInput extends OwnMembershipInput {
  userId: string;
}

function ownMembershipInput(name: string) {
  return builder.inputRef<OwnMembershipInput>(name).implement({
    fields: (t) => ({
      roomId: t.id({ required: true }),
      reason: t.string(),
      suppressOnStream: t.boolean({ required: true, defaultValue: false }),
      actionId: t.string(),
    }),
  });
}

function othersMembershipInput(name: string) {
  return builder.inputRef<OthersMembershipInput>(name).implement({
    fields: (t) => ({
      roomId: t.id({ required: true }),
      userId: t.id({ required: true }),
      reason: t.string(),
      suppressOnStream: t.boolean({ required: true, defaultValue: false }),
      actionId: t.string(),
    }),
  });
}

/** Payloads of what is done to another user: with the member that they are now. */
function memberPayload(name: string) {
  return builder.objectRef<Acted>(name).implement({
    fields: (t) => ({
      event: t.field({ type: StateEvent, resolve: ({ event }) => event }),
      member: t.field({
        type: Member,
        async resolve({ event }, _args, context) {
          const member = await context.load.member(await roomOf(event, context), event.stateKey ?? "");
          if (member === null) throw new HearthError("NOT_FOUND", "The user has no membership any more.");
          return member;
        },
      }),
      room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }),
      actionId: t.exposeString("actionId", { nullable: true }),
    }),
  });
}

const InviteUserPayload = builder.objectRef<Acted>("InviteUserPayload").implement({
  fields: (t) => ({
    event: t.field({ type: StateEvent, resolve: ({ event }) => event }),
    room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }),
    displayName: t.string({
      nullable: true,
      description: "Of the invitee, if known. [ACT-3]",
      resolve: async ({ event }, _args, context) =>
        text((await context.load.profile(event.stateKey ?? ""))["displayname"]),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: async ({ event }, _args, context) =>
        text((await context.load.profile(event.stateKey ?? ""))["avatar_url"]),
    }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

const RejectInviteInput = builder
  .inputRef<{ eventId: string; suppressOnStream: boolean; actionId?: string | null }>("RejectInviteInput")
  .implement({
    fields: (t) => ({
      eventId: t.id({ required: true }),
      suppressOnStream: t.boolean({ required: true, defaultValue: false }),
      actionId: t.string(),
    }),
  });

const withoutRoom = { room: false };
actionField(
  "leaveRoom",
  statePayload("LeaveRoomPayload", withoutRoom),
  ownMembershipInput("LeaveRoomInput"),
  leaveRoom,
);
actionField("inviteUser", InviteUserPayload, othersMembershipInput("InviteUserInput"), inviteUser);
actionField("rejectInvite", statePayload("RejectInvitePayload", withoutRoom), RejectInviteInput, rejectInvite);
actionField("kickUser", memberPayload("KickUserPayload"), othersMembershipInput("KickUserInput"), kickUser);
actionField("banUser", memberPayload("BanUserPayload"), othersMembershipInput("BanUserInput"), banUser);
actionField("unbanUser", memberPayload("UnbanUserPayload"), othersMembershipInput("UnbanUserInput"), unbanUser);
actionField(
  "knockRoom",
  statePayload("KnockRoomPayload", withoutRoom),
  ownMembershipInput("KnockRoomInput"),
  knockRoom,
);
