import { z } from "zod";
import { setMarker } from "../../../domain/actions/setMarker.ts";
import type { Domain } from "../../../domain/domain.ts";
import { HearthError, badInput } from "../../../model/errors.ts";
import type { Requester } from "../../../model/requester.ts";
import { clientPaths, type AddRoutes } from "../routes.ts";
import { nothing } from "./common.ts";
import { forbidding, roomGroup } from "./roomCalls.ts";

/** Milliseconds that typing lasts unless somebody says so, and at most. */
const usualTyping = 30_000;
const longestTyping = 120_000;

const typingBody = z.object({
  typing: z.boolean(),
  timeout: z.number().optional().describe("Milliseconds after which it ends by itself."),
});
const readMarkers = z.object({
  "m.read": z.string().nullish(),
  "m.read.private": z.string().nullish(),
  "m.fully_read": z.string().nullish().describe("Counts as read by the user alone."),
});
type ReceiptType = keyof z.output<typeof readMarkers>;

/** Whether others see the marker. */
const privacy: Readonly<Record<ReceiptType, boolean>> = {
  "m.read": false,
  "m.read.private": true,
  "m.fully_read": true,
};

/** Who is typing, and up to where somebody has read. [AS-13] */
export function liveRoutes(domain: Domain): AddRoutes {
  const common = { group: roomGroup.live, access: "user", answer: nothing } as const;

  async function mark(requester: Requester, roomId: string, type: ReceiptType, eventId: string): Promise<void> {
    const input = { roomId, eventId, kind: "read", private: privacy[type] };
    await forbidding(setMarker(domain.tools, requester, input));
  }

  return (routes) => {
    routes.call({
      ...{ ...common, method: "PUT", paths: clientPaths("/rooms/:roomId/typing/:userId"), body: typingBody },
      summary: "Tells that a user is typing, or isn't any more.",
      async handle({ requester, params: { roomId = "", userId }, body: { typing, timeout = usualTyping } }) {
        if (userId !== requester.userId) throw new HearthError("FORBIDDEN", "Users type for themselves alone.");
        const timeoutMs = Math.min(Math.max(1, timeout), longestTyping);
        await forbidding(domain.typing.set(requester, { roomId, typing, timeoutMs }));
        return {};
      },
    });

    routes.call({
      ...{ ...common, method: "POST", paths: clientPaths("/rooms/:roomId/receipt/:type/:eventId") },
      summary: "Tells that a user has read up to an event.",
      async handle({ requester, params: { roomId = "", type = "", eventId = "" } }) {
        if (!Object.hasOwn(privacy, type)) throw badInput("type", `is none of ${Object.keys(privacy).join(", ")}`);
        await mark(requester, roomId, type as ReceiptType, eventId);
        return {};
      },
    });

    routes.call({
      ...{ ...common, method: "POST", paths: clientPaths("/rooms/:roomId/read_markers"), body: readMarkers },
      summary: "Tells up to where a user has read.",
      async handle({ requester, params: { roomId = "" }, body }) {
        for (const type of Object.keys(privacy) as ReceiptType[]) {
          const eventId = body[type];
          if (eventId) await mark(requester, roomId, type, eventId);
        }
        return {};
      },
    });
  };
}
