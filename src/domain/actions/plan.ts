import { HearthError, roomNotFound, within } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import type { MarkerMove } from "../../model/marker.ts";
import type { AliasChange, BatchUnit, CallMove, HeldSlot } from "../../store/append.ts";
import type { Connection } from "../../store/database.ts";
import { authorise } from "../rules/authorise.ts";
import type { RoomAuthority } from "../rules/authority.ts";

/** What to append, or the events that are there already and make the action unnecessary. */
export type Plan =
  | {
      append: EventDraft[];
      newRoom?: BatchUnit["newRoom"];
      rejects?: string[];
      calls?: CallMove[] | undefined;
      slots?: HeldSlot[] | undefined;
      aliases?: AliasChange[] | undefined;
      registry?: number | undefined;
      room: RoomAuthority;
    }
  | { mark: Omit<MarkerMove, "device" | "actionId" | "suppressed">; room: RoomAuthority }
  | { unchanged: string[] };

/** Makes a plan for the room as it stands; throws what refuses the action. */
export type Planner = (room: RoomAuthority | null, connection: Connection) => Plan | Promise<Plan>;

/** Authorises events one after the other, each as if those before it had happened. */
export function authoriseAll(drafts: EventDraft[], room: RoomAuthority, serverName: string): EventDraft[] {
  for (const [index, draft] of drafts.entries()) {
    try {
      authorise(draft, room, serverName);
    } catch (error) {
      throw located(error, draft, index > 0);
    }
    if (draft.inserted === undefined) room.apply(draft);
  }
  return drafts;
}

/** Names the part of the input; also where no field is at fault, once those before it have passed. */
export function located(error: unknown, { inputPath = "" }: EventDraft, othersPassed: boolean): unknown {
  if (!(error instanceof HearthError) || inputPath === "") return error;
  return othersPassed || "field" in error.details ? within(inputPath, error) : error;
}

/** The plan of actions that know their events beforehand: append them to the room if the rules let all of them. */
export function appending(drafts: EventDraft[], { serverName }: { serverName: string }): Planner {
  return (known) => {
    const room = present(known);
    return { append: authoriseAll(drafts, room, serverName), room };
  };
}

/** For plans that need a room: `NOT_FOUND` where there is none. */
export function present(room: RoomAuthority | null): RoomAuthority {
  if (room === null) throw roomNotFound();
  return room;
}
