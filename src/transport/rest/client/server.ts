import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { joinedRoomIds } from "../../../domain/reading/own.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group } from "./common.ts";

/** The versions of the API that clients may take for granted in what is served of it. */
const versions = [
  ...["r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1"],
  ...["v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11"],
];
/** What rooms here come closest to: events are named by the server, and rules are those of all stable versions. */
const roomVersion = "10";

const capabilities = z.looseObject({
  "m.room_versions": z.object({ default: z.string(), available: z.record(z.string(), z.string()) }),
});

/** What clients ask first: what the server can do, who they are, and where. */
export function serverRoutes(domain: Domain): (routes: Routes) => void {
  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: "/_matrix/client/versions", group: group.server, access: "open" },
      summary: "Tells the versions of the API that are served.",
      answer: z.object({ versions: z.array(z.string()), unstable_features: z.record(z.string(), z.boolean()) }),
      handle: () => ({ versions, unstable_features: {} }),
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths("/capabilities"), group: group.server, access: "user" },
      summary: "Tells what the server can do.",
      answer: z.object({ capabilities }),
      handle: () => ({
        capabilities: {
          "m.room_versions": { default: roomVersion, available: { [roomVersion]: "stable" } },
          "m.change_password": { enabled: false },
          "m.set_displayname": { enabled: true },
          "m.set_avatar_url": { enabled: true },
          "m.3pid_changes": { enabled: false },
        },
      }),
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths("/account/whoami"), group: group.accounts, access: "user" },
      summary: "Tells whom the access token stands for.",
      answer: z.object({ user_id: z.string(), device_id: z.string().optional(), is_guest: z.boolean() }),
      // What an application service acts on is no device of the user's.
      handle: ({ requester: { userId, deviceId, service } }) => ({
        ...{ user_id: userId, is_guest: false },
        ...(service === undefined ? { device_id: deviceId } : {}),
      }),
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths("/joined_rooms"), group: group.users, access: "user" },
      summary: "The rooms that the user is in.",
      answer: z.object({ joined_rooms: z.array(z.string()) }),
      handle: async ({ requester }) => ({ joined_rooms: await joinedRoomIds(domain.reading, requester) }),
    });
  };
}
