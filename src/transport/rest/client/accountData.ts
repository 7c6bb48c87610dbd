import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { demandSelf } from "../../../domain/ownOrAnyones.ts";
import { jsonObject } from "../../../model/check.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group, nothing } from "./common.ts";

const content = z.looseObject({});

/** What clients keep for their own user, and tags of rooms. */
export function accountDataRoutes(domain: Domain): (routes: Routes) => void {
  const { accountData } = domain;
  const shared = { group: group.data, access: "user" } as const;

  return (routes) => {
    for (const [where, what] of [
      ["", "of no room"],
      ["/rooms/:roomId", "of a room"],
    ] as const) {
      const paths = clientPaths(`/user/:userId${where}/account_data/:type`);
      routes.call({
        ...{ method: "GET", paths, ...shared, answer: content },
        summary: `What is kept ${what} under a name.`,
        handle({ requester, params }) {
          demandSelf(requester, params["userId"]);
          return accountData.get(requester, params["roomId"] ?? null, params["type"]!);
        },
      });
      routes.call({
        ...{ method: "PUT", paths, ...shared, body: jsonObject, answer: nothing },
        summary: `Keeps something ${what} under a name, for oneself alone.`,
        async handle({ requester, params, body }) {
          demandSelf(requester, params["userId"]);
          const entry = { roomId: params["roomId"] ?? null, type: params["type"]!, content: body };
          await accountData.set(requester, entry);
          return {};
        },
      });
    }

    const tags = clientPaths("/user/:userId/rooms/:roomId/tags");
    routes.call({
      ...{ method: "GET", paths: tags, ...shared, summary: "One's tags of a room." },
      answer: z.object({ tags: z.record(z.string(), content) }),
      async handle({ requester, params }) {
        demandSelf(requester, params["userId"]);
        return {
          tags: (await accountData.tags(requester, params["roomId"]!)) as Record<string, Record<string, unknown>>,
        };
      },
    });
    const tag = clientPaths("/user/:userId/rooms/:roomId/tags/:tag");
    routes.call({
      ...{ method: "PUT", paths: tag, ...shared, body: jsonObject, answer: nothing },
      summary: "Tags a room, for oneself alone.",
      async handle({ requester, params, body }) {
        demandSelf(requester, params["userId"]);
        await accountData.tag(requester, params["roomId"]!, params["tag"]!, body);
        return {};
      },
    });
    routes.call({
      ...{ method: "DELETE", paths: tag, ...shared, answer: nothing, summary: "Takes a tag from a room." },
      async handle({ requester, params }) {
        demandSelf(requester, params["userId"]);
        await accountData.tag(requester, params["roomId"]!, params["tag"]!, null);
        return {};
      },
    });
  };
}
