import { z } from "zod";
import { badInput } from "./errors.ts";

export type UserId = string;
export type RoomId = string;
export type EventId = string;

/** Ids and every other string that is indexed are at most this many bytes of UTF-8. [EV-8] */
export const maxIdBytes = 255;

const localpart = /^[a-z0-9._=/+-]+$/;
const serverName = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,230})(?::\d{1,5})?$/;
// C0 controls and DEL have no place in an id; the rest of Unicode may stand in aliases and room ids of bridges.
const unprintable = /[\u0000-\u001f\u007f]/;

function fits(value: string): boolean {
  return value.isWellFormed() && Buffer.byteLength(value) <= maxIdBytes && !unprintable.test(value);
}

function isId(sigil: string, value: string): boolean {
  if (!value.startsWith(sigil) || !fits(value)) return false;
  const colon = value.indexOf(":");
  return colon > 1 && serverName.test(value.slice(colon + 1));
}

/** `@local:server` */
export function isUserId(value: string): boolean {
  return isId("@", value);
}

/** `!local:server` */
export function isRoomId(value: string): boolean {
  return isId("!", value);
}

/** `#local:server` */
export function isAlias(value: string): boolean {
  return isId("#", value);
}

/** `$opaque` */
export function isEventId(value: string): boolean {
  return value.startsWith("$") && value.length > 1 && fits(value);
}

/** `host`, `host:port` or `[address]:port` */
export function isServerName(value: string): boolean {
  return value.length <= maxIdBytes && serverName.test(value);
}

/** The server's part of an id, after the first colon. */
export function serverOf(id: string): string {
  return id.slice(id.indexOf(":") + 1);
}

/** The user id of a name on this server; a user id stands for itself. */
export function userIdOf(name: string, serverName: string): UserId {
  return isUserId(name) ? name : `@${name}:${serverName}`;
}

/** Whether people may register under this name: lower case letters, digits and `._=/+-`. */
export function isUsername(value: string): boolean {
  return localpart.test(value);
}

/** Zod schemas for ids in inputs; messages complete the sentence "field: …". */
export const userId = z.string().refine(isUserId, "is not a user id like @name:server");
export const roomId = z.string().refine(isRoomId, "is not a room id like !id:server");
export const eventId = z.string().refine(isEventId, "is not an event id like $id");
export const alias = z.string().refine(isAlias, "is not a room alias like #name:server");
/** Texts that are looked up, such as relation types. [EV-8] */
export const indexedText = shortText();
/** Opaque ids that clients choose: device ids and action ids. */
export const clientChosenId = shortText();

/** The text, if it can be looked up; throws `BAD_INPUT` naming the field. */
export function checkText(text: string, field: string): string {
  if (text === "" || !fits(text)) throw badInput(field, "is empty, longer than 255 bytes or holds control characters");
  return text;
}

function shortText() {
  return z.string().min(1, "is empty").refine(fits, "is longer than 255 bytes or holds control characters");
}
