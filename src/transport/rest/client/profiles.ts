import { z } from "zod";
import { setProfile } from "../../../domain/actions/setProfile.ts";
import type { Domain } from "../../../domain/domain.ts";
import { demandSelf } from "../../../domain/ownOrAnyones.ts";
import { profileOf } from "../../../domain/reading/people.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group, nothing } from "./common.ts";

const keys = ["displayname", "avatar_url"] as const;
const profile = z.looseObject({ displayname: z.unknown().optional(), avatar_url: z.unknown().optional() });

/** Global profiles. [PRO-1] */
export function profileRoutes(domain: Domain): (routes: Routes) => void {
  const { tools, reading, profileSpread } = domain;

  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: clientPaths("/profile/:userId"), group: group.users, access: "user" },
      ...{ summary: "A user's profile.", answer: profile },
      handle: ({ params }) => profileOf(reading, params["userId"]!),
    });
    for (const key of keys) {
      const shared = { paths: clientPaths(`/profile/:userId/${key}`), group: group.users, access: "user" } as const;
      routes.call({
        ...{ method: "GET", ...shared, summary: `The \`${key}\` of a user, if they have one.` },
        answer: z.object({ [key]: z.unknown().optional() }),
        async handle({ params }) {
          const value = (await profileOf(reading, params["userId"]!))[key];
          return value === undefined ? {} : { [key]: value };
        },
      });
      routes.call({
        ...{ method: "PUT", ...shared, summary: `Sets one's own \`${key}\`; null or an empty text removes it.` },
        ...{ body: z.looseObject({ [key]: z.string().nullish() }), answer: nothing },
        async handle({ requester, params, body }) {
          demandSelf(requester, params["userId"]);
          await setProfile(tools, requester, { key, value: body[key] || null }, profileSpread);
          return {};
        },
      });
    }
  };
}
