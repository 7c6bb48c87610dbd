import type { AccessTokenShape, DeviceShape, SigningKeyShape } from "../model/account.ts";
import type { CallView, TurnServerShape } from "../model/call.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Membership } from "../model/content/typed.ts";
import type { Requester } from "../model/requester.ts";
import type { Connection, EventConnection, PageStart, StateConnection } from "../model/connection.ts";
import type { Filter } from "../model/filter.ts";
import type { MemberShape, RoomView, UserShape } from "../model/room.ts";
import type { Marker, MarkerKind } from "../model/marker.ts";
import type { MediaShape, MediaUsage } from "../model/media.ts";
import type { Pace } from "../model/pace.ts";
import type { PresenceShape } from "../model/presence.ts";
import type { LiveSession } from "../model/session.ts";
import type { ServerShape } from "../model/server.ts";
import type { PagingArguments } from "../model/paging.ts";

/** What the types' fields see of a request. The resolvers make it, anew for each. */
export interface Context {
  /** Null without a valid access token. */
  requester: Requester | null;
  /** Whether the request came from the device that acted, which alone sees the action id. [EVS-8] */
  acted(event: StoredEvent): boolean;
  requestId: string;
  /** The id of the session that began with this request, whose answer tells it. [SES-2] */
  freshSession: string | null;
  server: ServerShape;
  load: Loaders;
  /** For work that is done piece by piece, so that a large answer doesn't hold up others. */
  pace: Pace;
}

/**
 * How fields get at what they need: every function gathers the calls of one turn into one statement, and gives only what
 * the viewer may see; null for everything else, as for what doesn't exist. [EV-9]
 */
export interface Loaders {
  room(roomId: string): Promise<RoomView | null>;
  event(eventId: string): Promise<StoredEvent | null>;
  user(userId: string): Promise<UserShape | null>;
  profile(userId: string): Promise<Record<string, unknown>>;
  /** The event in a state slot as the viewer of the room sees it. */
  state(room: StateOf, type: string, stateKey: string): Promise<StoredEvent | null>;
  member(room: RoomView, userId: string): Promise<MemberShape | null>;
  memberCount(room: StateOf, membership: Membership): Promise<number>;
  /** The viewer's own membership of a room now. */
  membership(roomId: string): Promise<Membership | null>;
  lastMessage(room: RoomView): Promise<StoredEvent | null>;
  lastActivity(room: RoomView): Promise<StoredEvent | null>;
  /** A page of the room's events through a filter token. */
  timeline(room: RoomView, args: PagingArguments & { filter?: string | null }): Promise<EventConnection>;
  stateConnection(
    room: RoomView,
    args: { types?: string[] | null; first: number; after?: string | null },
  ): Promise<StateConnection>;
  /** About how many events lie before a page of a filter. [SCR-5] */
  moreBefore(before: PageStart, filter: Filter): Promise<number>;
  /** All descendants by `updates`, in order. [UPD-1] */
  updates(event: StoredEvent): Promise<StoredEvent[]>;
  /** The children that a filter bundles into the event. [REL-2] */
  bundledReplies(event: StoredEvent, filter: Filter): Promise<EventConnection>;
  replies(
    event: StoredEvent,
    args: { relType?: string | null; last: number; before?: string | null },
  ): Promise<EventConnection>;
  /** How many children an event has of a relation type; null: of any. [REL-4] */
  replyCount(event: StoredEvent, relType: string | null): Promise<number>;
  reactions(event: StoredEvent): Promise<ReactionShape[]>;
  /** The event in federation form. [EV-6] */
  federationJson(event: StoredEvent): Promise<Record<string, unknown>>;
  /** A user's marker as the viewer sees it. [ACT-11] */
  marker(room: RoomView, userId: string, kind: MarkerKind): Promise<Marker | null>;
  markers(
    room: RoomView,
    args: { kind?: MarkerKind | null; first: number; after?: string | null },
  ): Promise<Connection<Marker>>;
  unread(room: RoomView): Promise<{ count: number; highlight: number }>;
  members(
    room: RoomView,
    args: { membership: Membership[]; search?: string | null; first: number; after?: string | null },
  ): Promise<Connection<MemberShape>>;
  viewerRooms(args: { membership: Membership[]; first: number; after?: string | null }): Promise<Connection<RoomView>>;
  viewerMedia(args: { first: number; after?: string | null }): Promise<Connection<MediaShape>>;
  mediaUsage(): Promise<MediaUsage>;
  invites(): Promise<StoredEvent[]>;
  device(deviceId: string): Promise<DeviceShape>;
  /** The session of the viewer's device. [SES-1] */
  session(): LiveSession | null;
  /** A user's presence; null unless the viewer may see it. [PRE-4] */
  presence(userId: string): Promise<PresenceShape | null>;
  appearOffline(): Promise<boolean>;
  /** The ids of users who are typing in a room that the viewer is joined to. [TYP-1] */
  typing(roomId: string): Promise<string[]>;
  /** The hash of what the server offers users, or anybody. [CAP-1] */
  offeredCapabilities(to: "users" | "anybody"): string;
  /** A user's signing keys, the oldest first. [ACT-13] */
  signingKeys(userId: string): Promise<SigningKeyShape[]>;
  /** The tokens of a device, without their secrets. [ACC-2] */
  accessTokens(device: Pick<DeviceShape, "userId" | "deviceId">): Promise<AccessTokenShape[]>;
  call(callId: string): Promise<CallView | null>;
  /** The calls of a room that go on, the oldest first. */
  callsIn(roomId: string): Promise<CallView[]>;
  /** The viewer's calls that go on, the oldest first. */
  viewerCalls(): Promise<CallView[]>;
  /** The viewer's credentials. [VOIP-8] */
  turnServers(): TurnServerShape[];
  /** The place of an event as a chunk token. [SCR-3] */
  cursor(event: StoredEvent): string;
}

/** Reactions of one key to an event, and the viewer's own among them. [REL-4] */
export interface ReactionShape {
  key: string;
  count: number;
  ownEventId: string | null;
}

/** A room's state as of a stream position; null is the present. */
export interface StateOf {
  roomId: string;
  until: number | null;
}
