import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { filterToken } from "../../../domain/filters.ts";
import { check } from "../../../model/check.ts";
import { badInput, HearthError } from "../../../model/errors.ts";
import { filterOf, type FilterInput } from "../../../model/filter.ts";
import { markerType } from "../../../model/marker.ts";
import { filterOfOlder } from "../../../model/olderFilter.ts";
import { maxPage } from "../../../model/paging.ts";
import { canonicalPatterns, passes, patternsOf, type Patterns } from "../../../model/patterns.ts";

const list = z.array(z.string()).nullish();
const eventFilter = {
  ...{ types: list, not_types: list, senders: list, not_senders: list },
  limit: z.number().int().min(0).nullish(),
};
const part = z.looseObject(eventFilter).nullish();
const roomPart = z.looseObject({ ...eventFilter, rooms: list, not_rooms: list }).nullish();

/** A filter in the form of this API, as far as it is looked at; what else is in it is kept with it. */
export const olderFilter = z.looseObject({
  presence: part,
  account_data: part,
  room: z
    .looseObject({
      ...{ rooms: list, not_rooms: list, timeline: roomPart, state: roomPart },
      ...{ ephemeral: roomPart, account_data: roomPart },
    })
    .nullish(),
});
type OlderFilter = z.output<typeof olderFilter>;
type Part = z.output<typeof roomPart>;

/** What a filter of this API comes to here. */
export interface SyncWish {
  /** Timeline events per room. */
  limit: number;
  timeline: FilterInput;
  /** Token of the filter for state. */
  state: string;
  presence(userId: string): boolean;
  ephemeral(type: string, roomId: string): boolean;
  accountData(type: string): boolean;
  roomAccountData(type: string, roomId: string): boolean;
}

const defaultLimit = 10;
/** Characters of a filter as it is kept. */
const maxLength = 4096;

/**
 * The filter that a request names: by its JSON, or by the id that it was given. Without one, everything passes. Throws
 * `BAD_INPUT`, `NOT_FOUND` for an id of somebody else or of nobody.
 */
export function readOlderFilter(domain: Domain, userId: string, given: string | undefined): OlderFilter {
  if (given === undefined || given === "") return {};
  if (!given.startsWith("{")) return filterById(domain, userId, given);
  let parsed: unknown;
  try {
    parsed = JSON.parse(given);
  } catch {
    throw badInput("filter", "is no JSON");
  }
  return check(olderFilter, parsed, "filter");
}

/** An id that carries the filter, so that nothing has to be stored. Throws `TOO_LARGE`. */
export function filterId({ tokens }: Domain, userId: string, filter: OlderFilter): string {
  const text = JSON.stringify(filter);
  if (text.length > maxLength) {
    throw new HearthError("TOO_LARGE", `The filter is longer than ${maxLength} characters.`, { field: "input" });
  }
  return tokens.chunk("filter", userId, [text]);
}

/** The filter of an id that was given to this user. */
export function filterById({ tokens }: Domain, userId: string, id: string): OlderFilter {
  try {
    return check(olderFilter, JSON.parse(String(tokens.readChunk(id, "filter", userId)[0])));
  } catch {
    throw new HearthError("NOT_FOUND", "There is no such filter.", { field: "filter" });
  }
}

/** What a filter says in the words of the domain. Throws `BAD_INPUT` for lists that are too long. */
export function wishOf({ tokens }: Domain, filter: OlderFilter): SyncWish {
  const room = filter.room ?? {};
  const rooms = (own: Part): string[] | null => {
    const [wide, narrow] = [both(room.rooms, room.not_rooms), both(own?.rooms, own?.not_rooms)];
    return wide === null || narrow === null ? (wide ?? narrow) : narrowed(wide, narrow);
  };
  const read = (own: Part): FilterInput => {
    const { rooms: _rooms, not_rooms: _notRooms, ...rest } = own ?? {};
    return { ...filterOfOlder(rest), rooms: rooms(own), limit: null };
  };
  const passing = (values: string[] | null, field: string): Patterns =>
    patternsOf(values === null ? null : canonicalPatterns(values, field));
  const presence = passing(both(filter.presence?.types, filter.presence?.not_types), "presence.types");
  const present = passing(both(filter.presence?.senders, filter.presence?.not_senders), "presence.senders");
  const ephemeral = passing(both(room.ephemeral?.types, room.ephemeral?.not_types), "room.ephemeral.types");
  const heard = passing(rooms(room.ephemeral), "room.ephemeral.rooms");
  const data = passing(both(filter.account_data?.types, filter.account_data?.not_types), "account_data.types");
  const roomData = passing(both(room.account_data?.types, room.account_data?.not_types), "room.account_data.types");
  const dataRooms = passing(rooms(room.account_data), "room.account_data.rooms");
  return {
    limit: Math.min(room.timeline?.limit ?? defaultLimit, maxPage),
    timeline: read(room.timeline),
    state: filterToken(tokens, filterOf(withReceipts(read(room.state)))),
    presence: (userId) => passes(presence, "m.presence") && passes(present, userId),
    ephemeral: (type, roomId) => passes(ephemeral, type) && passes(heard, roomId),
    accountData: (type) => passes(data, type),
    roomAccountData: (type, roomId) => passes(roomData, type) && passes(dataRooms, roomId),
  };
}

/** One list of patterns, of what is let pass and what isn't. */
function both(included: readonly string[] | null | undefined, excluded: readonly string[] | null | undefined) {
  if (included?.length === 0) return [];
  if (!included && !excluded?.length) return null;
  return [...(included ?? []), ...(excluded ?? []).map((pattern) => `-${pattern}`)];
}

/** What two lists of rooms let pass together. */
function narrowed(wide: readonly string[], narrow: readonly string[]): string[] {
  const [outer, inner] = [patternsOf(wide), narrow.filter((entry) => !entry.startsWith("-"))];
  const excluded = [...wide, ...narrow].filter((entry) => entry.startsWith("-"));
  if (narrow.length === 0 || wide.length === 0) return [];
  const included = inner.length > 0 ? inner.filter((room) => passes(outer, room)) : wide;
  return included.length === 0 ? [] : [...new Set([...included, ...excluded])];
}

/** Markers are no state there: they pass to become receipts, which have a filter of their own. */
function withReceipts({ types, ...filter }: FilterInput): FilterInput {
  const named = types?.length === 0 || types?.some((type) => !type.startsWith("-"));
  return { ...filter, types: named ? [...(types ?? []), markerType("read")] : (types ?? null) };
}
