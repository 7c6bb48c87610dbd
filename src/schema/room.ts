import type { JoinRule as JoinRuleValue, Membership as MembershipValue } from "../model/content/typed.ts";
import { roomNotFound } from "../model/errors.ts";
import { contentOf, type StoredEvent } from "../model/event.ts";
import { emptyStateKey } from "../model/event.ts";
import { levelOf, powerLevels } from "../model/power.ts";
import { profileType } from "../model/profile.ts";
import type { MemberShape, RoomView } from "../model/room.ts";
import { typedContent } from "../model/content/typed.ts";
import { builder, pageCost } from "./builder.ts";
import { connectionType } from "./connections.ts";
import { PowerLevelsContent } from "./content.ts";
import type { Context, StateOf } from "./context.ts";
import { HistoryVisibility, JoinRule, Membership } from "./enums.ts";
import { StateConnection } from "./eventConnection.ts";
import { urlOf } from "./media.ts";
import { Node } from "./node.ts";
import { EventConnection, Invite, Member, MessageEvent, Room, StateEvent, User } from "./refs.ts";
import { profileText } from "./user.ts";

const MemberConnection = connectionType<MemberShape>("Member", Member);
export const RoomConnection = connectionType<RoomView>("Room", Room);

/** The room of whatever is in one, or `NOT_FOUND` where the viewer can't see it any more. */
export async function roomOf({ roomId }: { roomId: string }, context: Context): Promise<RoomView> {
  const room = await context.load.room(roomId);
  if (room === null) throw roomNotFound();
  return room;
}

/** A key of the content of a state slot with the empty key; null when there is none. */
async function fromState(room: StateOf, type: string, key: string, context: Context): Promise<string | null> {
  const event = await context.load.state(room, type, emptyStateKey);
  const value = event && contentOf(event)?.[key];
  return typeof value === "string" && value !== "" ? value : null;
}

/** A resolver for the same. */
function stateText(type: string, key: string) {
  return (room: StateOf, _args: object, context: Context) => fromState(room, type, key, context);
}

async function joinRule(room: StateOf, _args: object, context: Context): Promise<JoinRuleValue> {
  return ((await fromState(room, "m.room.join_rules", "join_rule", context)) as JoinRuleValue | null) ?? "invite";
}

/** The aliases that the room's state tells. [ALI-2] */
async function aliases(room: StateOf, context: Context): Promise<string[]> {
  const event = await context.load.state(room, "m.room.aliases", context.server.name);
  const listed = event && contentOf(event)?.["aliases"];
  return Array.isArray(listed) ? listed.map(String) : [];
}

async function powerOf(room: RoomView, context: Context) {
  const event = await context.load.state(room, "m.room.power_levels", emptyStateKey);
  return powerLevels(event && contentOf(event), room.creator);
}

Room.implement({
  description: "A room as the viewer sees it: users who left see it as they left it.",
  interfaces: [Node],
  isTypeOf: (value) => "spans" in (value as object),
  fields: (t) => ({
    id: t.exposeID("roomId"),
    name: t.string({
      nullable: true,
      resolve: stateText("m.room.name", "name"),
    }),
    topic: t.string({
      nullable: true,
      resolve: stateText("m.room.topic", "topic"),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: stateText("m.room.avatar", "url"),
    }),
    avatarUrl: t.string({
      nullable: true,
      description: "The absolute address of the avatar, or of a thumbnail of about this size.",
      args: { width: t.arg.int(), height: t.arg.int() },
      resolve: async (room, size, context) =>
        urlOf(await fromState(room, "m.room.avatar", "url", context), size, "crop", context),
    }),
    title: t.string({
      description: "What to show: name, else an alias, else the other members.",
      resolve: title,
    }),
    aliases: t.idList({ resolve: (room, _args, context) => aliases(room, context) }),
    published: t.exposeBoolean("published"),
    joinRule: t.field({ type: JoinRule, resolve: joinRule }),
    historyVisibility: t.field({
      type: HistoryVisibility,
      resolve: async (room, _args, context) =>
        ((await fromState(room, "m.room.history_visibility", "history_visibility", context)) ?? "shared") as "shared",
    }),
    creatorId: t.exposeID("creator", { nullable: true }),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    powerLevels: t.field({
      type: PowerLevelsContent,
      async resolve(room, _args, context) {
        const event = await context.load.state(room, "m.room.power_levels", emptyStateKey);
        const typed = event && typedContent(event);
        if (typed?.typename === "PowerLevelsContent") return typed;
        return { typename: "PowerLevelsContent", raw: {}, ...powerLevels(null, room.creator) };
      },
    }),
    memberCount: t.int({
      args: { membership: t.arg({ type: Membership, required: true, defaultValue: "join" }) },
      resolve: (room, { membership }, context) => context.load.memberCount(room, membership),
    }),
    typing: t.field({
      type: [User],
      description: "Who is typing now; nobody, for who isn't joined. [TYP-1]",
      resolve: async ({ roomId }, _args, context) =>
        (await context.load.typing(roomId)).map((userId) => ({ kind: "USER" as const, userId })),
    }),
    members: t.field({
      type: MemberConnection,
      args: {
        membership: t.arg({ type: [Membership], required: true, defaultValue: ["join"] }),
        search: t.arg.string(),
        first: t.arg.int({ required: true, defaultValue: 50 }),
        after: t.arg({ type: "ChunkToken" }),
      },
      complexity: pageCost(50),
      resolve: (room, args, context) => context.load.members(room, { ...args, membership: [...args.membership] }),
    }),
    member: t.field({
      type: Member,
      nullable: true,
      args: { userId: t.arg.id({ required: true }) },
      resolve: (room, { userId }, context) => context.load.member(room, userId),
    }),
    viewerMembership: t.expose("membership", { type: Membership, nullable: true }),
    state: t.field({
      type: StateConnection,
      description: "Current state, pageable. [SYN-7]",
      args: {
        types: t.arg.stringList(),
        first: t.arg.int({ required: true, defaultValue: 100 }),
        after: t.arg({ type: "ChunkToken" }),
      },
      complexity: pageCost(100),
      resolve: (room, args, context) => context.load.stateConnection(room, args),
    }),
    stateEvent: t.field({
      type: StateEvent,
      nullable: true,
      args: {
        type: t.arg.string({ required: true }),
        stateKey: t.arg.string({ required: true, defaultValue: emptyStateKey }),
      },
      resolve: (room, { type, stateKey }, context) => context.load.state(room, type.replace(/^state:/, ""), stateKey),
    }),
    timeline: t.field({
      type: EventConnection,
      description: "Without paging arguments: the newest page.",
      args: {
        first: t.arg.int(),
        after: t.arg({ type: "ChunkToken" }),
        last: t.arg.int(),
        before: t.arg({ type: "ChunkToken" }),
        filter: t.arg({ type: "FilterToken" }),
      },
      complexity: pageCost(20),
      resolve: (room, args, context) => context.load.timeline(room, args),
    }),
    lastMessage: t.field({
      type: MessageEvent,
      nullable: true,
      resolve: (room, _args, context) => context.load.lastMessage(room),
    }),
    lastActivityAt: t.field({
      type: "DateTime",
      nullable: true,
      resolve: async (room, _args, context) => (await context.load.lastActivity(room))?.sentAt ?? null,
    }),
  }),
});

async function title(room: RoomView, _args: object, context: Context): Promise<string> {
  const name = await fromState(room, "m.room.name", "name", context);
  if (name !== null) return name;
  const [alias] = await aliases(room, context);
  if (alias !== undefined) return alias;
  const members = await context.load.members(room, { membership: ["join", "invite"], first: 6 });
  const others = members.edges.map((edge) => edge.node).filter(({ userId }) => userId !== context.requester?.userId);
  const names = await Promise.all(others.slice(0, 5).map((member) => memberName(member, context)));
  if (names.length === 0) return "Empty room";
  return others.length > 5 ? `${names.join(", ")} and others` : names.join(", ");
}

async function memberName(member: MemberShape, context: Context): Promise<string> {
  return (await memberProfile(member, "displayname", context)) ?? member.userId;
}

async function memberProfile(member: MemberShape, key: string, context: Context): Promise<string | null> {
  const event = await context.load.state(member.room, profileType, member.userId);
  return profileText({ userId: member.userId, event }, key, context);
}

Member.implement({
  description: "A user in a room, with the profile and power level that hold there.",
  interfaces: [Node],
  isTypeOf: (value) => "membership" in (value as object) && "room" in (value as object),
  fields: (t) => ({
    id: t.id({ resolve: (member) => memberId(member.room.roomId, member.userId) }),
    user: t.field({ type: User, resolve: (member) => ({ kind: "USER" as const, userId: member.userId }) }),
    room: t.field({ type: Room, resolve: (member) => member.room }),
    membership: t.expose("membership", { type: Membership }),
    displayName: t.string({
      nullable: true,
      resolve: (member, _args, context) => memberProfile(member, "displayname", context),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: (member, _args, context) => memberProfile(member, "avatar_url", context),
    }),
    avatarUrl: t.string({
      nullable: true,
      description: "The absolute address of the avatar, or of a thumbnail of about this size.",
      args: { width: t.arg.int(), height: t.arg.int() },
      resolve: async (member, size, context) =>
        urlOf(await memberProfile(member, "avatar_url", context), size, "crop", context),
    }),
    powerLevel: t.int({
      resolve: async (member, _args, context) => levelOf(await powerOf(member.room, context), member.userId),
    }),
    event: t.field({
      type: StateEvent,
      resolve: async (member, _args, context) => (await context.load.event(member.eventId))!,
    }),
  }),
});

/** The node id of a member: opaque to clients. */
function memberId(roomId: string, userId: string): string {
  return `member_${Buffer.from(JSON.stringify([roomId, userId])).toString("base64url")}`;
}

/** What someone who is only invited may see of a room: its present state, while the invite holds. [SYN-5] */
const InvitedRoom = builder.objectRef<StateOf>("InvitedRoom").implement({
  fields: (t) => ({
    id: t.exposeID("roomId"),
    name: t.string({
      nullable: true,
      resolve: stateText("m.room.name", "name"),
    }),
    topic: t.string({
      nullable: true,
      resolve: stateText("m.room.topic", "topic"),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: stateText("m.room.avatar", "url"),
    }),
    aliases: t.idList({ resolve: (room, _args, context) => aliases(room, context) }),
    joinRule: t.field({ type: JoinRule, resolve: joinRule }),
    memberCount: t.int({
      resolve: (room, _args, context) => context.load.memberCount(room, "join" as MembershipValue),
    }),
  }),
});

Invite.implement({
  interfaces: [Node],
  isTypeOf: (value) => "event" in (value as object) && !("roomId" in (value as object)),
  fields: (t) => ({
    id: t.id({ resolve: ({ event }) => inviteId(event) }),
    event: t.field({ type: StateEvent, resolve: ({ event }) => event }),
    room: t.field({ type: InvitedRoom, resolve: ({ event }) => ({ roomId: event.roomId, until: null }) }),
    inviter: t.field({ type: User, resolve: ({ event }) => ({ kind: "USER" as const, userId: event.sender }) }),
  }),
});

/** The node id of an invite: opaque to clients. */
function inviteId(event: StoredEvent): string {
  return `invite_${Buffer.from(JSON.stringify(event.eventId)).toString("base64url")}`;
}
