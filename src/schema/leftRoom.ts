import type { StoredEvent } from "../model/event.ts";
import { builder } from "./builder.ts";
import { StateEvent } from "./refs.ts";

/** A room that the viewer isn't in any more, with the event that ended it. [SYN-2] */
export const LeftRoom = builder.objectRef<{ roomId: string; event: StoredEvent | null }>("LeftRoom").implement({
  fields: (t) => ({
    roomId: t.exposeID("roomId"),
    event: t.field({ type: StateEvent, nullable: true, resolve: ({ event }) => event }),
  }),
});
