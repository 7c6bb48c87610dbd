import { canonicalJson } from "../../model/canonicalJson.ts";
import type { AnyEvent, EphemeralEvent, StoredEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import type { Tokens } from "../../model/tokens.ts";
import { placeToken } from "../reading/pages.ts";
import { membershipSet } from "../rules/membership.ts";
import type { Follower, Step } from "./follower.ts";
import type { Wish } from "./wish.ts";

/** One delivery of the event stream. [EVS-1] */
export interface StreamChunk {
  events: AnyEvent[];
  /** Shapes the events' JSON. */
  filter: Filter;
  /** The new position, as a token for the same rooms and users. */
  stream: string;
  limited: boolean;
  /** Rooms with news. */
  roomIds: string[];
  /** The viewer's own invites among the events. */
  invites: StoredEvent[];
  /** The viewer's own leaving, of their will or not. */
  left: StoredEvent[];
}

/** Turns a follower's steps into chunks, with what is derived from their events. */
export function chunkOf(step: Step, follower: Follower, tokens: Tokens, base: string, serverName: string): StreamChunk {
  const { wish } = follower;
  const { userId } = wish.base;
  const wanted = step.events.filter((event) => wish.wants(event));
  const own = wanted.filter((event) => event.type === "m.room.member" && event.stateKey === userId);
  const left = own.filter((event) => ["leave", "ban", null].includes(membershipSet(event)));
  const gone = new Set(left.map((event) => event.roomId));
  return {
    events: step.events.flatMap((event) => [
      ...(wish.wants(event) ? [event] : []),
      ...derived(event, wish, tokens, serverName),
    ]),
    filter: wish.filter,
    stream: tokens.streamAt(base, step.position),
    limited: step.limited,
    // Where others stand changes nothing of the viewer's lists; their own marker does, since it is what unread counts go by.
    roomIds: [
      ...new Set(wanted.filter(({ marker, sender }) => marker === null || sender === userId).map(roomOf)),
    ].filter((roomId) => !gone.has(roomId)),
    invites: own.filter((event) => membershipSet(event) === "invite"),
    left,
  };
}

function roomOf({ roomId }: StoredEvent): string {
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
    eventId: `ephemeral_${Buffer.from(`${event.roomId} m.homeserver.scrollback ${serverName}`).toString("base64url")}`,
    roomId: event.roomId,
    type: "m.homeserver.scrollback",
    sender: serverName,
    sentAt: event.sentAt,
    content: canonicalJson({ token: placeToken(tokens, event) }, "content"),
  };
  return wish.wantsDerived(scrollback) ? [scrollback] : [];
}
