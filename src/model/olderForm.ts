import type { Membership } from "./content/typed.ts";
import { contentOf, type StoredEvent } from "./event.ts";
import { olderKey } from "./olderKeys.ts";
import { withRelated } from "./olderRelations.ts";
import { profileType, roomKeysKey, type Profile } from "./profile.ts";

type Json = Record<string, unknown>;

/** What the older form says of an event besides what is stored with it. */
export interface OlderContext {
  serverName: string;
  /** Milliseconds since the epoch: ages are told from there. */
  now: number;
  /** The state event that it replaced. */
  replaced: StoredEvent | null;
  /** By which it was redacted. */
  redaction: StoredEvent | null;
  /** Of a membership: the member's profile at its place. Of a change of a profile: null. */
  profile: Profile | null;
  /** The same of the membership that it replaced; and the event that showed that profile, if it did so after the join. */
  before: { profile: Profile | null; shownBy: StoredEvent | null };
}

const memberType = "m.room.member";
/** Memberships of whom the older form tells the profile. */
const shown = new Set<unknown>(["join", "invite", "knock"] satisfies Membership[]);

/** Whether the older form tells the profile of who has this membership. */
export function showsProfile(event: StoredEvent): boolean {
  return event.type === memberType && event.kind === "STATE" && shown.has(contentOf(event)?.["membership"]);
}

/**
 * An event as bridges and older clients know it: without its type's prefix, with the state key of that form, profiles in
 * memberships, and what it replaced or was redacted by in `unsigned`. [AS-13] A change of a member's profile is a membership
 * there, too.
 */
export function olderForm(event: StoredEvent, context: OlderContext): Json {
  const { serverName, now, redaction } = context;
  const age = Math.max(0, now - event.sentAt);
  const isState = event.stateKey !== null;
  const previous = previousOf(event, context);
  const json: Json = {
    type: event.type === profileType && isState ? memberType : event.type,
    room_id: event.roomId,
    event_id: event.eventId,
    sender: event.sender,
    user_id: event.sender,
    content: olderContent(event, context.profile),
    origin_server_ts: event.sentAt,
  };
  if (event.stateKey !== null) json["state_key"] = olderKey(event.stateKey, serverName);
  if (event.redactsId !== null) json["redacts"] = event.redactsId;
  if (previous !== null) json["prev_content"] = previous.content;
  json["age"] = age;
  json["unsigned"] = {
    age,
    ...(previous === null
      ? {}
      : { prev_content: previous.content, replaces_state: previous.eventId, prev_sender: previous.sender }),
    ...(redaction === null ? {} : { redacted_because: olderForm(redaction, { ...context, ...bare }) }),
  };
  return json;
}

const bare = { replaced: null, redaction: null, profile: null, before: { profile: null, shownBy: null } };

/** The content of the older form; that of deleted state is empty, and a member without membership has left. */
function olderContent(event: StoredEvent, profile: Profile | null): Json {
  const content = contentOf(event);
  if (event.type === profileType && event.stateKey !== null) return { membership: "join", ...shownKeys(content) };
  if (event.type === memberType && event.stateKey !== null) {
    return content === null ? { membership: "leave" } : { ...shownKeys(profile), ...content };
  }
  if (content === null || event.redactedById !== null) return {};
  if (event.redactsId !== null) return { ...content, redacts: event.redactsId };
  return event.kind === "MESSAGE" ? withRelated(content, event) : content;
}

function previousOf(
  event: StoredEvent,
  { replaced, before }: OlderContext,
): { content: Json; eventId: string; sender: string } | null {
  const { profile, shownBy } = before;
  if (shownBy !== null) return { ...shownBy, content: olderContent(shownBy, null) };
  return replaced === null ? null : { ...replaced, content: olderContent(replaced, profile) };
}

/** What a membership tells of a profile: nothing that would pass for something else in it. */
function shownKeys(profile: Profile | null): Json {
  const { membership: _membership, [roomKeysKey]: _keys, ...rest } = profile ?? {};
  return rest;
}
