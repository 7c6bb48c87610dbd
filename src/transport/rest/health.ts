import { z } from "zod";
import type { Readiness } from "../../domain/readiness.ts";
import { group } from "./client/common.ts";
import type { Routes } from "./routes.ts";

const hindrance = z.enum(["closing", "store", "stream"]);
const readyAnswer = z.object({ status: z.enum(["ready", "not ready"]), failing: z.array(hindrance) });

/** For supervisors and proxies: whether the process lives, and whether requests are to be sent to it. */
export function healthRoutes(readiness: Readiness): (routes: Routes) => void {
  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: "/health", group: group.server, access: "open", uncounted: true },
      summary: "Tells that the process lives, whatever becomes of its store.",
      answer: z.object({ status: z.literal("ok") }),
      handle: () => ({ status: "ok" as const }),
    });
    routes.on(
      "GET",
      "/ready",
      async (context) => {
        const failing = await readiness.hindrances();
        // Nobody between may answer with what held a moment ago.
        context.header("Cache-Control", "no-store");
        const ready = failing.length === 0;
        return context.json({ status: ready ? "ready" : "not ready", failing }, ready ? 200 : 503);
      },
      {
        ...{ group: group.server, access: "open" },
        summary: "Tells whether the server can serve; with status 503, what keeps it from it.",
        answer: readyAnswer,
      },
    );
  };
}
