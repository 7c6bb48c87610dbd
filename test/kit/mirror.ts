import type { Domain } from "../../src/domain/domain.ts";
import { visibleEvents } from "../../src/domain/reading/history.ts";
import { StreamChunk } from "../../src/domain/sync/chunk.ts";
import type { Follower } from "../../src/domain/sync/follower.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { markerKindOf } from "../../src/model/marker.ts";
import type { Requester } from "../../src/model/requester.ts";
import { streamHead } from "../../src/store/append.ts";
import { expectAgreement } from "./mirror/differences.ts";
import { isStored } from "./mirror/entry.ts";
import { ClientModel } from "./mirror/model.ts";
import { takeSnapshot, type Snapshot } from "./mirror/snapshot.ts";
import { until } from "./until.ts";

const patienceMs = 10_000;

/**
 * A client of one user that takes an initial sync, follows the event stream from its token and keeps what it learns; at
 * any moment of rest that must be what a fresh sync says. [EVS-3, STR-3, SYN-2] It works on the domain, without HTTP or
 * login, and may move between processes with its token. What fails while it follows is told by `check`.
 */
export class Mirror {
  readonly requester: Requester;
  readonly model: ClientModel;
  /** Stored events that came down the stream, in order, over all connections. */
  readonly received: string[] = [];
  /** Moves of markers that came down the stream, in order. */
  readonly moves: StoredEvent[] = [];
  /** Markers that were in the state of what it read. */
  readonly markersRead: StoredEvent[] = [];
  /** Position of the first token, which everything that is received comes after. */
  start = 0;
  /** What `limited` chunks left out: after one position up to another. [EVS-2] */
  readonly skipped: { after: number; to: number }[] = [];
  /** The position of the last chunk that was taken. */
  position = 0;
  readonly #limit: number;
  #stream = "";
  #domain: Domain;
  #follower: Follower | null = null;
  #following: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(domain: Domain, userId: string, { limit = 20 } = {}) {
    this.#domain = domain;
    this.#limit = limit;
    this.requester = { userId, deviceId: "mirror", admin: false, tokenId: "mirror" };
    this.model = new ClientModel(userId);
  }

  /** Takes the first sync and follows from its token. */
  async begin(): Promise<void> {
    const snapshot = await this.snapshot();
    this.model.takeSnapshot(snapshot);
    this.#stream = snapshot.stream;
    this.start = this.position = this.#domain.tokens.readStream(snapshot.stream, this.requester).position!;
    await this.connect(this.#domain);
  }

  /** Goes on from the last token, on this process or another. */
  async connect(domain: Domain): Promise<void> {
    this.#domain = domain;
    const token = domain.tokens.readStream(this.#stream, this.requester);
    this.#follower = await domain.stream.open(token, this.requester.tokenId, { outOfOrder: true });
    this.#following = this.#follow(this.#follower).catch((error: unknown) => {
      this.#failure ??= error;
    });
  }

  /** Ends the stream; what wasn't taken yet comes again after the next `connect`. */
  async disconnect(): Promise<void> {
    if (this.#follower !== null) this.#domain.stream.close(this.#follower);
    this.#follower = null;
    await this.#following;
  }

  get connected(): boolean {
    return this.#follower !== null;
  }

  /** A fresh whole sync. */
  snapshot(): Promise<Snapshot> {
    return this.#read(null);
  }

  /** Waits until everything up to a position was taken; throws what failed meanwhile. */
  async reach(position: number): Promise<void> {
    await this.#domain.head.reached(position, patienceMs);
    await until(
      () => {
        // Where nothing came that concerns the user, a step without events tells how far the stream is.
        this.#follower?.keepYoung();
        return this.position >= position || this.#failure !== null;
      },
      () => `the mirror of ${this.requester.userId} is at ${this.position}, not at ${position}`,
      patienceMs,
    );
    if (this.#failure !== null) throw this.#failure;
  }

  /**
   * Waits until the mirror has reached the head, or the position given, and expects it to agree with a fresh sync, which
   * it gives. The user's rooms must be at rest; clients that mark what they show may take a moment to come to it.
   * `disputed`: events that it may hold or not.
   */
  async check(position?: number, disputed?: ReadonlySet<string>): Promise<Snapshot> {
    const head = (): Promise<number> => streamHead(this.#domain.reading.connection);
    for (;;) {
      const reached = position ?? (await head());
      await this.reach(reached);
      const fresh = await this.snapshot();
      if (reached !== (position ?? (await head()))) continue;
      expectAgreement(this.requester.userId, fresh, this.model, disputed);
      return fresh;
    }
  }

  async #follow(follower: Follower): Promise<void> {
    const { tokens, server } = this.#domain;
    const base = tokens.streamBase(follower.base);
    for (let step = await follower.next(); step !== null; step = await follower.next()) {
      const chunk = new StreamChunk(step, follower.wish, tokens, base, server.name);
      if (chunk.limited) await this.#syncInstead(step.position);
      else await this.#take(chunk);
      this.#stream = chunk.stream;
      this.position = step.position;
    }
  }

  /** The stream left events out and goes on from now: they are in the difference since the last token. [EVS-2] */
  async #syncInstead(position: number): Promise<void> {
    this.skipped.push({ after: this.position, to: position });
    this.model.takeSnapshot(await this.#read(this.#stream));
  }

  async #read(stream: string | null): Promise<Snapshot> {
    const snapshot = await takeSnapshot(this.#domain, this.requester, { stream, limit: this.#limit });
    for (const { state } of snapshot.rooms) {
      this.markersRead.push(...state.filter(({ type }) => markerKindOf(type) !== null));
    }
    return snapshot;
  }

  async #take({ events }: StreamChunk): Promise<void> {
    const joined = new Set<string>();
    const hidden = await this.#hidden(events.filter(isStored));
    for (const event of events) {
      if (isStored(event)) {
        this.received.push(event.eventId);
        if (event.marker !== null) this.moves.push(event);
        if (!hidden.has(event.eventId) && this.model.take(event)) joined.add(event.roomId);
      } else if (event.type === "m.homeserver.scrollback" && joined.delete(event.roomId ?? "")) {
        await this.#readRoom(event.roomId ?? "");
      }
    }
    if (joined.size > 0) throw new Error(`[EVS-9] a join without m.homeserver.scrollback: ${[...joined].join()}`);
  }

  /** Insertions into a past that the user doesn't see: the API keeps them back as well. [EVS-6, EV-9] */
  async #hidden(events: readonly StoredEvent[]): Promise<Set<string>> {
    const ids = events.filter((event) => event.insertedAfterId !== null).map((event) => event.eventId);
    if (ids.length === 0) return new Set();
    const visible = await visibleEvents(this.#domain.reading, this.requester.userId, ids);
    return new Set(ids.filter((id) => !visible.has(id)));
  }

  /** A room that was just joined is unknown to the client. [EVS-11, SYN-9] */
  async #readRoom(roomId: string): Promise<void> {
    const { userId, deviceId } = this.requester;
    const stream = this.#domain.tokens.stream({ userId, deviceId, rooms: [roomId], users: null, position: null });
    const { rooms } = await this.#read(stream);
    // None when the user has left meanwhile, which the stream tells next.
    for (const room of rooms) this.model.takeRoom(room);
  }
}
