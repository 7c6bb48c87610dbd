import { lazyEdge, type StateConnection } from "../../model/connection.ts";
import type { Filter } from "../../model/filter.ts";
import { checkLimit } from "../../model/paging.ts";
import { passes } from "../../model/patterns.ts";
import type { RoomView } from "../../model/room.ts";
import { countRoomStates, roomStates } from "../../store/roomStates.ts";
import { everything } from "../filters.ts";
import type { Reading } from "./reading.ts";
import { checkSlotName } from "./state.ts";

/** A room's state without `first` is whole; but no answer holds more events of one room than this. */
const maxState = 10_000;
/** Beyond every position. */
const endless = Number.MAX_SAFE_INTEGER;

/** A room whose state is read at a stream position; with `since` only what changed after it, deleted slots included. */
export interface StateOfRoom {
  view: RoomView;
  at: number;
  since: number | null;
}

/**
 * Which page of the state. Only the present state has markers: `sync` are those that stood at its position, whatever moved
 * on since comes down the stream; `now` are those of this moment; `none` leaves them out. [ACT-11]
 */
interface StateArguments {
  filter: Filter;
  first?: number | null;
  after?: string | null;
  markers: "sync" | "now" | "none";
}

/** The filter that lets state of these types pass, each named as it is; null: all state. */
export function filterOfTypes(types: readonly string[] | null): Filter {
  if (types === null) return everything;
  const names = types.map((type) => type.replace(/^state:/, ""));
  for (const name of names) checkSlotName(name, "types");
  const { definition, selection } = everything;
  const STATE = { included: names.map((name) => [name]), excluded: [] };
  return { definition, selection: { ...selection, types: { ...selection.types, STATE } } };
}

/** A page of the state of one room; see `stateConnections`. */
export async function stateConnection(
  reading: Reading,
  room: StateOfRoom,
  args: StateArguments,
): Promise<StateConnection> {
  const [state] = await stateConnections(reading, [room], args);
  return state!();
}

/**
 * A page of the state of each of these rooms, by type and state key, through a filter; a fixed number of statements
 * whatever the number of rooms. Without `first`, all of it. [SYN-1, SYN-2, SYN-3, SYN-7]
 */
export async function stateConnections(
  { connection, tokens }: Reading,
  rooms: readonly StateOfRoom[],
  args: StateArguments,
): Promise<(() => StateConnection)[]> {
  const viewer = args.markers === "none" ? null : (rooms[0]?.view.viewer ?? null);
  const { selection } = args.filter;
  const limit = typeof args.first === "number" ? checkLimit(args.first, "first") : maxState;
  const asked = rooms
    .map((room, index) => ({
      ...room,
      index,
      roomId: room.view.roomId,
      at: Math.min(room.view.until ?? room.at, room.at),
      markersUntil: Math.min(room.view.until ?? endless, args.markers === "sync" ? room.at : endless),
    }))
    .filter(({ roomId }) => passes(selection.rooms, roomId));
  const after =
    typeof args.after === "string" && rooms[0] ? tokens.readChunk(args.after, "state", rooms[0].view.roomId) : null;
  const [type, stateKey] = (after ?? []) as string[];
  const states = await roomStates(connection, {
    ...{ rooms: asked, selection, viewer, limit },
    after: after === null ? null : { type: type!, stateKey: stateKey! },
  });
  const stateOf = new Map(asked.map((room, n) => [room.index, { room, state: states[n]! }]));
  return rooms.map((_room, index) => () => {
    const { room, state } = stateOf.get(index) ?? {};
    return {
      edges: (state?.events() ?? []).map((node) =>
        lazyEdge(node, () => tokens.chunk("state", node.roomId, [node.type, node.stateKey ?? ""])),
      ),
      filter: args.filter,
      hasPreviousPage: after !== null,
      hasNextPage: state?.more ?? false,
      total: async () =>
        room && (state?.more || after !== null) ? countRoomStates(connection, { room, selection, viewer }) : null,
    };
  });
}
