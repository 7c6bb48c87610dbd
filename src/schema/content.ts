import type { TypedContent } from "../model/content/reader.ts";
import { builder } from "./builder.ts";
import { HistoryVisibility, JoinRule, MarkerKind, Membership, PresenceState } from "./enums.ts";
import { urlOf } from "./media.ts";
import { Event, EventContent } from "./refs.ts";

EventContent.implement({
  resolveType: (content) => content.typename,
  fields: (t) => ({ raw: t.field({ type: "JSONObject", resolve: ({ raw }) => raw }) }),
});

export const SessionDescription = builder.objectRef<{ type: string; sdp: string }>("SessionDescription").implement({
  fields: (t) => ({ type: t.exposeString("type"), sdp: t.exposeString("sdp") }),
});

// What the types' fields are, in short: `String!`, `[ID!]!` and so on become Pothos fields that read the key of that name.
const outputs = {
  String: "String",
  ID: "ID",
  Int: "Int",
  JSONObject: "JSONObject",
  Membership,
  JoinRule,
  HistoryVisibility,
  MarkerKind,
  PresenceState,
  SessionDescription,
} as const;
type Output = keyof typeof outputs;
type Field = Output | `${Output}!` | `[${Output}!]!`;

function contentType(name: string, fields: Record<string, Field>, description?: string) {
  return builder.objectType(builder.objectRef<TypedContent>(name), {
    ...(description === undefined ? {} : { description }),
    interfaces: [EventContent],
    fields: (t) =>
      Object.fromEntries(
        Object.entries(fields).map(([key, field]) => {
          const output = outputs[field.replace(/[[\]!]/g, "") as Output];
          const type = field.startsWith("[") ? [output] : output;
          const resolve = (content: TypedContent): unknown => content[key] ?? null;
          return [
            key,
            t.field({ type: type as "String", nullable: !field.endsWith("!"), resolve: resolve as () => string }),
          ];
        }),
      ),
  });
}

contentType(
  "TextContent",
  {
    msgtype: "String!",
    body: "String!",
    format: "String",
    formattedBody: "String",
    externalUrl: "String",
    mentions: "[ID!]!",
  },
  "m.text, m.notice and m.emote",
);
const MediaContent = contentType(
  "MediaContent",
  {
    msgtype: "String!",
    body: "String!",
    mxc: "String!",
    mimetype: "String",
    size: "Int",
    width: "Int",
    height: "Int",
    durationMs: "Int",
    externalUrl: "String",
  },
  "m.image, m.file, m.audio and m.video",
);
builder.objectField(MediaContent, "url", (t) =>
  t.string({
    description:
      "The absolute address of the file, or of a thumbnail of about this size; where `mxc` is none, one that nothing is at.",
    args: { width: t.arg.int(), height: t.arg.int() },
    resolve: (content, size, context) =>
      urlOf(String(content["mxc"]), size, "scale", context) ??
      `${context.server.publicUrl}/_matrix/media/v3/download/-/-`,
  }),
);
contentType("LocationContent", { body: "String!", geoUri: "String!" });
contentType("ReactionContent", { key: "String!" }, "A child of relation type m.annotation.");
contentType("NameContent", { name: "String!" });
contentType("TopicContent", { topic: "String!" });
contentType("AvatarContent", { mxc: "String!" });
contentType("CreateContent", { creatorId: "ID!" });
contentType("MembershipContent", { membership: "Membership!", reason: "String" });
contentType("ProfileContent", { displayName: "String", avatarMxc: "String" });
export const PowerLevelsContent = contentType("PowerLevelsContent", {
  users: "JSONObject!",
  usersDefault: "Int!",
  events: "JSONObject!",
  eventsDefault: "Int!",
  stateDefault: "Int!",
  invite: "Int!",
  kick: "Int!",
  ban: "Int!",
  redact: "Int!",
});
contentType("JoinRulesContent", { joinRule: "JoinRule!" });
contentType("HistoryVisibilityContent", { historyVisibility: "HistoryVisibility!" });
contentType("AliasesContent", { aliases: "[ID!]!" });
contentType("MarkerContent", { markedEventId: "ID!", markerKind: "MarkerKind!" });
contentType("TypingContent", { userIds: "[ID!]!" });
contentType("PresenceContent", { state: "PresenceState!", status: "String", capabilityHashes: "[String!]!" });

const signal = { callId: "ID!", senderDeviceId: "String" } as const;
contentType("CallInviteContent", { ...signal, offer: "SessionDescription!", lifetimeMs: "Int!" });
contentType("CallAnswerContent", { ...signal, answer: "SessionDescription!" });
contentType("CallAckContent", { ...signal, acceptedUserId: "ID!", acceptedDeviceId: "String!" });
contentType("CallRejectContent", { ...signal, reason: "String" });
contentType("CallCandidatesContent", { ...signal, candidates: "[JSONObject!]!", toUserId: "ID", toDeviceId: "String" });
contentType("CallHangupContent", { ...signal, reason: "String" });
contentType("UnknownContent", {});

builder.objectType(builder.objectRef<TypedContent>("RedactionContent"), {
  interfaces: [EventContent],
  fields: (t) => ({
    redactsId: t.id({ resolve: (content) => String(content["redactsId"]) }),
    redacts: t.field({
      type: Event,
      nullable: true,
      resolve: (content, _args, context) => context.load.event(String(content["redactsId"])),
    }),
    reason: t.string({ nullable: true, resolve: (content) => (content["reason"] as string | null) ?? null }),
  }),
});

builder.objectType(builder.objectRef<TypedContent>("ScrollbackContent"), {
  description: "m.homeserver.scrollback: where scrolling back in a newly joined room starts. [EVS-9]",
  interfaces: [EventContent],
  fields: (t) => ({ token: t.field({ type: "ChunkToken", resolve: (content) => String(content["token"]) }) }),
});
