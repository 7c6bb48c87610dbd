import pg from "pg";
import type { Log } from "../model/ports.ts";
import { query, type Connection } from "./database.ts";

/** What a commit tells every process; written under the append lock. */
export interface StreamNotice {
  process: string;
  previous: number;
  to: number;
}

/** Whose sessions another process changed. [SES-1] */
export interface SessionsNotice {
  process: string;
  users: string[];
}

/** What devices told a process about their typing; `until` is in milliseconds since the epoch. [TYP-1] */
export interface TypingNotice {
  process: string;
  typists: { roomId: string; userId: string; deviceId: string; until: number }[];
}

export interface NotificationHandlers {
  onStream(notice: StreamNotice): void;
  /** Ids of access tokens that no longer hold. */
  onRevoked(tokenIds: string[]): void;
  /** User ids of accounts whose rights changed. */
  onRights(userIds: string[]): void;
  onSessions(notice: SessionsNotice): void;
  onTyping(notice: TypingNotice): void;
  /** After connecting anew: notices may have been missed. */
  onConnected(): void;
}

export interface Listener {
  close(): Promise<void>;
}

const retryMs = 250;
const channels = ["hearth_stream", "hearth_tokens", "hearth_rights", "hearth_sessions", "hearth_typing"];
/** A notification holds up to 8,000 bytes, and each of the ids of a typist up to 255. */
const typistsPerNotice = 9;

/** Tells the other processes who is typing, or no longer is. */
export async function notifyTyping(connection: Connection, { process, typists }: TypingNotice): Promise<void> {
  for (let start = 0; start < typists.length; start += typistsPerNotice) {
    const notice: TypingNotice = { process, typists: typists.slice(start, start + typistsPerNotice) };
    await query(connection, "SELECT pg_notify('hearth_typing', $1)::text", JSON.stringify(notice));
  }
}

/** Listens on a connection of its own, and connects again whenever it is lost. Resolves when it listens first. */
export async function listen(url: string, handlers: NotificationHandlers, log: Log): Promise<Listener> {
  let closed = false;
  let client: pg.Client | null = null;

  async function connect(): Promise<void> {
    const next = new pg.Client({ connectionString: url, keepAlive: true });
    next.on("notification", ({ channel, payload = "" }) => {
      if (channel === "hearth_stream") handlers.onStream(JSON.parse(payload) as StreamNotice);
      if (channel === "hearth_tokens") handlers.onRevoked(JSON.parse(payload) as string[]);
      if (channel === "hearth_rights") handlers.onRights(JSON.parse(payload) as string[]);
      if (channel === "hearth_sessions") handlers.onSessions(JSON.parse(payload) as SessionsNotice);
      if (channel === "hearth_typing") handlers.onTyping(JSON.parse(payload) as TypingNotice);
    });
    next.on("error", (error) => log.warn({ error }, "the listening connection failed"));
    try {
      await next.connect();
      await next.query(channels.map((channel) => `LISTEN ${channel}`).join("; "));
    } catch (error) {
      await next.end().catch(() => undefined);
      throw error;
    }
    // From here on only: an attempt that fails ends as well, and whoever made it tries again.
    next.on("end", reconnect);
    client = next;
    handlers.onConnected();
  }

  function reconnect(): void {
    if (closed) return;
    setTimeout(() => {
      if (!closed) connect().catch(reconnect);
    }, retryMs).unref();
  }

  await connect();
  return {
    async close() {
      closed = true;
      await client?.end().catch(() => undefined);
    },
  };
}
