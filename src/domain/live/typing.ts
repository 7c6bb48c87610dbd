import { canonicalJson } from "../../model/canonicalJson.ts";
import { ephemeralId } from "../../model/ephemeral.ts";
import { badInput, HearthError, roomNotFound } from "../../model/errors.ts";
import type { EphemeralEvent, StoredEvent } from "../../model/event.ts";
import type { Clock, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { Connection } from "../../store/database.ts";
import { notifyTyping, type TypingNotice } from "../../store/notifications.ts";
import { accessToRooms } from "../reading/views.ts";
import { membershipSet } from "../rules/membership.ts";
import type { EventStream } from "../sync/eventStream.ts";
import { Coalesced } from "./coalesced.ts";
import type { Sessions } from "./sessions.ts";

export interface SetTyping {
  roomId: string;
  typing: boolean;
  /** Milliseconds after which it ends by itself. */
  timeoutMs: number;
}

export interface Typing {
  /** Throws `NOT_FOUND`, `FORBIDDEN` for who isn't joined, `BAD_INPUT` for a timeout out of range. [TYP-1] */
  set(requester: Requester, input: SetTyping): Promise<void>;
  /** Who is typing in a room, in the order of ids. */
  in(roomId: string): string[];
  /** The rooms among these in which somebody is typing. */
  among(roomIds: Iterable<string>): string[];
  /** Takes in what devices told another process. */
  notice(notice: TypingNotice): void;
  /** Timers that wait for the end of somebody's typing: at most one. */
  timers(): number;
  close(): Promise<void>;
}

export interface TypingOptions {
  connection: Connection;
  processId: string;
  serverName: string;
  sessions: Sessions;
  stream: EventStream;
  clock: Clock;
  log: Log;
}

/** Rooms are told of changes this often at most, in milliseconds. */
const tellMs = 200;
const longestMs = 120_000;

/** A device that is typing. */
interface Typist {
  roomId: string;
  userId: string;
  deviceId: string;
  until: number;
}

/**
 * Who is typing where, in memory, at all processes: it ends after its time, with the session, when the user's message
 * arrives and when they leave the room. [TYP-1, SES-3]
 */
export class TypingBoard implements Typing {
  readonly #options: TypingOptions;
  /** By room, then by device. */
  readonly #rooms = new Map<string, Map<string, Typist>>();
  readonly #changed = new Set<string>();
  /** What the other processes aren't told yet, by room and device; `until` 0 is the end. */
  readonly #untold = new Map<string, Typist>();
  readonly #telling: Coalesced;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer ends. */
  #ends = Infinity;

  constructor(options: TypingOptions) {
    this.#options = options;
    this.#telling = new Coalesced(tellMs, () => this.#tell());
    options.sessions.onGone(({ userId, deviceId }) => {
      for (const [roomId, typists] of this.#rooms) {
        if (typists.has(keyOf({ userId, deviceId }))) this.#remove({ roomId, userId, deviceId });
      }
    });
  }

  async set(requester: Requester, { roomId, typing, timeoutMs }: SetTyping): Promise<void> {
    if (timeoutMs < 1 || timeoutMs > longestMs) throw badInput("timeoutMs", `is not between 1 and ${longestMs}`);
    const { connection, clock } = this.#options;
    const { userId, deviceId } = requester;
    const access = (await accessToRooms(connection, userId, [roomId])).get(roomId);
    if (access === undefined || (access.view === null && access.membership !== "join")) throw roomNotFound();
    if (access.membership !== "join") throw new HearthError("FORBIDDEN", "Only members of the room type in it.");
    const typist = { roomId, userId, deviceId, until: typing ? clock.now() + timeoutMs : 0 };
    this.#untold.set(JSON.stringify([roomId, keyOf(typist)]), typist);
    this.#take(typist);
    this.#telling.ask();
  }

  in(roomId: string): string[] {
    const users = new Set<string>();
    for (const { userId } of this.#rooms.get(roomId)?.values() ?? []) users.add(userId);
    return [...users].sort();
  }

  among(roomIds: Iterable<string>): string[] {
    return [...roomIds].filter((roomId) => this.#rooms.has(roomId));
  }

  notice({ process, typists }: TypingNotice): void {
    if (process === this.#options.processId) return;
    for (const typist of typists) this.#take(typist);
  }

  /** A message ends its sender's typing, and so does leaving. */
  passed(event: StoredEvent): void {
    const typists = this.#rooms.get(event.roomId);
    if (typists === undefined) return;
    const left = event.type === "m.room.member" && membershipSet(event) !== "join" ? event.stateKey : null;
    const ended = left ?? (event.kind === "MESSAGE" && event.insertedAfterId === null ? event.sender : null);
    for (const typist of typists.values()) if (typist.userId === ended) this.#remove(typist);
  }

  timers(): number {
    return this.#timer === null ? 0 : 1;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#telling.close();
  }

  #take(typist: Typist): void {
    if (typist.until <= this.#options.clock.now()) return this.#remove(typist);
    const typists = this.#rooms.get(typist.roomId) ?? new Map<string, Typist>();
    const known = [...typists.values()].some(({ userId }) => userId === typist.userId);
    this.#rooms.set(typist.roomId, typists.set(keyOf(typist), typist));
    if (!known) this.#change(typist.roomId);
    if (typist.until < this.#ends) this.#wait(typist.until);
  }

  #remove(typist: Omit<Typist, "until">): void {
    const typists = this.#rooms.get(typist.roomId);
    if (!typists?.delete(keyOf(typist))) return;
    if (typists.size === 0) this.#rooms.delete(typist.roomId);
    this.#change(typist.roomId);
  }

  #change(roomId: string): void {
    this.#changed.add(roomId);
    this.#telling.ask();
  }

  async #tell(): Promise<void> {
    for (const roomId of this.#changed) {
      // Also when all is as it was before: somebody may have read what it was in between.
      this.#options.stream.offerToRooms([roomId], this.#event(roomId));
    }
    this.#changed.clear();
    const typists = [...this.#untold.values()];
    this.#untold.clear();
    if (typists.length === 0) return;
    const { connection, processId, log } = this.#options;
    // Who isn't told has it end by itself, a little later.
    await notifyTyping(connection, { process: processId, typists }).catch((error: unknown) =>
      log.warn({ error }, "typing could not be told"),
    );
  }

  #event(roomId: string): EphemeralEvent {
    const { serverName, clock } = this.#options;
    const content = canonicalJson({ user_ids: this.in(roomId) }, "content");
    const eventId = ephemeralId(roomId, "m.typing", serverName);
    return { kind: "EPHEMERAL", eventId, roomId, type: "m.typing", sender: serverName, sentAt: clock.now(), content };
  }

  #wait(until: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ends = until;
    if (until === Infinity) return;
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, until - this.#options.clock.now()) + 1).unref();
  }

  /** Who has ended goes; then it is waited for the first of the others. */
  #expire(): void {
    const now = this.#options.clock.now();
    let first = Infinity;
    for (const typists of this.#rooms.values()) {
      for (const typist of typists.values()) {
        if (typist.until <= now) this.#remove(typist);
        else first = Math.min(first, typist.until);
      }
    }
    this.#wait(first);
  }
}

function keyOf({ userId, deviceId }: Pick<Typist, "userId" | "deviceId">): string {
  return JSON.stringify([userId, deviceId]);
}
