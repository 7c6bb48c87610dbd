const contentFields = ["raw"];
const signalFields = [...contentFields, "callId", "senderDeviceId"];

/**
 * The fields that may be rendered once for all who follow an event, by type; whatever isn't listed is rendered for each
 * viewer. Either their value is the same for whoever may see the event, or they ask the context for its viewer where it
 * isn't, and then the event is rendered for each viewer after all. Fields of an interface are listed with the interface.
 */
export const shareableFields: Readonly<Record<string, readonly string[]>> = {
  StreamChunk: ["events", "json"],
  Event: [
    ...["id", "kind", "type", "qualifiedType", "roomId", "senderId", "sender", "sentAt", "content", "typed", "json"],
    ...["redactedBy", "order", "cursor", "actionId", "insertedAfterId"],
  ],
  Node: ["id"],
  MessageEvent: ["updatesId", "updates", "updatedBy", "current", "editedAt", "relatesTo"],
  StateEvent: ["stateKey", "prevContent", "replacesId", "deleted"],
  EphemeralEvent: [],
  Relation: ["type", "eventId", "key"],
  User: ["displayName", "avatarMxc", "avatarUrl", "profileValues"],
  EventContent: contentFields,
  TextContent: [...contentFields, "msgtype", "body", "format", "formattedBody", "externalUrl", "mentions"],
  MediaContent: [
    ...[...contentFields, "msgtype", "body", "mxc", "mimetype", "size", "width", "height", "durationMs"],
    ...["externalUrl", "url"],
  ],
  LocationContent: [...contentFields, "body", "geoUri"],
  ReactionContent: [...contentFields, "key"],
  NameContent: [...contentFields, "name"],
  TopicContent: [...contentFields, "topic"],
  AvatarContent: [...contentFields, "mxc"],
  CreateContent: [...contentFields, "creatorId"],
  MembershipContent: [...contentFields, "membership", "reason"],
  ProfileContent: [...contentFields, "displayName", "avatarMxc"],
  PowerLevelsContent: [
    ...[...contentFields, "users", "usersDefault", "events", "eventsDefault", "stateDefault"],
    ...["invite", "kick", "ban", "redact"],
  ],
  JoinRulesContent: [...contentFields, "joinRule"],
  HistoryVisibilityContent: [...contentFields, "historyVisibility"],
  AliasesContent: [...contentFields, "aliases"],
  RedactionContent: [...contentFields, "redactsId", "reason"],
  ScrollbackContent: [...contentFields, "token"],
  MarkerContent: [...contentFields, "markedEventId", "markerKind"],
  TypingContent: [...contentFields, "userIds"],
  PresenceContent: [...contentFields, "state", "status", "capabilityHashes"],
  CallInviteContent: [...signalFields, "offer", "lifetimeMs"],
  CallAnswerContent: [...signalFields, "answer"],
  CallAckContent: [...signalFields, "acceptedUserId", "acceptedDeviceId"],
  CallRejectContent: [...signalFields, "reason"],
  CallCandidatesContent: [...signalFields, "candidates", "toUserId", "toDeviceId"],
  CallHangupContent: [...signalFields, "reason"],
  UnknownContent: contentFields,
  SessionDescription: ["type", "sdp"],
};

/** Of these, the ones that show the device that acted more than others, so that it takes no part in the sharing. [EVS-8] */
export const fieldsOfDevice: ReadonlySet<string> = new Set(["StreamChunk.json", "Event.json", "Event.actionId"]);
