import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { demandSelf } from "../../../domain/ownOrAnyones.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group } from "./common.ts";
import { filterById, filterId, olderFilter, wishOf } from "./olderFilter.ts";

/** Filters by id. [FIL-1] */
export function filterRoutes(domain: Domain): (routes: Routes) => void {
  const shared = { group: group.data, access: "user" } as const;
  return (routes) => {
    routes.call({
      ...{ method: "POST", paths: clientPaths("/user/:userId/filter"), ...shared, body: olderFilter },
      ...{ summary: "Gives a filter an id, for oneself.", answer: z.object({ filter_id: z.string() }) },
      handle({ requester, params, body }) {
        demandSelf(requester, params["userId"]);
        wishOf(domain, body);
        return { filter_id: filterId(domain, requester.userId, body) };
      },
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths("/user/:userId/filter/:filterId"), ...shared, answer: olderFilter },
      summary: "The filter behind an id.",
      handle({ requester, params }) {
        demandSelf(requester, params["userId"]);
        return filterById(domain, requester.userId, params["filterId"]!);
      },
    });
  };
}
