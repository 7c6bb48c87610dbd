import type { AccessTokenShape, DeviceShape } from "../model/account.ts";
import type { AnyEvent, StoredEvent } from "../model/event.ts";
import type { Membership } from "../model/content/typed.ts";
import type { Requester } from "../model/requester.ts";
import type { Connection } from "../model/connection.ts";
import type { MemberShape, RoomView, UserShape } from "../model/room.ts";
import type { PagingArguments } from "../model/paging.ts";

/** What the types' fields see of a request. The resolvers make it, anew for each. */
export interface Context {
  /** Null without a valid access token. */
  requester: Requester | null;
  requestId: string;
  server: { name: string; version: string; registration: "open" | "token" | "closed" };
  load: Loaders;
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
  /** A page of the room's events, nothing beyond stream position `head`: the present one unless given. */
  timeline(room: RoomView, paging: PagingArguments, head?: number): Promise<Connection<AnyEvent>>;
  stateConnection(
    room: RoomView,
    args: { types?: string[] | null; first: number; after?: string | null },
  ): Promise<Connection<StoredEvent>>;
  members(
    room: RoomView,
    args: { membership: Membership[]; search?: string | null; first: number; after?: string | null },
  ): Promise<Connection<MemberShape>>;
  viewerRooms(args: { membership: Membership[]; first: number; after?: string | null }): Promise<Connection<RoomView>>;
  invites(): Promise<StoredEvent[]>;
  device(deviceId: string): Promise<DeviceShape>;
  accessTokens(deviceId: string): Promise<AccessTokenShape[]>;
  /** The place of an event as a chunk token. [SCR-3] */
  cursor(event: StoredEvent): string;
}

/** A room's state as of a stream position; null is the present. */
export interface StateOf {
  roomId: string;
  until: number | null;
}
