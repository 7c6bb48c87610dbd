import type { Connection } from "./connection.ts";
import type { Membership } from "./content/typed.ts";

/** What everybody may know of a published room, and how one user stands to it. [DIR-1, DIR-2] */
export interface PublishedRoomShape {
  roomId: string;
  name: string | null;
  topic: string | null;
  avatar: string | null;
  aliases: string[];
  /** Users who are joined now. */
  members: number;
  /** Null: never had to do with it. */
  viewerMembership: Membership | null;
}

/** A page of a snapshot of the directory. [DIR-3] */
export interface PublishedPage extends Connection<PublishedRoomShape> {
  /** The first page is 1. [DIR-2] */
  page: number;
}
