import { canonicalJson } from "../../model/canonicalJson.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import { maxIdBytes } from "../../model/ids.ts";
import { roomKeysKey, type Profile } from "../../model/profile.ts";

/** A key to set, or with null to remove. */
export interface ProfileChange {
  key: string;
  value: unknown;
}

/** Bytes of canonical JSON, so that a global profile and a room's own one fit into one event. [EV-8] */
const maxProfileBytes = 24 * 1024;
const maxDisplayNameBytes = 1024;
const mediaAddress = /^mxc:\/\/[^/\s]+\/[\w-]+$/;

/** Throws `BAD_INPUT` for a key that no profile has, or a value that the key doesn't take. [PRO-1] */
export function checkProfileChange({ key, value }: ProfileChange): void {
  if (key === "" || Buffer.byteLength(key) > maxIdBytes || key.includes("\0") || !key.isWellFormed()) {
    throw badInput("key", `is empty, longer than ${maxIdBytes} bytes, or holds characters that no key may have`);
  }
  if (key === roomKeysKey) throw badInput("key", "is the server's own");
  if (value === null) return;
  if (key === "displayname" && (typeof value !== "string" || Buffer.byteLength(value) > maxDisplayNameBytes)) {
    throw badInput("value", `is no text of at most ${maxDisplayNameBytes} bytes`);
  }
  if (key === "avatar_url" && (typeof value !== "string" || !mediaAddress.test(value))) {
    throw badInput("value", "is no mxc:// address of media");
  }
}

/** The profile with a change made. Throws `TOO_LARGE`; `BAD_INPUT` for a value that isn't canonical JSON. */
export function changedProfile(profile: Profile, { key, value }: ProfileChange): Profile {
  const others = Object.entries(profile).filter(([name]) => name !== key);
  const changed = Object.fromEntries(value === null ? others : [...others, [key, value]]);
  checkProfileSize(changed);
  return changed;
}

/** The same for what is a room's own, whose keys its event names once more. */
export function changedOwnProfile(own: Profile, change: ProfileChange): Profile {
  const changed = changedProfile(own, change);
  checkProfileSize(shownProfile({}, changed));
  return changed;
}

function checkProfileSize(profile: Profile): void {
  if (Buffer.byteLength(canonicalJson(profile, "value")) <= maxProfileBytes) return;
  throw new HearthError("TOO_LARGE", `value: the profile would be larger than ${maxProfileBytes} bytes.`, {
    field: "value",
  });
}

/** The keys of a profile that are the room's own, with their values; `content` is that of the room's event. [PRO-2] */
export function roomsOwn(content: Profile | null): Profile {
  const keys = content?.[roomKeysKey];
  const named = new Set(Array.isArray(keys) ? keys : []);
  return Object.fromEntries(Object.entries(content ?? {}).filter(([key]) => named.has(key)));
}

/** What a room shows of a member: the global profile, but for the keys that are the room's own. [PRO-2, PRO-3] */
export function shownProfile(global: Profile, own: Profile): Profile {
  const keys = Object.keys(own);
  return { ...global, ...own, ...(keys.length === 0 ? {} : { [roomKeysKey]: keys.sort() }) };
}
