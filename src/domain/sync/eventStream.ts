import { LRUCache } from "lru-cache";
import type { EphemeralEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import type { Log } from "../../model/ports.ts";
import type { StreamToken } from "../../model/tokens.ts";
import type { Connection } from "../../store/database.ts";
import { replayedEvents } from "../../store/events.ts";
import { roomsOfUserAt } from "../../store/rooms.ts";
import { Audience, LoneObserver } from "./audience.ts";
import { everything } from "../filters.ts";
import { Follower } from "./follower.ts";
import type { Head } from "./head.ts";
import { Trickle } from "./trickle.ts";
import { Turns } from "./turns.ts";
import { listsMarkers, Wish } from "./wish.ts";

export interface EventStream {
  /**
   * Opens a stream from a token's position, or from now on when it has none. [EVS-1, EVS-3]
   * The follower is fed until `close`; the caller pulls its steps.
   */
  open(token: StreamToken, tokenId: string, options?: { filter?: Filter; outOfOrder?: boolean }): Promise<Follower>;
  close(follower: Follower): void;
  /** Ends the streams that were opened with these access tokens. [ACC-2] */
  end(tokenIds: readonly string[], failure: Error): void;
  /** Ends all streams, for shutting down. */
  shutDown(): void;
  /** How many streams are open. */
  count(): number;
  /** The rooms that a user with open streams is joined to; null for users without. */
  roomsOf(userId: string): Iterable<string> | null;
  /**
   * Gives an ephemeral event to who is joined to any of these rooms and wants it: but for one user, and not by way of
   * rooms in which more users than `largest` have streams open. Those who are told of it `byAndBy` have it within about a
   * second, and whatever came for them meanwhile with it. [EVS-12]
   */
  offerToRooms(roomIds: Iterable<string>, event: EphemeralEvent, options?: Offering): void;
  /** Is called with each ephemeral event that is offered to rooms. */
  onOffered(listener: (roomIds: Iterable<string>, event: EphemeralEvent) => void): void;
  /** Gives an ephemeral event to the user's own streams, where they want it. [EVS-12] */
  offerToUser(userId: string, event: EphemeralEvent): void;
}

/** To whom an ephemeral event goes, and how soon. */
interface Offering {
  except?: string;
  largest?: number;
  byAndBy?: boolean;
}

export interface EventStreamOptions {
  reader: Connection;
  head: Head;
  log: Log;
  /** At most this many events are replayed after a token. [EVS-2] */
  replayLimit: number;
  /** At most this many events wait for one follower. [EVS-13] */
  backlogLimit: number;
  /** Idle streams get a fresh token this often, in milliseconds. */
  freshTokenMs: number;
}

/** How long a stream waits for this process to reach the position of a token that another process gave. */
const otherProcessMs = 5000;

/**
 * Feeds open streams from the head cursor. A new stream first replays from the store up to the cursor, then takes what
 * passed meanwhile from memory and joins the audience in the same turn, so that nothing is lost or doubled between. [EVS-3]
 */
export function createEventStream(options: EventStreamOptions): EventStream {
  const listeners: ((roomIds: Iterable<string>, event: EphemeralEvent) => void)[] = [];
  const { reader, head, replayLimit } = options;
  const audience = new Audience();
  const open = new Set<Follower>();
  /** Streams that still replay: nothing passes to them yet, but they can be ended. */
  const opening = new Set<Follower>();
  /** Tokens that were revoked lately: a stream may be asked for with one that held a moment ago. */
  const revoked = new LRUCache<string, Error>({ max: 10_000 });
  const turns = new Turns();
  const trickle = new Trickle();
  let closing = false;

  head.onPassed((events, to) => {
    for (const event of events) {
      for (const follower of audience.pass(event)) {
        if (follower.wish.concerns(event)) follower.offer(event);
      }
    }
    for (const follower of open) follower.passed(to);
  });

  const freshener = setInterval(() => {
    for (const follower of audience.all()) follower.keepYoung();
  }, options.freshTokenMs);
  freshener.unref();

  /** Replays from the store between two positions; gives up with `limited` when that is too much. */
  async function replay(follower: Follower, after: number, to: number): Promise<void> {
    if (after >= to) return;
    const { wish } = follower;
    const { userId, rooms } = wish.base;
    const { events, complete } = await replayedEvents(reader, {
      ...{ userId, rooms, after, to, outOfOrder: wish.outOfOrder, selection: wish.filter.selection },
      markers: listsMarkers(wish.filter.selection),
      limit: replayLimit,
    });
    const wanted = events.filter((event) => wish.concerns(event));
    if (wanted.length > replayLimit || !complete) follower.limit();
    else for (const event of wanted) follower.offer(event);
  }

  /** Joins the audience at the head, taking what passed since `from` out of memory. False when memory is too short. */
  function goLive(follower: Follower, from: number, rooms: Awaited<ReturnType<typeof roomsOfUserAt>>): boolean {
    const missed = head.after(from);
    if (missed === null) return false;
    const observer = new LoneObserver(follower.base.userId, rooms);
    for (const event of missed) {
      if (observer.sees(event) && follower.wish.concerns(event)) follower.offer(event);
    }
    follower.passed(head.position);
    audience.add(follower, observer.rooms());
    open.add(follower);
    return true;
  }

  return {
    async open(token, tokenId, { filter = everything, outOfOrder = false } = {}) {
      const base = { userId: token.userId, deviceId: token.deviceId, rooms: token.rooms, users: token.users };
      const wish = new Wish(base, filter, outOfOrder);
      const follower = new Follower(wish, tokenId, head.position, Math.max(options.backlogLimit, replayLimit), turns);
      const failure = revoked.get(tokenId);
      if (failure !== undefined) follower.end(failure);
      opening.add(follower);
      try {
        const known = token.position === null || (await head.reached(token.position, otherProcessMs));
        // A position beyond the head belongs to a database that was set back: the client must sync anew. [EVS-2]
        let from = known && token.position !== null ? token.position : head.position;
        if (!known) follower.limit();
        for (;;) {
          const to = head.position;
          await replay(follower, from, to);
          const rooms = await roomsOfUserAt(reader, base.userId, to);
          from = to;
          if (closing || follower.ended || goLive(follower, from, rooms)) break;
        }
      } finally {
        opening.delete(follower);
      }
      if (closing) follower.end(null);
      return follower;
    },
    close(follower) {
      follower.end(null);
      audience.remove(follower);
      open.delete(follower);
    },
    end(tokenIds, failure) {
      for (const tokenId of tokenIds) revoked.set(tokenId, failure);
      const ended = new Set(tokenIds);
      for (const follower of [...open, ...opening]) if (ended.has(follower.tokenId)) follower.end(failure);
    },
    shutDown() {
      closing = true;
      clearInterval(freshener);
      trickle.close();
      for (const follower of open) follower.end(null);
    },
    count: () => open.size,
    roomsOf: (userId) => audience.roomsOf(userId),
    offerToRooms(roomIds, event, { except, largest = Infinity, byAndBy = false } = {}) {
      listeners.forEach((listener) => listener(roomIds, event));
      for (const follower of audience.inRooms(roomIds, largest)) {
        if (follower.base.userId === except || !follower.wish.wantsEphemeral(event)) continue;
        follower.offerEphemeral(event);
        if (byAndBy) trickle.add(follower);
        else follower.wake();
      }
    },
    onOffered: (listener) => void listeners.push(listener),
    offerToUser(userId, event) {
      for (const follower of audience.of(userId)) {
        if (!follower.wish.wantsEphemeral(event)) continue;
        follower.offerEphemeral(event);
        follower.wake();
      }
    },
  };
}
