import { HearthError } from "../../model/errors.ts";
import type { Clock, Ids, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { DevicePresence, LiveSession } from "../../model/session.ts";
import type { Connection } from "../../store/database.ts";
import * as store from "../../store/sessions.ts";
import { Coalesced } from "./coalesced.ts";
import { SessionTable } from "./sessionTable.ts";

/** The session that a request counts to. */
export interface SessionOfRequest {
  session: LiveSession;
  /** It began with this request, whose answer tells the client its id. [SES-2] */
  fresh: boolean;
}

type EndedDevice = Pick<LiveSession, "userId" | "deviceId">;

export interface Sessions {
  /**
   * Counts a request to its device's session, which begins if there is none. `sessionId` is what the request says it
   * belongs to, if it does: throws `STALE_SESSION` with the id of the active one when that is another. [SES-1, SES-2]
   */
  request(requester: Requester, sessionId: string | null): SessionOfRequest | Promise<SessionOfRequest>;
  /** The device's session; null when it has none. */
  of(requester: Pick<Requester, "userId" | "deviceId">): LiveSession | null;
  /** Sessions of a user, at this process and others. */
  ofUser(userId: string): LiveSession[];
  /** Ends the device's session; gives its id, or null when there was none. */
  end(requester: Requester): Promise<string | null>;
  /** Ends sessions whose access tokens were revoked. */
  endWith(tokenIds: readonly string[]): Promise<void>;
  /** Ends all sessions of a user. */
  endAllOf(userId: string): Promise<void>;
  /**
   * Keeps the device's session going, as an open stream does, until what it gives is called. With the presence of an
   * event stream the device says that; with null it is online unless it has said otherwise. [SES-1, PRE-3]
   */
  hold(requester: Requester, presence?: DevicePresence | null): () => void;
  /** What the device says of itself, for as long as its session goes on. [SES-3] */
  say(requester: Requester, said: { presence?: DevicePresence; capabilities?: string }): void;
  /** How many there are, at all processes. */
  count(): number;
  /** Users with sessions. */
  users(): string[];
  /** The user has set something, which other processes are to learn. */
  tellSet(userId: string): void;
  /** Calls back whenever the sessions of a user, or what they say, have changed here or elsewhere. */
  onChanged(callback: (userId: string) => void): void;
  /** Calls back at every process when a session is over. */
  onGone(callback: (session: LiveSession) => void): void;
  /** Calls back at one process only. */
  onEnded(callback: (ended: EndedDevice) => void): void;
  /** Reads sessions of users anew, since another process changed them; null: of all. */
  refresh(userIds: readonly string[] | null): Promise<void>;
  close(): Promise<void>;
}

export interface SessionsOptions {
  connection: Connection;
  processId: string;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** Milliseconds without a request after which a session ends. */
  timeoutMs: number;
}

/** A device with open streams. */
interface Holder {
  requester: Requester;
  streams: number;
  /** What it said with the stream that was opened last. */
  presence: DevicePresence | null;
}

/** What changed is told to other processes this often at most, in milliseconds. */
const tellMs = 250;

/**
 * Which devices are in use, at all processes. Each process has a copy of all; rows in the store say when a session ends,
 * and are renewed together every quarter of the timeout, so that a request costs no statement. [SES-1, SES-2, SES-3]
 */
export async function createSessions(options: SessionsOptions): Promise<Sessions> {
  const { connection, processId, clock, ids, log, timeoutMs } = options;
  const quarter = timeoutMs / 4;
  const table = new SessionTable();
  const starting = new Map<string, Promise<SessionOfRequest>>();
  /** Devices with open streams, and how many. */
  const held = new Map<string, Holder>();
  /** Used since they were renewed last. */
  const used = new Set<LiveSession>();
  const said = new Set<LiveSession>();
  const changed = new Set<string>();
  const haveSet = new Set<string>();
  const endedCallbacks: ((ended: EndedDevice) => void)[] = [];
  const failed = (error: unknown): void => log.warn({ error }, "sessions could not be written");

  const telling = new Coalesced(tellMs, async () => {
    const users = [...changed];
    const set = [...haveSet];
    const changes = [...said].filter(isOn);
    changed.clear();
    haveSet.clear();
    said.clear();
    try {
      if (changes.length > 0) await store.writePresences(connection, changes);
      await store.notifySessions(connection, processId, { users, set });
    } catch (error) {
      for (const userId of users) changed.add(userId);
      for (const userId of set) haveSet.add(userId);
      for (const session of changes) said.add(session);
      telling.ask();
      failed(error);
    }
  });

  function tell(userId: string): void {
    changed.add(userId);
    telling.ask();
  }

  function isOn(session: LiveSession): boolean {
    return table.find(session) === session;
  }

  /** A session may end a quarter later than its timeout says, and never sooner. */
  const lastsMs = timeoutMs + quarter;

  function start(requester: Requester): Promise<SessionOfRequest> {
    const { userId, deviceId, tokenId } = requester;
    // The users of an application service are on its token.
    const name = JSON.stringify([userId, deviceId, tokenId]);
    const known = starting.get(name);
    if (known !== undefined) return known;
    const started = (async (): Promise<SessionOfRequest> => {
      const now = clock.now();
      const given = { userId, deviceId, tokenId, sessionId: ids.opaque(), now, expiresAt: now + lastsMs };
      const { session, replaced } = await store.startSession(connection, given);
      const before = table.find(session);
      if (before !== null && before.sessionId !== session.sessionId) table.remove(before);
      if (replaced) endedCallbacks.forEach((callback) => callback({ userId, deviceId }));
      const present = table.put(session);
      const streamed = held.get(SessionTable.keyOf(session))?.presence ?? null;
      if (present.presence === null && streamed !== null) {
        present.presence = streamed;
        said.add(present);
        table.changed(userId);
      }
      tell(userId);
      return { session: present, fresh: session.sessionId === given.sessionId };
    })().finally(() => starting.delete(name));
    starting.set(name, started);
    return started;
  }

  function ended(sessions: readonly store.EndedSession[]): void {
    for (const each of sessions) {
      const session = table.find(each);
      if (session?.sessionId === each.sessionId) table.remove(session);
      for (const callback of endedCallbacks) callback(each);
      tell(each.userId);
    }
  }

  async function renew(): Promise<void> {
    for (const { requester } of held.values()) {
      const session = table.find(requester);
      // Ended on purpose: it is up to the next request to begin another.
      if (session === null) continue;
      session.activeAt = clock.now();
      used.add(session);
    }
    const renewed = [...used].filter(isOn);
    used.clear();
    if (renewed.length === 0) return;
    const there = new Set(await store.renewSessions(connection, renewed, lastsMs));
    for (const session of renewed) {
      if (there.has(session.sessionId)) session.expiresAt = Math.max(session.expiresAt, session.activeAt + lastsMs);
      else {
        // Another process took it for dead. Who still follows a stream isn't.
        table.remove(session);
        const holder = held.get(SessionTable.keyOf(session));
        if (holder !== undefined) await start(holder.requester);
      }
    }
  }

  const renewing = setInterval(() => void renew().catch(failed), quarter).unref();
  const sweeping = setInterval(
    () => void store.endSessions(connection, { expiredAt: clock.now() }).then(ended).catch(failed),
    Math.min(quarter, 5000),
  ).unref();
  for (const session of await store.sessionsOf(connection, null, clock.now())) table.put(session);

  function check(found: SessionOfRequest, sessionId: string | null): SessionOfRequest {
    const active = found.session.sessionId;
    if (sessionId === null || sessionId === active) return found;
    throw new HearthError("STALE_SESSION", "This session is over, another one is active.", { sessionId: active });
  }

  const sessions: Sessions = {
    request(requester, sessionId) {
      const session = table.find(requester);
      const now = clock.now();
      if (session === null || session.expiresAt <= now || session.tokenId !== requester.tokenId) {
        return start(requester).then((started) => check(started, sessionId));
      }
      session.activeAt = now;
      used.add(session);
      return check({ session, fresh: false }, sessionId);
    },
    of: (requester) => table.find(requester),
    ofUser: (userId) => table.ofUser(userId),
    async end(requester) {
      const session = table.find(requester);
      if (session === null) return null;
      ended(await store.endSessions(connection, session));
      return session.sessionId;
    },
    async endWith(tokenIds) {
      ended(await store.endSessions(connection, { tokenIds }));
    },
    async endAllOf(userId) {
      ended(await store.endSessions(connection, { userId }));
    },
    hold(requester, presence) {
      const key = SessionTable.keyOf(requester);
      const holder = held.get(key) ?? { requester, streams: 0, presence: null };
      held.set(key, holder);
      holder.streams++;
      if (presence !== undefined) {
        const before = table.find(requester)?.presence ?? null;
        holder.presence = presence ?? before ?? "ONLINE";
        if (holder.presence !== before) sessions.say(requester, { presence: holder.presence });
      }
      let holding = true;
      return () => {
        if (!holding) return;
        holding = false;
        if (--holder.streams === 0) held.delete(key);
        const session = table.find(requester);
        if (session === null) return;
        // Its time begins anew.
        session.activeAt = clock.now();
        used.add(session);
      };
    },
    say(requester, { presence, capabilities }) {
      const session = table.find(requester);
      if (session === null) return;
      if (presence !== undefined) session.presence = presence;
      if (capabilities !== undefined) session.capabilities = capabilities;
      said.add(session);
      table.changed(session.userId);
      tell(session.userId);
    },
    count: () => table.count(),
    users: () => table.users(),
    tellSet(userId) {
      haveSet.add(userId);
      telling.ask();
    },
    onChanged: (callback) => table.onChanged(callback),
    onGone: (callback) => table.onGone(callback),
    onEnded: (callback) => void endedCallbacks.push(callback),
    async refresh(userIds) {
      const found = await store.sessionsOf(connection, userIds, clock.now());
      table.replace(userIds, found, said);
    },
    async close() {
      clearInterval(renewing);
      clearInterval(sweeping);
      await telling.close();
    },
  };
  return sessions;
}
