import { z } from "zod";
import type { AnyEvent } from "../event.ts";
import type { MarkerKind } from "../marker.ts";
import { contentOf } from "../event.ts";
import { powerLevels, powerLevelsContent } from "../power.ts";
import { callReaders } from "./calls.ts";
import { reader, type ContentReader, type TypedContent } from "./reader.ts";

const text = z.string();
const optionalText = z.string().nullish().catch(null);
// Larger ones don't fit GraphQL's Int, and are shown in `raw` alone.
const optionalCount = z.int32().nonnegative().nullish().catch(null);
const mentions = z
  .object({ user_ids: z.array(z.string()) })
  .nullish()
  .catch(null);

const textContent = reader(
  "TextContent",
  z.object({
    msgtype: text,
    body: text,
    format: optionalText,
    formatted_body: optionalText,
    external_url: optionalText,
    "m.mentions": mentions,
  }),
  (content) => ({
    msgtype: content.msgtype,
    body: content.body,
    format: content.format,
    formattedBody: content.formatted_body,
    externalUrl: content.external_url,
    mentions: content["m.mentions"]?.user_ids ?? [],
  }),
);

const mediaContent = reader(
  "MediaContent",
  z.object({
    msgtype: text,
    body: text,
    url: text,
    external_url: optionalText,
    info: z
      .object({
        mimetype: optionalText,
        size: optionalCount,
        w: optionalCount,
        h: optionalCount,
        duration: optionalCount,
      })
      .nullish()
      .catch(null),
  }),
  (content) => ({
    msgtype: content.msgtype,
    body: content.body,
    mxc: content.url,
    mimetype: content.info?.mimetype,
    size: content.info?.size,
    width: content.info?.w,
    height: content.info?.h,
    durationMs: content.info?.duration,
    externalUrl: content.external_url,
  }),
);

const locationContent = reader("LocationContent", z.object({ body: text, geo_uri: text }), (content) => ({
  body: content.body,
  geoUri: content.geo_uri,
}));

const messageReaders: Record<string, ContentReader> = {
  "m.text": textContent,
  "m.notice": textContent,
  "m.emote": textContent,
  "m.image": mediaContent,
  "m.file": mediaContent,
  "m.audio": mediaContent,
  "m.video": mediaContent,
  "m.location": locationContent,
};

export const joinRules = ["public", "invite", "knock", "private"] as const;
export const historyVisibilities = ["world_readable", "shared", "invited", "joined"] as const;
export const memberships = ["invite", "join", "leave", "ban", "knock"] as const;
export type JoinRule = (typeof joinRules)[number];
export type HistoryVisibility = (typeof historyVisibilities)[number];
export type Membership = (typeof memberships)[number];

/** Contents that state events of these types must have when somebody sets them. */
export const stateContents: Record<string, z.ZodType> = {
  "m.room.name": z.looseObject({ name: text }),
  "m.room.topic": z.looseObject({ topic: text }),
  "m.room.avatar": z.looseObject({ url: text }),
  "m.room.power_levels": powerLevelsContent,
  "m.room.join_rules": z.looseObject({ join_rule: z.enum(joinRules) }),
  "m.room.history_visibility": z.looseObject({ history_visibility: z.enum(historyVisibilities) }),
  "m.room.member.profile": z.looseObject({ displayname: text.nullish(), avatar_url: text.nullish() }),
};

const readers: Record<string, ContentReader> = {
  "m.room.message": (raw, event) => messageReaders[String(raw["msgtype"])]?.(raw, event) ?? null,
  "m.reaction": reader("ReactionContent", z.looseObject({}), (_content, event) => ({
    key:
      event.kind === "MESSAGE" ? event.relatesTo.find((relation) => relation.type === "m.annotation")?.key : undefined,
  })),
  "m.room.name": reader("NameContent", z.object({ name: text }), ({ name }) => ({ name })),
  "m.room.topic": reader("TopicContent", z.object({ topic: text }), ({ topic }) => ({ topic })),
  "m.room.avatar": reader("AvatarContent", z.object({ url: text }), ({ url }) => ({ mxc: url })),
  "m.room.create": reader("CreateContent", z.object({ creator: text }), ({ creator }) => ({ creatorId: creator })),
  "m.room.member": reader(
    "MembershipContent",
    z.object({ membership: z.enum(memberships), reason: optionalText }),
    ({ membership, reason }) => ({ membership, reason }),
  ),
  "m.room.member.profile": reader(
    "ProfileContent",
    z.object({ displayname: optionalText, avatar_url: optionalText }),
    (content) => ({ displayName: content.displayname, avatarMxc: content.avatar_url }),
  ),
  "m.room.power_levels": reader("PowerLevelsContent", powerLevelsContent, (content) => ({
    ...powerLevels(content, null),
  })),
  "m.room.join_rules": reader("JoinRulesContent", z.object({ join_rule: z.enum(joinRules) }), (content) => ({
    joinRule: content.join_rule,
  })),
  "m.room.history_visibility": reader(
    "HistoryVisibilityContent",
    z.object({ history_visibility: z.enum(historyVisibilities) }),
    (content) => ({ historyVisibility: content.history_visibility }),
  ),
  "m.room.aliases": reader("AliasesContent", z.object({ aliases: z.array(text) }), ({ aliases }) => ({ aliases })),
  "m.room.marker.read": markerReader("read"),
  "m.room.marker.delivered": markerReader("delivered"),
  "m.room.redaction": reader("RedactionContent", z.object({ reason: optionalText }), ({ reason }, event) => ({
    reason,
    redactsId: event.kind === "MESSAGE" ? event.redactsId : null,
  })),
  "m.homeserver.scrollback": reader("ScrollbackContent", z.object({ token: text }), ({ token }) => ({ token })),
  "m.typing": reader("TypingContent", z.object({ user_ids: z.array(text) }), (content) => ({
    userIds: content.user_ids,
  })),
  "m.presence": reader(
    "PresenceContent",
    z.object({
      state: z.enum(["ONLINE", "IDLE", "OFFLINE"]),
      status: optionalText,
      capability_hashes: z.array(text).catch([]),
    }),
    (content) => ({ state: content.state, status: content.status, capabilityHashes: content.capability_hashes }),
  ),
  ...callReaders,
};

function markerReader(markerKind: MarkerKind): ContentReader {
  return reader("MarkerContent", z.object({ event_id: text }), (content) => ({
    markedEventId: content.event_id,
    markerKind,
  }));
}

/**
 * The content of an event as its well-known type, or as `UnknownContent` when the type isn't known or the content isn't
 * valid for it. Null for an event that deletes its state.
 */
export function typedContent(event: AnyEvent): TypedContent | null {
  const raw = contentOf(event);
  if (raw === null) return null;
  const typed = Object.hasOwn(readers, event.type) ? readers[event.type]!(raw, event) : null;
  const valid = typed !== null && (typed.typename !== "ReactionContent" || typeof typed["key"] === "string");
  return valid ? typed : { typename: "UnknownContent", raw };
}
