import { canonicalJson } from "../../model/canonicalJson.ts";
import { badInput } from "../../model/errors.ts";
import { ephemeralId } from "../../model/ephemeral.ts";
import type { EphemeralEvent } from "../../model/event.ts";
import { Pace } from "../../model/pace.ts";
import type { Clock, Log } from "../../model/ports.ts";
import type { PresenceSetting, PresenceShape } from "../../model/presence.ts";
import type { Requester } from "../../model/requester.ts";
import type { LiveSession } from "../../model/session.ts";
import type { Connection } from "../../store/database.ts";
import { presenceSettings, writePresenceSetting } from "../../store/sessions.ts";
import { joinedRooms, sharingUsers } from "../../store/rooms.ts";
import { presenceOf } from "../rules/presence.ts";
import type { EventStream } from "../sync/eventStream.ts";
import { Coalesced } from "./coalesced.ts";

import type { Sessions } from "./sessions.ts";

export interface Presence {
  /** Presence of those of these users whom the viewer shares a room with, and their own; by user id. [PRE-4] */
  seenBy(viewerId: string, userIds: readonly string[]): Promise<Map<string, PresenceShape>>;
  /** Who isn't offline of those whom the viewer shares a room with, and the viewer, or of these users among them; by id. [SYN-4] */
  around(viewerId: string, userIds?: readonly string[]): Promise<PresenceShape[]>;
  /** The viewer's own, as it is and not as others see it. */
  own(viewerId: string): Promise<PresenceShape>;
  /** Whether the user has chosen to look as if offline. [PRE-2] */
  appearsOffline(userId: string): Promise<boolean>;
  /** Throws `BAD_INPUT` for a status that is too long. */
  set(requester: Requester, changed: Partial<PresenceSetting>): Promise<PresenceShape>;
  /** Another process changed what is known of these users. */
  expectChange(userIds: readonly string[]): void;
  close(): Promise<void>;
}

export interface PresenceOptions {
  connection: Connection;
  sessions: Sessions;
  stream: EventStream;
  clock: Clock;
  log: Log;
  /** False: nobody learns of anybody else's presence. */
  told: boolean;
  /** Streams don't bring presence by way of rooms in which more users have streams open. */
  largestRoom: number;
}

/** Everybody is told of changes this often at most, in milliseconds. */
const tellMs = 1000;
const maxStatusBytes = 255;
const unset: PresenceSetting = { status: null, appearOffline: false };

/** The content that was told of a user last, to others and to their own devices. */
interface Told {
  others: string;
  own: string;
}

interface News {
  userId: string;
  /** Null where others know already. */
  others: EphemeralEvent | null;
  own: EphemeralEvent;
}

/**
 * Presence is made of the sessions of a user's devices, in memory. Changes are gathered for a second; then those who share a
 * room get one event for each user, also when all is as before: somebody may have read what it was in between. [PRE-1 to 5]
 */
export function createPresence(options: PresenceOptions): Presence {
  const { connection, sessions, stream, clock, log, largestRoom: largest } = options;
  // When everybody comes back at once, others are served in between.
  const pace = new Pace();
  /** Of users with sessions; others are looked up when they are asked for. */
  const settings = new Map<string, PresenceSetting>();
  const told = new Map<string, Told>();
  const changed = new Set<string>();
  /** What the devices of connected users say together, whatever is set. */
  const said = new Map<string, string>();
  /** Who was something else since they were told of, if only for a moment. */
  const moved = new Set<string>();
  /** Whose settings may have been changed by another process. */
  const outdated = new Set<string>();

  const telling = new Coalesced(tellMs, async () => {
    const users = [...changed];
    changed.clear();
    try {
      await tell(users);
    } catch (error) {
      log.warn({ error }, "presence could not be told");
      for (const userId of users) changed.add(userId);
      telling.ask();
    }
  });

  async function tell(users: readonly string[]): Promise<void> {
    await learnSettings(users);
    const away = users.filter((userId) => moved.has(userId) && stream.roomsOf(userId) === null);
    const roomsOfAway = away.length === 0 ? new Map<string, string[]>() : await joinedRooms(connection, away);
    for (const { userId, others, own } of users.map(newsOf).filter((each) => each !== null)) {
      const rooms = stream.roomsOf(userId) ?? roomsOfAway.get(userId) ?? [];
      if (others !== null) stream.offerToRooms(rooms, others, { except: userId, largest, byAndBy: true });
      stream.offerToUser(userId, own);
      await pace.turn();
    }
  }

  /** The events that tell of a user; null for what hasn't changed. */
  function newsOf(userId: string): News | null {
    // Connecting while appearing offline must not be news.
    const absent = shown(userId, []);
    const last = told.get(userId) ?? absent;
    const devices = sessions.ofUser(userId);
    const now = shown(userId, devices);
    const hidden = (settings.get(userId) ?? unset).appearOffline && last.others === absent.others;
    const hasMoved = moved.delete(userId);
    told.set(userId, now);
    if (devices.length === 0) forget(userId);
    if (!hasMoved && now.others === last.others && now.own === last.own) return null;
    const sentAt = clock.now();
    const own = presenceEvent(userId, now.own, sentAt);
    if (now.others === last.others && (hidden || !hasMoved)) return { userId, own, others: null };
    return { userId, own, others: now.others === now.own ? own : presenceEvent(userId, now.others, sentAt) };
  }

  function shown(userId: string, devices: readonly LiveSession[]): Told {
    const setting = settings.get(userId) ?? unset;
    const content = (own: boolean): string => contentOf(presenceOf(userId, devices, setting, { own }));
    return { others: content(false), own: content(true) };
  }

  function forget(userId: string): void {
    told.delete(userId);
    settings.delete(userId);
  }

  /** Settings are about to change, or have changed elsewhere: what was told until then counts as told. */
  function expectChange(userId: string): void {
    if (!told.has(userId)) told.set(userId, shown(userId, []));
    outdated.add(userId);
  }

  async function learnSettings(users: readonly string[]): Promise<void> {
    const unknown = users.filter((userId) => outdated.has(userId) || !settings.has(userId));
    if (unknown.length === 0) return;
    for (const userId of unknown) outdated.delete(userId);
    for (const [userId, setting] of await presenceSettings(connection, unknown)) settings.set(userId, setting);
  }

  async function settingsOf(userIds: readonly string[]): Promise<Map<string, PresenceSetting>> {
    const asked = userIds.filter((userId) => outdated.has(userId) || !settings.has(userId));
    const found = asked.length === 0 ? new Map<string, PresenceSetting>() : await presenceSettings(connection, asked);
    return new Map(userIds.map((userId) => [userId, found.get(userId) ?? settings.get(userId) ?? unset]));
  }

  async function shapes(viewerId: string, userIds: readonly string[]): Promise<PresenceShape[]> {
    const set = await settingsOf(userIds);
    return userIds.map((userId) =>
      presenceOf(userId, sessions.ofUser(userId), set.get(userId)!, { own: userId === viewerId }),
    );
  }

  async function sharing(viewerId: string, userIds: readonly string[]): Promise<Set<string>> {
    const others = options.told ? userIds.filter((userId) => userId !== viewerId) : [];
    return new Set(others.length === 0 ? [] : await sharingUsers(connection, viewerId, others)).add(viewerId);
  }

  sessions.onChanged((userId) => {
    if (!options.told) return;
    const now = contentOf(presenceOf(userId, sessions.ofUser(userId), unset, { own: true }));
    if (now !== (said.get(userId) ?? absence)) moved.add(userId);
    if (now === absence) said.delete(userId);
    else said.set(userId, now);
    changed.add(userId);
    telling.ask();
  });

  return {
    async seenBy(viewerId, userIds) {
      const known = await sharing(viewerId, userIds);
      const visible = userIds.filter((userId) => known.has(userId));
      return new Map((await shapes(viewerId, visible)).map((shape) => [shape.userId, shape]));
    },
    async around(viewerId, userIds = sessions.users()) {
      const connected = [...new Set(userIds)].filter((userId) => sessions.ofUser(userId).length > 0);
      const known = await sharing(viewerId, connected);
      const seen = connected.filter((userId) => known.has(userId)).sort();
      return (await shapes(viewerId, seen)).filter(({ state }) => state !== "OFFLINE");
    },
    async own(viewerId) {
      const [shape] = await shapes(viewerId, [viewerId]);
      return shape!;
    },
    async appearsOffline(userId) {
      return (await settingsOf([userId])).get(userId)!.appearOffline;
    },
    async set(requester, setting) {
      const { status } = setting;
      if (
        typeof status === "string" &&
        (Buffer.byteLength(status) > maxStatusBytes || /[\0-\x1f]/.test(status) || !status.isWellFormed())
      ) {
        throw badInput("status", `is longer than ${maxStatusBytes} bytes or holds control characters`);
      }
      await learnSettings([requester.userId]);
      expectChange(requester.userId);
      moved.add(requester.userId);
      await writePresenceSetting(connection, requester.userId, setting);
      sessions.tell(requester.userId);
      return this.own(requester.userId);
    },
    expectChange(userIds) {
      if (!options.told) return;
      userIds.forEach(expectChange);
      for (const userId of userIds) changed.add(userId);
      telling.ask();
    },
    close: () => telling.close(),
  };
}

function contentOf({ state, status, capabilityHashes }: PresenceShape): string {
  return canonicalJson(
    { state, ...(status === null ? {} : { status }), capability_hashes: capabilityHashes },
    "content",
  );
}

const absence = contentOf(presenceOf("", [], unset, { own: true }));

function presenceEvent(userId: string, content: string, sentAt: number): EphemeralEvent {
  const eventId = ephemeralId(null, "m.presence", userId);
  return { kind: "EPHEMERAL", eventId, roomId: null, type: "m.presence", sender: userId, sentAt, content };
}
