import type { HistoryVisibility, JoinRule, Membership } from "./content/typed.ts";
import type { StoredEvent } from "./event.ts";
import type { RoomId, UserId } from "./ids.ts";

/** Stream positions from and to, both inclusive, and all that was inserted between them; `to` null has no end. */
export interface Span {
  from: number;
  to: number | null;
}

/** What a viewer may see of a room. [EV-9] */
export interface RoomView {
  viewer: UserId;
  roomId: RoomId;
  creator: UserId;
  createdAt: Date;
  published: boolean;
  /** The viewer's own membership now. */
  membership: Membership | null;
  /** The places that the viewer may read, in order, disjoint. */
  spans: Span[];
  /** The position whose state the viewer sees: null is the present; ex-members see the room as they left it. */
  until: number | null;
  /** What all this was made of: while the store says the same, it holds. */
  madeOf: string;
}

/** A user in a room. */
export interface MemberShape {
  room: RoomView;
  userId: UserId;
  membership: Membership;
  eventId: string;
}

/** What authorisation reads of a room, but for memberships. */
export interface RoomRules {
  roomId: RoomId;
  version: number;
  creator: UserId;
  /** Content of the power levels event; null when there is none. */
  powerContent: unknown;
  joinRule: JoinRule;
  visibility: HistoryVisibility;
}

/** A user, who is known to exist. */
export interface UserShape {
  kind: "USER";
  userId: UserId;
}

/** An invite, as the membership event that it is. */
export interface InviteShape {
  event: StoredEvent;
}
