import { callEndReasons, callStates } from "../model/call.ts";
import { errorCodes } from "../model/errors.ts";
import { builder } from "./builder.ts";

export const ErrorCode = builder.enumType("ErrorCode", { values: errorCodes });
export const EventKind = builder.enumType("EventKind", { values: ["STATE", "MESSAGE", "EPHEMERAL"] as const });
export const EventFormat = builder.enumType("EventFormat", { values: ["CLIENT", "FEDERATION"] as const });
export const RelationOrder = builder.enumType("RelationOrder", {
  description: "Order within a chunk; paging always goes from the newest to earlier ones.",
  values: ["NEWEST_LAST", "NEWEST_FIRST"] as const,
});
export const RegistrationMode = builder.enumType("RegistrationMode", {
  values: { OPEN: { value: "open" }, TOKEN: { value: "token" }, CLOSED: { value: "closed" } } as const,
});
export const Membership = builder.enumType("Membership", {
  values: {
    INVITE: { value: "invite" },
    JOIN: { value: "join" },
    LEAVE: { value: "leave" },
    BAN: { value: "ban" },
    KNOCK: { value: "knock" },
  } as const,
});
export const JoinRule = builder.enumType("JoinRule", {
  values: {
    PUBLIC: { value: "public" },
    INVITE: { value: "invite" },
    KNOCK: { value: "knock" },
    PRIVATE: { value: "private" },
  } as const,
});
export const HistoryVisibility = builder.enumType("HistoryVisibility", {
  values: {
    WORLD_READABLE: { value: "world_readable" },
    SHARED: { value: "shared" },
    INVITED: { value: "invited" },
    JOINED: { value: "joined" },
  } as const,
});
export const PresenceState = builder.enumType("PresenceState", { values: ["ONLINE", "IDLE", "OFFLINE"] as const });
export const MarkerKind = builder.enumType("MarkerKind", {
  values: { DELIVERED: { value: "delivered" }, READ: { value: "read" } } as const,
});
export const CallState = builder.enumType("CallState", { values: callStates });
export const CallEndReason = builder.enumType("CallEndReason", { values: callEndReasons });
