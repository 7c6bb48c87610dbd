import { canonicalJson } from "../../model/canonicalJson.ts";
import { HearthError } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { profileType, type Profile } from "../../model/profile.ts";
import type { HeldSlot } from "../../store/append.ts";
import type { Connection } from "../../store/database.ts";
import { globalProfile, profileInRooms, type ProfileInRoom } from "../../store/profiles.ts";
import { authorise } from "../rules/authorise.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import { changedOwnProfile, roomsOwn, shownProfile, type ProfileChange } from "../rules/profile.ts";

/** What a room is to show of a user. */
export interface Showing {
  draft: EventDraft;
  slot: HeldSlot;
  /** The event that shows just that already; null where there is none. */
  shown: string | null;
  /** Nothing is shown, and there is nothing to show. */
  nothing: boolean;
}

/** Changes of what is a room's own of a profile, where the global one is known. */
export type OwnChanges = (global: Profile) => ProfileChange[];

const noChanges: OwnChanges = () => [];

/** What a room is to show of a user: their global profile and what is the room's own, with changes of that. [PRO-2] */
export async function showing(
  connection: Connection,
  roomId: string,
  userId: string,
  changes: OwnChanges = noChanges,
): Promise<Showing> {
  const global = await globalProfile(connection, userId);
  const [inRoom] = await profileInRooms(connection, userId, [roomId]);
  return showingOf(userId, global, inRoom!, changes);
}

/** The same for what was read already. */
export function showingOf(
  userId: string,
  global: Profile,
  { holder, shown }: ProfileInRoom,
  changes: OwnChanges = noChanges,
): Showing {
  const own = changes(global).reduce(changedOwnProfile, roomsOwn(shown));
  const content = contentOf(shownProfile(global, own));
  return {
    draft: { type: profileType, stateKey: userId, sender: userId, content },
    slot: { type: profileType, stateKey: userId, holder },
    shown: shown !== null && contentOf(shown) === content ? holder : null,
    nothing: holder === null && content === "{}",
  };
}

/** A profile as content; that of somebody who tells nothing is empty. */
export function contentOf(profile: Profile): string {
  return canonicalJson(profile, "value");
}

/**
 * What comes just before a user's join, so that the room shows their profile from the first moment on. [PRO-4] Nothing
 * where it shows it already, where there is nothing to show, and where the room lets them show nothing.
 */
export async function entering(
  connection: Connection,
  room: RoomAuthority,
  userId: string,
  serverName: string,
  changes: OwnChanges = noChanges,
): Promise<{ drafts: EventDraft[]; slots: HeldSlot[] | undefined }> {
  const { draft, slot, shown, nothing } = await showing(connection, room.roomId, userId, changes);
  if (shown !== null || nothing || !isAllowed(draft, room, serverName)) return { drafts: [], slots: undefined };
  return { drafts: [draft], slots: [slot] };
}

function isAllowed(draft: EventDraft, room: RoomAuthority, serverName: string): boolean {
  try {
    authorise(draft, room, serverName);
    return true;
  } catch (error) {
    if (error instanceof HearthError) return false;
    throw error;
  }
}
