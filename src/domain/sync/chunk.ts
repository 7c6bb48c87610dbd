import { canonicalJson } from "../../model/canonicalJson.ts";
import type { AnyEvent, EphemeralEvent, StoredEvent } from "../../model/event.ts";
import { ephemeralId } from "../../model/ephemeral.ts";
import type { Filter } from "../../model/filter.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { Tokens } from "../../model/tokens.ts";
import { placeToken } from "../reading/pages.ts";
import { membershipSet } from "../rules/membership.ts";
import type { Step } from "./follower.ts";
import type { Wish } from "./wish.ts";

/** One delivery of the event stream: a follower's step, and what is derived from its events. [EVS-1] */
export class StreamChunk {
  readonly events: AnyEvent[];
  /** Shapes the events' JSON. */
  readonly filter: Filter;
  /** The new position, as a token for the same rooms and users. */
  readonly stream: string;
  readonly limited: boolean;
  readonly #userId: UserId;
  readonly #wanted: StoredEvent[];

  /** `base`: the stream's own part of its tokens. */
  constructor(step: Step, wish: Wish, tokens: Tokens, base: string, serverName: string) {
    this.#userId = wish.base.userId;
    this.#wanted = step.events.filter((event) => wish.wants(event));
    const derives = step.events.some((event) => wish.isOwnJoin(event));
    const stored = derives
      ? step.events.flatMap((event) => [
          ...(wish.wants(event) ? [event] : []),
          ...derived(event, wish, tokens, serverName),
        ])
      : this.#wanted;
    this.events = step.ephemeral.length === 0 ? stored : [...stored, ...step.ephemeral];
    this.filter = wish.filter;
    this.stream = tokens.streamAt(base, step.position);
    this.limited = step.limited;
  }

  /** Rooms with news. */
  get roomIds(): RoomId[] {
    const gone = new Set(this.left.map(roomOf));
    // Where others stand changes nothing of the viewer's lists; their own marker does, since it is what unread counts go by.
    const news = this.#wanted.filter(({ marker, sender }) => marker === null || sender === this.#userId);
    return [...new Set(news.map(roomOf))].filter((roomId) => !gone.has(roomId));
  }

  /** The viewer's own invites among the events. */
  get invites(): StoredEvent[] {
    return this.#own().filter((event) => membershipSet(event) === "invite");
  }

  /** The viewer's own leaving, of their will or not. */
  get left(): StoredEvent[] {
    return this.#own().filter((event) => ["leave", "ban", null].includes(membershipSet(event)));
  }

  #own(): StoredEvent[] {
    return this.#wanted.filter((event) => event.type === "m.room.member" && event.stateKey === this.#userId);
  }
}

function roomOf({ roomId }: StoredEvent): RoomId {
  return roomId;
}

/**
 * A join of the viewer is followed by where to scroll back from: derived from the join, so that it comes again when the
 * join is replayed. [EVS-9]
 */
function derived(event: StoredEvent, wish: Wish, tokens: Tokens, serverName: string): EphemeralEvent[] {
  if (!wish.isOwnJoin(event)) return [];
  const scrollback: EphemeralEvent = {
    kind: "EPHEMERAL",
    eventId: ephemeralId(event.roomId, "m.homeserver.scrollback", serverName),
    roomId: event.roomId,
    type: "m.homeserver.scrollback",
    sender: serverName,
    sentAt: event.sentAt,
    content: canonicalJson({ token: placeToken(tokens, event) }, "content"),
  };
  return wish.wantsEphemeral(scrollback) ? [scrollback] : [];
}
