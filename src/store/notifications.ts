import pg from "pg";
import type { Log } from "../model/ports.ts";
import { query, type Connection } from "./database.ts";

/** What a commit tells every process; written under the append lock. */
export interface StreamNotice {
  process: string;
  previous: number;
  to: number;
  /** The application services that something was queued for; null: any. [AS-5] */
  services: string[] | null;
}

/** Whose sessions another process changed, and who has set something about their presence there. [SES-1, PRE-1] */
export interface SessionsNotice {
  process: string;
  users: string[];
  set: string[];
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
  /** An account was deleted, and there is more to do for it. [ACC-3] */
  onDeletion(): void;
  /** The registrations of application services changed; or the delivery to the one with this id is to be looked at. */
  onServices(serviceId: string | null): void;
  /** After connecting anew: notices may have been missed. */
  onConnected(): void;
}

export interface Listener {
  close(): Promise<void>;
}

const retryMs = 250;
/** Nothing may come for hours, so that a connection that leads nowhere any more shows only when it is asked. */
const usualBeat = { beatMs: 15_000, patienceMs: 10_000 };
const channels = [
  "hearth_stream",
  "hearth_tokens",
  "hearth_rights",
  "hearth_sessions",
  "hearth_typing",
  "hearth_deletions",
  "hearth_services",
];
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
export async function listen(
  url: string,
  handlers: NotificationHandlers,
  log: Log,
  { beatMs, patienceMs } = usualBeat,
): Promise<Listener> {
  const patience = { connectionTimeoutMillis: patienceMs, query_timeout: patienceMs };
  let closed = false;
  let client: pg.Client | null = null;

  async function connect(): Promise<void> {
    const next = new pg.Client({ connectionString: url, keepAlive: true, ...patience });
    next.on("notification", ({ channel, payload = "" }) => {
      if (channel === "hearth_stream") handlers.onStream(JSON.parse(payload) as StreamNotice);
      if (channel === "hearth_tokens") handlers.onRevoked(JSON.parse(payload) as string[]);
      if (channel === "hearth_rights") handlers.onRights(JSON.parse(payload) as string[]);
      if (channel === "hearth_sessions") handlers.onSessions(JSON.parse(payload) as SessionsNotice);
      if (channel === "hearth_typing") handlers.onTyping(JSON.parse(payload) as TypingNotice);
      if (channel === "hearth_deletions") handlers.onDeletion();
      if (channel === "hearth_services") handlers.onServices(payload === "" ? null : payload);
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
  const beating = setInterval(() => {
    const asked = client;
    // Its end is what has it connect again.
    asked?.query("SELECT 1").catch(() => asked.end().catch(() => undefined));
  }, beatMs);
  beating.unref();
  return {
    async close() {
      closed = true;
      clearInterval(beating);
      await client?.end().catch(() => undefined);
    },
  };
}
