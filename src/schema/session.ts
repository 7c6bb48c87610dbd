import type { LiveSession } from "../model/session.ts";
import { builder } from "./builder.ts";

export const Session = builder.objectRef<LiveSession>("Session").implement({
  description: "A device that is in use: from its first request on, until it makes none for a while. [SES-1]",
  fields: (t) => ({
    id: t.exposeID("sessionId"),
    startedAt: t.field({ type: "DateTime", resolve: ({ startedAt }) => startedAt }),
    expiresAt: t.field({
      type: "DateTime",
      description: "When it ends at the latest, unless there are further requests.",
      resolve: ({ expiresAt }) => expiresAt,
    }),
  }),
});
