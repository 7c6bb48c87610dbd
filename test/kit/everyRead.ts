import { filterOf, type FilterInput } from "../../src/model/filter.ts";
import type { RoomView } from "../../src/model/room.ts";
import { existingAccounts } from "../../src/store/accounts.ts";
import { aliasesOf, roomOfAlias } from "../../src/store/aliases.ts";
import { changedEvents } from "../../src/store/changes.ts";
import type { Connection } from "../../src/store/database.ts";
import * as events from "../../src/store/events.ts";
import { federationContexts } from "../../src/store/federation.ts";
import * as markers from "../../src/store/markers.ts";
import { pageEnds } from "../../src/store/overview.ts";
import { countNearest, eventPages } from "../../src/store/pages.ts";
import * as profiles from "../../src/store/profiles.ts";
import { snapshotPage } from "../../src/store/publishedRooms.ts";
import * as relations from "../../src/store/relations.ts";
import { countRoomStates, roomStates } from "../../src/store/roomStates.ts";
import * as rooms from "../../src/store/rooms.ts";
import * as sessions from "../../src/store/sessions.ts";
import * as state from "../../src/store/state.ts";
import { idAt, largeRoom, popular, reader, snapshot } from "./bulk.ts";

/** A read as clients cause it, on bulk data that ends before `head`. */
type Read = (connection: Connection, head: number) => Promise<unknown>;
const spans = [{ from: 0, to: null }];
const visible = (roomId: string) => ({ roomId, spans });
const { selection } = filterOf();
const selected = (definition: FilterInput) => filterOf(definition).selection;

/** Ten rooms that are there whatever the size. */
const tenRooms = Array.from({ length: 10 }, (_, n) => `!room${n}:localhost`);
/** Twenty messages of the large room. */
const messages = Array.from({ length: 20 }, (_, n) => 10 * n + 24);
const ids = messages.map(idAt);
const page = { limit: 20, direction: "before" as const, selection };
const inLarge = { ...visible(largeRoom), from: null };
const inMiddle = (head: number) => ({ ...inLarge, from: { major: head / 2, minor: "" } });
const twoSpans = (head: number) => [
  { from: 0, to: head / 2 },
  { from: head / 2 + 100, to: null },
];
const senders = Array.from({ length: 10 }, (_, n) => `@member${50 * n + 1}:localhost`);
const states = { selection, viewer: reader, after: null, limit: 100 };
const eventsOf = (connection: Connection) => events.eventsById(connection, ids);
const view = (roomId: string): RoomView => ({
  ...visible(roomId),
  ...{
    viewer: reader,
    creator: reader,
    createdAt: new Date(0),
    published: false,
    membership: "join",
    until: null,
    madeOf: "",
  },
});
const stateOf = (roomId: string, end: number, since: number | null) => ({
  ...{ roomId, at: end, since, markersUntil: end },
});
const parents = ids.map((parentId) => ({ parentId, spans, from: null }));
const children = {
  ...{ parents, relationTypes: { included: null, excluded: [] }, selections: [] },
  ...{ direction: "before" as const, limit: 5, atMost: 1000 },
};
const members = { roomId: largeRoom, until: null, memberships: ["join" as const], search: null };
const replay = { userId: reader, rooms: null, selection, outOfOrder: true, markers: true, limit: 100 };

/** Hot reads that cost the same whatever the size of the data. */
export const everyRead: Record<string, Read> = {
  "the newest page": (connection, head) => eventPages(connection, { ...page, rooms: [inLarge], head }),
  "the newest page with what its reader may see": (connection, head) =>
    eventPages(connection, { ...page, rooms: [inLarge], head, reader }),
  "a page before a place": (connection, head) => eventPages(connection, { ...page, rooms: [inMiddle(head)], head }),
  "a page after a place": (connection, head) =>
    eventPages(connection, { ...page, direction: "after", rooms: [inMiddle(head)], head }),
  "a page of two spans": (connection, head) =>
    eventPages(connection, { ...page, rooms: [{ ...inLarge, spans: twoSpans(head) }], head }),
  "a page of a type": (connection, head) =>
    eventPages(connection, { ...page, selection: selected({ types: ["m.reaction"] }), rooms: [inLarge], head }),
  "a page of described types": (connection, head) =>
    eventPages(connection, { ...page, selection: selected({ types: ["state:m.room.c*"] }), rooms: [inLarge], head }),
  "a page of a sender": (connection, head) =>
    eventPages(connection, {
      ...page,
      selection: selected({ senders: ["@member4:localhost"] }),
      rooms: [inLarge],
      head,
    }),
  "a page of described senders": (connection, head) =>
    eventPages(connection, { ...page, selection: selected({ senders: ["@member4:l*"] }), rooms: [inLarge], head }),
  "a page without updates and relations": (connection, head) =>
    eventPages(connection, { ...page, selection: selected({ bundleRelations: 3 }), rooms: [inLarge], head }),
  "pages of ten rooms": (connection, head) =>
    eventPages(connection, { ...page, rooms: tenRooms.map((roomId) => ({ ...visible(roomId), from: null })), head }),
  "news of ten rooms": (connection, head) =>
    eventPages(connection, {
      ...page,
      direction: "after",
      rooms: tenRooms.map((roomId) => ({ ...visible(roomId), from: { major: 90, minor: "" } })),
      head,
    }),
  "how many lie before": (connection, head) =>
    countNearest(connection, { ...page, limit: 200, rooms: [inLarge], head }),
  "events by id": (connection) => events.eventsById(connection, ids),
  "events at positions": (connection) => events.eventsAt(connection, messages),
  "events between positions": (connection, head) => events.eventsBetween(connection, head - 50, head, 100),
  "the newest events of ten rooms": (connection, head) =>
    events.newestEvents(connection, tenRooms.map(visible), head, true),
  "the next place": (connection, head) => events.nextPlace(connection, largeRoom, { major: head / 2, minor: "" }),
  "the event before": (connection, head) =>
    events.previousEventId(connection, largeRoom, { major: head / 2, minor: "" }),
  "updates of a page": (connection, head) => relations.updatesOf(connection, ids, head),
  "lines of updates": (connection) => relations.linesOfUpdates(connection, ids),
  "how many updates": (connection) => relations.countUpdates(connection, ids, 100),
  "children of a page": (connection, head) => relations.childrenOf(connection, { ...children, head }),
  "children by type": (connection, head) =>
    relations.childrenOf(connection, {
      ...children,
      relationTypes: { included: [["m.annotation"]], excluded: [] },
      head,
    }),
  "the newest children of the popular one": (connection, head) =>
    relations.childrenOf(connection, { ...children, parents: [{ parentId: idAt(popular), spans, from: null }], head }),
  "how many children": (connection, head) => relations.countChildren(connection, parents, head),
  "reactions of a page": (connection, head) => relations.countReactions(connection, reader, parents, head),
  "what changed": (connection, head) =>
    changedEvents(connection, {
      rooms: [{ ...visible(largeRoom), since: head - 100, to: head }],
      selection,
      after: null,
      limit: 100,
    }),
  "federation contexts": (connection) => eventsOf(connection).then((found) => federationContexts(connection, found)),
  "the whole state of ten rooms": (connection, head) =>
    roomStates(connection, { ...states, rooms: tenRooms.map((roomId) => stateOf(roomId, head, null)) }),
  "a page of a large state": (connection, head) =>
    roomStates(connection, { ...states, limit: 20, rooms: [stateOf(largeRoom, head, null)] }),
  "state of two types": (connection, head) =>
    roomStates(connection, {
      ...states,
      selection: selected({ types: ["state:m.room.create", "state:m.room.name"] }),
      rooms: [stateOf(largeRoom, head, null)],
    }),
  "state that changed": (connection, head) =>
    roomStates(connection, {
      ...states,
      rooms: [...tenRooms, largeRoom].map((roomId) => stateOf(roomId, head, head - 100)),
    }),
  "state in slots": (connection, head) =>
    state.stateInSlots(
      connection,
      [largeRoom, ...tenRooms].map((roomId) => ({ roomId, type: "m.room.name", stateKey: "_", at: head })),
    ),
  "a page of members": (connection) => state.memberPage(connection, { ...members, after: null, limit: 20 }),
  "a page of members in the middle": (connection) =>
    state.memberPage(connection, { ...members, after: "@member4", limit: 20 }),
  "a page of members at a position": (connection, head) =>
    state.memberPage(connection, { ...members, until: head / 2, after: null, limit: 20 }),
  "members by name": (connection) =>
    state.membersByName(
      connection,
      tenRooms.map((roomId) => ({ roomId, userId: reader })),
    ),
  "members of ten rooms": (connection) => state.memberCounts(connection, tenRooms),
  "what a user may see of ten rooms": (connection) => rooms.roomHistories(connection, reader, [largeRoom, ...tenRooms]),
  "a room's rules": (connection) => rooms.roomRules(connection, largeRoom, [reader]),
  memberships: (connection) => rooms.membershipsOf(connection, largeRoom, [reader, "@member51:localhost"]),
  "rooms of a user of one": (connection, head) => rooms.roomsOfUserAt(connection, "@member51:localhost", head),
  "a sync of a user of one room": (connection, head) =>
    rooms.roomsOfUserSince(connection, "@member51:localhost", { position: head, since: head - 100, changed: null }),
  "an alias": (connection) => roomOfAlias(connection, "#alias10:localhost"),
  "markers of users": (connection) =>
    markers.markersOfUsers(
      connection,
      reader,
      tenRooms.map((roomId) => ({ roomId, userId: reader, kind: "read" })),
    ),
  "markers by move": (connection) => markers.markersByMove(connection, reader, ["$move10", "$move1"]),
  "moves between positions": (connection, head) => markers.movesBetween(connection, head - 100, head, 100),
  "a page of markers": (connection, head) =>
    markers.markerPage(connection, {
      viewer: reader,
      roomId: largeRoom,
      until: head,
      kinds: ["read"],
      after: null,
      limit: 20,
    }),
  "unread of ten rooms": (connection) => markers.countUnread(connection, reader, tenRooms.map(view)),
  "a page of published rooms": (connection) =>
    snapshotPage(connection, {
      ...{ id: snapshot, search: "", userId: reader, now: new Date(0) },
      ...{ after: 2, limit: 20 },
    }),
  accounts: (connection) => existingAccounts(connection, senders),
  profiles: (connection) => profiles.profilesOf(connection, senders),
  "what rooms show of a user": (connection) => profiles.profileInRooms(connection, reader, [largeRoom, ...tenRooms]),
  "changed profiles": (connection) => profiles.waitingProfileChanges(connection, 100),
  "aliases of a room": (connection) => aliasesOf(connection, largeRoom),
  "who shares a room": (connection) => rooms.sharingUsers(connection, "@member51:localhost", senders),
  "rooms of ten users": (connection) => rooms.joinedRooms(connection, senders),
  "sessions of ten users": (connection) => sessions.sessionsOf(connection, senders, 0),
  "presence settings": (connection) => sessions.presenceSettings(connection, senders),
};

/** Those that look at a whole room, or at all of a user's: their cost grows with these, but with nothing else. */
export const wholeReads: Record<string, Read> = {
  "an overview": (connection, head) => pageEnds(connection, { ...visible(largeRoom), head, selection, perPage: 20 }),
  "members counted": (connection) => state.countMembers(connection, members),
  "members counted by membership": (connection) => state.memberCounts(connection, [largeRoom]),
  "state counted": (connection, head) =>
    countRoomStates(connection, { room: stateOf(largeRoom, head, null), selection, viewer: reader }),
  "markers counted": (connection, head) =>
    markers.countMarkers(connection, { viewer: reader, roomId: largeRoom, until: head, kinds: ["read"] }),
  "unread of the large room": (connection) => markers.countUnread(connection, reader, [view(largeRoom)]),
  "rooms of a user of all": (connection, head) => rooms.roomsOfUserAt(connection, reader, head),
  "a sync of a user of all rooms": (connection, head) =>
    rooms.roomsOfUserSince(connection, reader, { position: head, since: head - 100, changed: null }),
  "a sync of a user of all rooms with news in one": (connection, head) =>
    rooms.roomsOfUserSince(connection, reader, { position: head, since: head - 100, changed: [largeRoom] }),
  "a user's rooms counted": (connection) => rooms.countRoomsOfUser(connection, reader, ["join"]),
  "children counted of the popular one": (connection, head) =>
    relations.countChildren(connection, [{ parentId: idAt(popular), spans }], head),
  "a replay": (connection, head) => events.replayedEvents(connection, { ...replay, after: head - 100, to: head }),
  "a replay of one room": (connection, head) =>
    events.replayedEvents(connection, { ...replay, rooms: [largeRoom], after: head - 100, to: head }),
  "a page of a user's rooms": (connection) =>
    rooms.roomsOfUser(connection, { userId: reader, memberships: ["join"], after: null, limit: 20 }),
  "an invite": (connection) => rooms.roomOfInvite(connection, reader, idAt(1)),
};

/**
 * The indexes of events, relations, state and periods by which each read finds what it gives; all others are of tables
 * with several indexes that serve alike. An overview reads most of the table here, for which any order does.
 */
export const indexesOfReads: Record<string, string> = {
  "the newest page": "event_room_id_major_minor_key event_updates",
  "the newest page with what its reader may see":
    "event_room_id_major_minor_key event_updates membership_period_pkey room_pkey visibility_period_pkey",
  "a page before a place": "event_room_id_major_minor_key event_updates",
  "a page after a place": "event_room_id_major_minor_key event_updates",
  "a page of two spans": "event_room_id_major_minor_key event_updates",
  "a page of a type": "event_type_order event_updates",
  "a page of described types": "event_type_order event_updates",
  "a page of a sender": "event_sender_order event_updates",
  "a page of described senders": "event_sender_order event_updates",
  "a page without updates and relations": "event_room_id_major_minor_key event_updates",
  "pages of ten rooms": "event_room_id_major_minor_key event_updates",
  "news of ten rooms": "event_room_id_major_minor_key event_updates",
  "how many lie before": "event_room_id_major_minor_key",
  "events by id": "event_event_id_key event_updates",
  "events at positions": "event_pkey event_updates",
  "events between positions": "event_pkey",
  "the newest events of ten rooms": "event_room_id_major_minor_key event_updates",
  "the next place": "event_room_id_major_minor_key",
  "the event before": "event_room_id_major_minor_key",
  "updates of a page": "event_pkey event_updates",
  "lines of updates": "event_event_id_key event_updates",
  "how many updates": "event_updates",
  "children of a page": "event_event_id_key event_updates relation_parent_id_major_minor_idx",
  "children by type": "event_event_id_key event_updates relation_pkey",
  "the newest children of the popular one": "event_event_id_key event_updates relation_parent_id_major_minor_idx",
  "how many children": "event_event_id_key relation_parent_id_major_minor_idx",
  "reactions of a page": "event_event_id_key relation_pkey",
  "what changed": "event_changes event_event_id_key event_pkey event_updates",
  "federation contexts": "event_event_id_key event_room_id_major_minor_key event_state_slot event_updates",
  "the whole state of ten rooms": "current_state_pkey event_state_slot event_updates",
  "a page of a large state": "current_state_pkey event_state_slot event_updates",
  "state of two types": "current_state_pkey event_state_slot event_updates",
  "state that changed":
    "current_state_room_id_position_idx event_changes event_event_id_key event_state_slot event_updates",
  "state in slots": "event_state_slot event_updates",
  "a page of members": "event_state_slot",
  "a page of members in the middle": "event_state_slot",
  "a page of members at a position": "current_state_pkey event_state_slot",
  "members by name": "",
  "members of ten rooms": "",
  "what a user may see of ten rooms": "membership_period_pkey room_pkey visibility_period_pkey",
  "a room's rules": "current_state_pkey event_event_id_key room_pkey",
  memberships: "room_pkey",
  "rooms of a user of one": "membership_period_pkey",
  "a sync of a user of one room": "event_room_id_major_minor_key membership_period_pkey",
  "an alias": "",
  "markers of users": "",
  "markers by move": "",
  "moves between positions": "",
  "a page of markers": "",
  "unread of ten rooms": "event_room_id_major_minor_key",
  "a page of published rooms": "",
  accounts: "",
  profiles: "",
  "what rooms show of a user": "event_state_slot event_updates",
  "changed profiles": "",
  "aliases of a room": "",
  "who shares a room": "",
  "rooms of ten users": "",
  "sessions of ten users": "",
  "presence settings": "",
  "an overview": "",
  "members counted": "event_state_slot",
  "members counted by membership": "",
  "state counted": "current_state_pkey event_state_slot",
  "markers counted": "",
  "unread of the large room": "event_room_id_major_minor_key",
  "rooms of a user of all": "membership_period_pkey",
  "a sync of a user of all rooms": "event_room_id_major_minor_key membership_period_pkey",
  "a sync of a user of all rooms with news in one": "event_room_id_major_minor_key membership_period_pkey",
  "a user's rooms counted": "",
  "children counted of the popular one": "event_event_id_key relation_parent_id_major_minor_idx",
  "a replay": "event_inserted event_pkey event_room_id_major_minor_key event_updates membership_period_pkey",
  "a replay of one room":
    "event_inserted event_pkey event_room_id_major_minor_key event_updates membership_period_pkey",
  "a page of a user's rooms": "",
  "an invite": "event_event_id_key membership_period_pkey",
};
