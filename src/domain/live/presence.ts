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
  /** Another process told of sessions of these users, and that these have set something. */
  notice(users: readonly string[], set: readonly string[]): void;
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

/** Why a user may have to be told of: something has changed, they were something else for a moment, they set something. */
const reasons = ["changed", "moved", "set"] as const;
type Reason = (typeof reasons)[number];

interface News {
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
  /** What the devices of connected users say together, whatever is set. */
  const said = new Map<string, string>();
  const changed = new Map<string, Reason>();
  /** Whose settings have been changed since they were read, with the number of the last change. */
  const outdated = new Map<string, number>();
  let changes = 0;

  const telling = new Coalesced(tellMs, async () => {
    const users = new Map(changed);
    changed.clear();
    try {
      await tell(users);
    } catch (error) {
      log.warn({ error }, "presence could not be told");
      for (const [userId, reason] of users) change(userId, reason);
    }
  });

  function change(userId: string, reason: Reason): void {
    if (!options.told) return;
    const known = changed.get(userId);
    if (known === undefined || reasons.indexOf(reason) > reasons.indexOf(known)) changed.set(userId, reason);
    telling.ask();
  }

  /** After the change, since what was there before may have been read until then. */
  function changeSettings(userId: string): void {
    if (!options.told) return;
    outdated.set(userId, ++changes);
    change(userId, "set");
  }

  async function tell(users: ReadonlyMap<string, Reason>): Promise<void> {
    const userIds = [...users.keys()];
    await learnSettings(userIds);
    const away = userIds.filter((userId) => stream.roomsOf(userId) === null);
    const roomsOfAway = away.length === 0 ? new Map<string, string[]>() : await joinedRooms(connection, away);
    for (const [userId, reason] of users) {
      const news = newsOf(userId, reason);
      if (news === null) continue;
      const rooms = stream.roomsOf(userId) ?? roomsOfAway.get(userId) ?? [];
      if (news.others !== null) stream.offerToRooms(rooms, news.others, { except: userId, largest, byAndBy: true });
      stream.offerToUser(userId, news.own);
      await pace.turn();
    }
  }

  /** The events that tell of a user; null for what everybody knows already. */
  function newsOf(userId: string, reason: Reason): News | null {
    const setting = settings.get(userId) ?? unset;
    const devices = sessions.ofUser(userId);
    // Connecting while appearing offline must not be news.
    const absent = shown(userId, [], setting);
    const last = told.get(userId) ?? absent;
    const now = shown(userId, devices, setting);
    told.set(userId, now);
    if (devices.length === 0) forget(userId);
    const hidden = setting.appearOffline && last.others === absent.others;
    const forOthers = now.others !== last.others || reason === "set" || (reason === "moved" && !hidden);
    if (!forOthers && now.own === last.own && reason === "changed") return null;
    const sentAt = clock.now();
    const own = presenceEvent(userId, now.own, sentAt);
    if (!forOthers) return { own, others: null };
    return { own, others: now.others === now.own ? own : presenceEvent(userId, now.others, sentAt) };
  }

  function forget(userId: string): void {
    told.delete(userId);
    settings.delete(userId);
  }

  async function learnSettings(users: readonly string[]): Promise<void> {
    const unknown = users.filter((userId) => outdated.has(userId) || !settings.has(userId));
    if (unknown.length === 0) return;
    const known = changes;
    for (const [userId, setting] of await presenceSettings(connection, unknown)) settings.set(userId, setting);
    // What was changed while it was read is read again.
    for (const userId of unknown) if ((outdated.get(userId) ?? 0) <= known) outdated.delete(userId);
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
    const now = contentOf(presenceOf(userId, sessions.ofUser(userId), unset, { own: true }));
    change(userId, now === (said.get(userId) ?? absence) ? "changed" : "moved");
    if (now === absence) said.delete(userId);
    else said.set(userId, now);
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
      const { userId } = requester;
      const before = (await settingsOf([userId])).get(userId)!;
      const after = { ...before, ...setting };
      if (after.status !== before.status || after.appearOffline !== before.appearOffline) {
        await writePresenceSetting(connection, userId, setting);
        changeSettings(userId);
        sessions.tellSet(userId);
      }
      return this.own(userId);
    },
    notice(users, set) {
      for (const userId of users) change(userId, "changed");
      for (const userId of set) changeSettings(userId);
    },
    close: () => telling.close(),
  };
}

/** What is shown of a user with these devices, to others and to the user. */
function shown(userId: string, devices: readonly LiveSession[], setting: PresenceSetting): Told {
  const content = (own: boolean): string => contentOf(presenceOf(userId, devices, setting, { own }));
  return { others: content(false), own: content(true) };
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
