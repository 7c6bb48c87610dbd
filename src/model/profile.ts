/** What users tell of themselves: `displayname`, `avatar_url` and anything else, JSON by key. [PRO-1] */
export type Profile = Readonly<Record<string, unknown>>;

/** The state by which a room knows a member's profile; its key is the user id. [PRO-3] */
export const profileType = "m.room.member.profile";

/** The key of such state's content that lists the keys that are the room's own. [PRO-2] */
export const roomKeysKey = "hearth.room_keys";
