import { overloaded, type HearthError } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { query, type Database } from "../store/database.ts";
import type { Head } from "./sync/head.ts";

/** What keeps the server from serving: nothing of it says where the store is, or what went wrong there. */
export type Hindrance = "closing" | "store" | "stream";

/** Whether requests are to be sent here, for those who spread them over servers. */
export interface Readiness {
  /** Everything that keeps the server from serving now. However many ask, the store is asked once a second at most. */
  hindrances(): Promise<Hindrance[]>;
  /** Whether the store answers within a second; the answer holds for one. */
  storeAnswers(): Promise<boolean>;
  /** Why streams end now and nothing new begins: the server stops; null while it doesn't. */
  readonly farewell: HearthError | null;
  /** From now on the server is closing. */
  close(): void;
}

export interface ReadinessOptions {
  database: Database;
  head: Head;
  log: Log;
  /** Milliseconds that the store has for an answer, and for which the answer holds; a second unless given. */
  answerMs?: number;
}

/** Milliseconds that committed events may wait without any of them passing. */
const stuckMs = 10_000;

export function createReadiness({ database, head, log, answerMs = 1000 }: ReadinessOptions): Readiness {
  let closing = false;
  let answered: Promise<boolean> | null = null;
  /** A question is under way; another one would take one more connection from those who wait for the same. */
  let asking = false;
  let works = true;

  async function answers(): Promise<boolean> {
    if (asking) return false;
    asking = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), answerMs)));
    const asked = query(database.reader, "SELECT 1 AS one")
      .then(
        () => true,
        () => false,
      )
      .finally(() => (asking = false));
    const good = await Promise.race([asked, late]);
    clearTimeout(timer);
    if (good !== works) log.warn({}, good ? "the store answers again" : "the store doesn't answer");
    works = good;
    return good;
  }

  function storeAnswers(): Promise<boolean> {
    if (answered === null) {
      answered = answers();
      setTimeout(() => (answered = null), answerMs).unref();
    }
    return answered;
  }

  return {
    storeAnswers,
    async hindrances() {
      // Whatever else there is, this is how it will be from now on.
      if (closing) return ["closing"];
      const found: Hindrance[] = [];
      if (!(await storeAnswers())) found.push("store");
      if (head.lag().ms > stuckMs) found.push("stream");
      return closing ? ["closing"] : found;
    },
    get farewell() {
      return closing ? overloaded("The server restarts: come back with the last token.") : null;
    },
    close: () => void (closing = true),
  };
}
