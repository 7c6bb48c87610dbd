import type { Domain } from "../domain/domain.ts";
import { turnServersFor } from "../domain/calls/turn.ts";
import { readFilter } from "../domain/filters.ts";
import { callsById, liveCallsIn, liveCallsOf } from "../domain/reading/calls.ts";
import { federationEvents } from "../domain/reading/federation.ts";
import * as history from "../domain/reading/history.ts";
import { markerConnection, markersOfUsers, unreadCounts } from "../domain/reading/markers.ts";
import * as members from "../domain/reading/members.ts";
import * as own from "../domain/reading/own.ts";
import { estimatesBefore, placeToken, roomPage } from "../domain/reading/pages.ts";
import * as people from "../domain/reading/people.ts";
import { filterOfTypes, stateConnections } from "../domain/reading/roomStates.ts";
import { checkSlotName, stateInSlots, type Slot } from "../domain/reading/state.ts";
import { accessToRooms, type RoomAccess } from "../domain/reading/views.ts";
import type { DeviceShape } from "../model/account.ts";
import type { PageStart } from "../model/connection.ts";
import { HearthError } from "../model/errors.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import { groupBy } from "../model/groupBy.ts";
import { isUserId } from "../model/ids.ts";
import { markerKindOf, type MarkerKind } from "../model/marker.ts";
import type { RoomView } from "../model/room.ts";
import type { Requester } from "../model/requester.ts";
import { inGroups, type Batched } from "./batching.ts";
import { relationLoaders } from "./relationLoaders.ts";
import type { Loaders, StateOf } from "../schema/context.ts";

type StateArguments = Parameters<Loaders["stateConnection"]>[1];

/** The loaders of a request, which may be told what was read without them. */
export interface RequestLoaders extends Loaders {
  know(access: RoomAccess): void;
}

/** The loaders of one request, see `Loaders`; `signedIn` gives the viewer of whatever needs one, or throws. */
export function createLoaders(domain: Domain, signedIn: () => Requester, batched: Batched): RequestLoaders {
  const { reading } = domain;

  const access = batched<string, RoomAccess | null>(async (roomIds) => {
    const found = await accessToRooms(reading.connection, signedIn().userId, roomIds);
    return roomIds.map((roomId) => found.get(roomId) ?? null);
  });
  const events = batched(async (eventIds: readonly string[]) => {
    const found = await history.visibleEvents(reading, signedIn().userId, eventIds);
    return eventIds.map((eventId) => found.get(eventId) ?? null);
  });
  const users = batched(async (userIds: readonly string[]) => {
    const found = await people.existingUsers(reading, userIds);
    return userIds.map((userId) => (found.has(userId) ? ({ kind: "USER", userId } as const) : null));
  });
  const profiles = batched(async (userIds: readonly string[]) => {
    const found = await people.profiles(reading, userIds);
    return userIds.map((userId) => found.get(userId) ?? {});
  });
  const signingKeys = batched(async (userIds: readonly string[]) => {
    signedIn();
    const found = await people.signingKeys(reading, userIds);
    return userIds.map((userId) => found.get(userId) ?? []);
  });
  const accessTokens = batched(
    (devices: readonly Pick<DeviceShape, "userId" | "deviceId">[]) => own.tokensOfDevices(reading, devices),
    ({ userId, deviceId }) => JSON.stringify([userId, deviceId]),
  );
  const presences = batched(async (userIds: readonly string[]) => {
    const found = await domain.presence.seenBy(signedIn().userId, userIds);
    return userIds.map((userId) => found.get(userId) ?? null);
  });
  const slots = batched(
    (asked: readonly Slot[]) => stateInSlots(reading, asked),
    ({ roomId, until, type, stateKey }) => JSON.stringify([roomId, until, type, stateKey]),
  );
  const named = batched(
    (names: readonly { room: RoomView; userId: string }[]) => members.membersByName(reading, names),
    ({ room, userId }) => JSON.stringify([room.roomId, room.until, userId]),
  );
  const markers = batched(
    (wanted: readonly { room: StateOf; userId: string; kind: MarkerKind }[]) =>
      markersOfUsers(reading, signedIn().userId, wanted),
    ({ room, userId, kind }) => JSON.stringify([room.roomId, room.until, userId, kind]),
  );
  const unread = batched(
    (rooms: readonly RoomView[]) => unreadCounts(reading, signedIn().userId, rooms),
    (room) => room.roomId,
  );
  const counts = batched(async (roomIds: readonly string[]) => {
    const found = await members.memberCounts(reading, roomIds);
    return roomIds.map((roomId) => found.get(roomId) ?? new Map());
  });
  const newest = (messagesOnly: boolean) =>
    batched(
      async (rooms: readonly RoomView[]) => {
        const found = await history.newestVisible(reading, rooms, messagesOnly);
        return rooms.map((room) => found.get(room.roomId) ?? null);
      },
      (room) => room.roomId,
    );
  const lastMessages = newest(true);
  const lastActivities = newest(false);

  const calls = batched(async (callIds: readonly string[]) => {
    const found = await callsById(reading, signedIn().userId, callIds);
    return callIds.map((callId) => found.get(callId) ?? null);
  });
  const roomCalls = batched(async (roomIds: readonly string[]) => {
    const byRoom = groupBy(await liveCallsIn(reading, signedIn().userId, roomIds), (call) => call.roomId);
    return roomIds.map((roomId) => byRoom.get(roomId) ?? []);
  });

  const federationDocuments = batched(
    (asked: readonly StoredEvent[]) => federationEvents(reading, domain.signer, asked),
    (event) => event.eventId,
  );

  const states = batched((keys: readonly { room: RoomView; args: StateArguments }[]) =>
    inGroups(
      keys,
      ({ args }) => JSON.stringify(args),
      (group) => {
        const { types, ...paging } = group[0]!.args;
        const rooms = group.map(({ room: view }) => ({ view, at: reading.head.position, since: null }));
        return stateConnections(reading, rooms, { ...paging, filter: filterOfTypes(types ?? null), markers: "now" });
      },
    ),
  );

  const estimates = batched((pages: readonly { before: PageStart; filter: Filter }[]) =>
    inGroups(
      pages,
      ({ before, filter }) => `${before.upTo} ${JSON.stringify(filter.definition)}`,
      (group) => estimatesBefore(reading, group),
    ),
  );

  const room = async (roomId: string): Promise<RoomView | null> => (await access.load(roomId))?.view ?? null;

  return {
    know: (known) => access.prime(known.roomId, known),
    room,
    membership: async (roomId) => (await access.load(roomId))?.membership ?? null,
    event: (eventId) => events.load(eventId),
    user: (userId) => users.load(userId),
    profile: (userId) => profiles.load(userId),
    async state(room, type, stateKey) {
      checkSlotName(type, "type");
      checkSlotName(stateKey, "stateKey");
      const kind = markerKindOf(type);
      if (kind !== null) return (await markers.load({ room, userId: stateKey, kind }))?.event ?? null;
      return slots.load({ roomId: room.roomId, until: room.until, type, stateKey });
    },
    marker: (room, userId, kind) => markers.load({ room, userId, kind }),
    markers: (room, args) => markerConnection(reading, room, args),
    unread: (room) => unread.load(room),
    member: async (room, userId) => (isUserId(userId) ? named.load({ room, userId }) : null),
    memberCount: async ({ roomId, until }, membership) =>
      until === null
        ? ((await counts.load(roomId)).get(membership) ?? 0)
        : members.memberCountAt(reading, { roomId, until }, membership),
    lastMessage: (room) => lastMessages.load(room),
    lastActivity: (room) => lastActivities.load(room),
    timeline: (room, { filter, ...paging }) => roomPage(reading, room, paging, readFilter(domain.tokens, filter)),
    async stateConnection(room, args) {
      // Here a bad token fails its own field alone, and reaches no other room.
      if (typeof args.after === "string") domain.tokens.readChunk(args.after, "state", room.roomId);
      return (await states.load({ room, args }))();
    },
    members: (room, args) => members.memberConnection(reading, room, args),
    viewerRooms: (args) => own.ownRooms(reading, signedIn(), args, (roomIds) => Promise.all(roomIds.map(room))),
    viewerMedia: (args) => domain.media.list(signedIn(), args),
    mediaUsage: () => domain.media.usage(signedIn().userId),
    invites: () => own.ownInvites(reading, signedIn()),
    async device(deviceId) {
      const device = await own.ownDevice(reading, signedIn(), deviceId);
      if (device === null) throw new HearthError("NOT_FOUND", "There is no such device.");
      return device;
    },
    session: () => domain.sessions.of(signedIn()),
    presence: (userId) => presences.load(userId),
    appearOffline: () => domain.presence.appearsOffline(signedIn().userId),
    typing: async (roomId) => ((await access.load(roomId))?.membership === "join" ? domain.typing.in(roomId) : []),
    offeredCapabilities: (to) => domain.capabilities.offered(to).hash,
    signingKeys: (userId) => signingKeys.load(userId),
    accessTokens: (device) => accessTokens.load(device),
    call: (callId) => calls.load(callId),
    callsIn: (roomId) => roomCalls.load(roomId),
    viewerCalls: () => liveCallsOf(reading, signedIn().userId),
    turnServers: () => turnServersFor(domain.turn, signedIn().userId, domain.tools.clock.now()),
    moreBefore: (before, filter) => estimates.load({ before, filter }),
    cursor: (event) => placeToken(domain.tokens, event),
    federationJson: (event) => federationDocuments.load(event),
    ...relationLoaders(domain, signedIn, batched, room),
  };
}
