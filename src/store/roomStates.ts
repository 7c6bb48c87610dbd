import type { StoredEvent } from "../model/event.ts";
import { exactTexts } from "../model/patterns.ts";
import type { Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { eventsOfJson } from "./rows.ts";
import { Parameters, patternsCondition } from "./selection.ts";
import { holder } from "./state.ts";

export interface RoomStateRequest {
  rooms: readonly {
    roomId: string;
    /** Stream position at which the state is read. */
    at: number;
    /** Null: the whole state. Else the slots that changed after this position, deleted ones included. [SYN-2] */
    since: number | null;
  }[];
  selection: Selection;
  after: { type: string; stateKey: string } | null;
  limit: number;
}

/** A room's state as it came from the store, read into events only when somebody looks. */
export interface RoomState {
  more: boolean;
  events(): StoredEvent[];
}

/** A page of the state of each of these rooms, by type and state key, through a filter; at most two statements. [SYN-7] */
export async function roomStates(connection: Connection, request: RoomStateRequest): Promise<RoomState[]> {
  const states: RoomState[] = request.rooms.map(() => ({ more: false, events: () => [] }));
  const numbered = request.rooms.map((room, n) => ({ ...room, n }));
  for (const rooms of [
    numbered.filter((room) => room.since === null),
    numbered.filter((room) => room.since !== null),
  ]) {
    if (rooms.length === 0) continue;
    for (const { n, count, events } of await readStates(connection, rooms, request)) {
      states[n] = { more: count > request.limit, events: () => eventsOfJson(events).slice(0, request.limit) };
    }
  }
  return states;
}

interface FoundState {
  n: number;
  count: number;
  events: string;
}

function readStates(
  connection: Connection,
  rooms: readonly { n: number; roomId: string; at: number; since: number | null }[],
  { selection, after, limit }: RoomStateRequest,
  { counted = false } = {},
): Promise<FoundState[]> {
  const whole = rooms[0]?.since === null;
  const parameters = new Parameters();
  const unnested = [
    parameters.add(
      rooms.map(({ n }) => n),
      "integer[]",
    ),
    parameters.add(
      rooms.map(({ roomId }) => roomId),
      "text[]",
    ),
    parameters.add(
      rooms.map(({ at }) => at),
      "bigint[]",
    ),
    parameters.add(
      rooms.map(({ since }) => since ?? 0),
      "bigint[]",
    ),
  ].join(", ");
  const conditions = [
    typeCondition(selection, parameters),
    after === null
      ? ""
      : `(slot.type, slot.state_key) > (${parameters.add(after.type, "text")}, ${parameters.add(after.stateKey, "text")})`,
  ].filter((condition) => condition !== "");
  const where = conditions.map((condition) => `AND ${condition}`).join(" ");
  const senders = patternsCondition("held.sender", selection.senders, parameters);
  return query<FoundState>(
    connection,
    `SELECT room.n, count(*)::integer AS count,
       ${counted ? "''" : 'json_agg(row_to_json(held) ORDER BY held.type COLLATE "C", held.state_key COLLATE "C")::text'} AS events
     FROM unnest(${unnested}) AS room(n, room_id, at, since)
     CROSS JOIN LATERAL (
       SELECT held.* FROM (${whole ? wholeSlots : changedSlots} ${where} ORDER BY slot.type, slot.state_key) AS slot
       CROSS JOIN LATERAL (${holder}) AS held
       WHERE ${whole ? "held.content IS NOT NULL" : "(held.position > room.since OR held.redacted_by_id IS NOT NULL)"}
         ${senders === "" ? "" : `AND ${senders}`}
       ORDER BY held.type, held.state_key LIMIT ${Math.trunc(limit) + 1}
     ) AS held
     GROUP BY room.n`,
    ...parameters.values,
  );
}

/** How many events `roomStates` would give of one room without a limit. */
export async function countRoomStates(
  connection: Connection,
  { room, selection }: { room: RoomStateRequest["rooms"][number]; selection: Selection },
): Promise<number> {
  const request = { rooms: [room], selection, after: null, limit: Number.MAX_SAFE_INTEGER };
  const [row] = await readStates(connection, [{ ...room, n: 0 }], request, { counted: true });
  return row?.count ?? 0;
}

const wholeSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM current_state AS slot
  WHERE slot.room_id = room.room_id`;

/** What was set or deleted since, and what holds a slot but was redacted since: the client's copy is out of date. [ACT-14] */
const changedSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM (
    SELECT changed.room_id, changed.type, changed.state_key FROM current_state AS changed
    WHERE changed.room_id = room.room_id AND changed.position > room.since
    UNION
    SELECT target.room_id, target.type, target.state_key
    FROM event AS redaction JOIN event AS target ON target.event_id = redaction.redacts_id
    WHERE redaction.room_id = room.room_id AND redaction.position > room.since AND redaction.position <= room.at
      AND redaction.redacts_id IS NOT NULL AND target.state_key IS NOT NULL
  ) AS slot WHERE true`;

function typeCondition({ types }: Selection, parameters: Parameters): string {
  const exact = exactTexts(types.STATE);
  // An array of names is looked up in the index; patterns are compared with each of the room's slots.
  if (exact === null) return patternsCondition("slot.type", types.STATE, parameters);
  const excluded = patternsCondition("slot.type", { included: null, excluded: types.STATE.excluded }, parameters);
  return [`slot.type = ANY (${parameters.add(exact, "text[]")})`, excluded].filter((part) => part !== "").join(" AND ");
}
