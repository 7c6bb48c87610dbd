import { HearthError } from "./errors.ts";

/**
 * Where an event stands in its room: `major` is the stream position of the live event that it is or follows; `minor`,
 * lower-case hexadecimal, is empty for live events. Compared by `major`, then by the bytes of `minor`; never changes. [SCR-3]
 */
export interface Place {
  major: number;
  minor: string;
}

export const maxMinorBytes = 64;

/** Negative when `a` stands before `b`. */
export function comparePlaces(a: Place, b: Place): number {
  return a.major - b.major || (a.minor < b.minor ? -1 : a.minor > b.minor ? 1 : 0);
}

/** The smallest place beyond another, as a bound: no event stands between the two. */
export function justAfter({ major, minor }: Place): Place {
  return { major, minor: `${minor}00` };
}

/** The place behind everything that stands at or was inserted after a stream position, as an exclusive bound. */
export function behind(position: number): Place {
  return { major: position, minor: "ff".repeat(maxMinorBytes + 1) };
}

/** `Event.order`: sorts bytewise as places do. */
export function orderText(place: Place): string {
  return place.major.toString(16).padStart(14, "0") + place.minor;
}

/**
 * A place straight after `after` and before `before`, the next place in the room if there is one. [EVS-6]
 * A minor is an integer that sorts bytewise, followed by a fraction: adding at either end counts the integer up or down,
 * so that thousands of insertions at one end don't lengthen keys; only insertions between two neighbours do.
 * Throws `UNSUPPORTED` when more than 64 bytes would be needed.
 */
export function placeBetween(after: Place, before: Place | null): Place {
  const upper = before !== null && before.major === after.major ? before.minor : null;
  const minor = minorBetween(after.minor === "" ? null : after.minor, upper);
  if (minor.length > 2 * maxMinorBytes) {
    throw new HearthError("UNSUPPORTED", "Too many events were inserted at this very place.");
  }
  return { major: after.major, minor };
}

function minorBetween(lower: string | null, upper: string | null): string {
  if (lower === null && upper === null) return encodeInteger(0);
  if (lower === null) {
    const { integer, fraction } = decode(upper!);
    return encodeInteger(fraction === "" ? integer - 1 : integer);
  }
  const { integer, fraction } = decode(lower);
  const next = encodeInteger(integer + 1);
  if (upper === null || next < upper) return next;
  const above = decode(upper);
  return encodeInteger(integer) + fractionBetween(fraction, above.integer === integer ? above.fraction : null);
}

/** The middle of two fractions in base 256, `lower` < result < `upper`; null means one. Never ends in a zero byte. */
function fractionBetween(lower: string, upper: string | null): string {
  let result = "";
  for (let index = 0; ; index += 2) {
    const low = byteAt(lower, index, 0);
    const high: number = upper === null ? 256 : byteAt(upper, index, 0);
    if (high - low > 1) return result + byte(low + Math.floor((high - low) / 2));
    result += byte(low);
    // One below the upper bound's digit: whatever follows is smaller than it.
    if (high > low) upper = null;
  }
}

/** A head that tells sign and length, then the bytes; negative numbers complemented, so that bytes sort as numbers do. */
function encodeInteger(value: number): string {
  const magnitude = value < 0 ? -value - 1 : value;
  let bytes = magnitude.toString(16);
  if (bytes.length % 2 === 1) bytes = `0${bytes}`;
  const length = bytes.length / 2;
  if (value >= 0) return byte(0x80 + length) + bytes;
  return byte(0x80 - length) + bytes.replace(/../g, (pair) => byte(255 - parseInt(pair, 16)));
}

function decode(minor: string): { integer: number; fraction: string } {
  const head = parseInt(minor.slice(0, 2), 16);
  const end = 2 + 2 * Math.abs(head - 0x80);
  const bytes = minor.slice(2, end);
  const integer =
    head > 0x80
      ? parseInt(bytes, 16)
      : -1 -
        parseInt(
          bytes.replace(/../g, (pair) => byte(255 - parseInt(pair, 16))),
          16,
        );
  return { integer, fraction: minor.slice(end) };
}

function byteAt(hex: string, index: number, otherwise: number): number {
  return index < hex.length ? parseInt(hex.slice(index, index + 2), 16) : otherwise;
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
