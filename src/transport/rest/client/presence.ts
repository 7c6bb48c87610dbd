import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { demandSelf } from "../../../domain/ownOrAnyones.ts";
import { presenceFor, setDevicePresence } from "../../../domain/live/devicePresence.ts";
import type { PresenceShape } from "../../../model/presence.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group, nothing } from "./common.ts";

const words = { ONLINE: "online", IDLE: "unavailable", OFFLINE: "offline" } as const;
/** What devices say, by the words of this API. */
export const presenceStates = { online: "ONLINE", unavailable: "IDLE", offline: "OFFLINE" } as const;

/** Presence in the words of this API. */
const presenceKeys = {
  presence: z.enum(["online", "unavailable", "offline"]),
  status_msg: z.string().optional(),
  last_active_ago: z.number().optional().meta({ description: "Milliseconds." }),
  currently_active: z.boolean().optional(),
};

/** A user's presence in the words of this API. */
export function presenceJson({ state, status, lastActiveAt }: PresenceShape, now: number) {
  return {
    presence: words[state],
    ...(status === null ? {} : { status_msg: status }),
    ...(lastActiveAt === null ? {} : { last_active_ago: Math.max(0, now - lastActiveAt.getTime()) }),
    ...(state === "OFFLINE" ? {} : { currently_active: state === "ONLINE" }),
  };
}

/** Who is there. [PRE] */
export function presenceRoutes(domain: Domain): (routes: Routes) => void {
  const shared = { paths: clientPaths("/presence/:userId/status"), group: group.users, access: "user" } as const;
  return (routes) => {
    routes.call({
      ...{ method: "GET", ...shared, summary: "The presence of a user whom one shares a room with." },
      answer: z.object(presenceKeys),
      async handle({ requester, params }) {
        return presenceJson(await presenceFor(domain, requester, params["userId"]!), domain.tools.clock.now());
      },
    });
    routes.call({
      ...{ method: "PUT", ...shared },
      summary:
        "Sets one's own presence, for as long as the device is in use; what an application service sets for a user holds for a minute, and is renewed by what it does as them.",
      body: z.looseObject({ presence: z.enum(["online", "unavailable", "offline"]), status_msg: z.string().nullish() }),
      answer: nothing,
      async handle({ requester, params, body }) {
        demandSelf(requester, params["userId"]);
        await setDevicePresence(domain, requester, {
          presence: presenceStates[body.presence],
          status: body.status_msg,
        });
        return {};
      },
    });
  };
}
