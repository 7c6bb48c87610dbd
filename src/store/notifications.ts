import pg from "pg";
import type { Log } from "../model/ports.ts";

/** What a commit tells every process; written under the append lock. */
export interface StreamNotice {
  process: string;
  previous: number;
  to: number;
}

export interface NotificationHandlers {
  onStream(notice: StreamNotice): void;
  /** Ids of access tokens that no longer hold. */
  onRevoked(tokenIds: string[]): void;
  /** User ids of accounts whose rights changed. */
  onRights(userIds: string[]): void;
  /** After connecting anew: notices may have been missed. */
  onConnected(): void;
}

export interface Listener {
  close(): Promise<void>;
}

const retryMs = 250;

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
    });
    next.on("error", (error) => log.warn({ error }, "the listening connection failed"));
    try {
      await next.connect();
      await next.query("LISTEN hearth_stream; LISTEN hearth_tokens; LISTEN hearth_rights");
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
