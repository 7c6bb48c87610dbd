import type { LiveSession } from "../model/session.ts";
import { builder } from "../schema/builder.ts";
import { PresenceState } from "../schema/enums.ts";
import { Session } from "../schema/session.ts";
import { domainOf, signedIn } from "./context.ts";

const StartSessionInput = builder.inputType("StartSessionInput", {
  fields: (t) => ({ presence: t.field({ type: PresenceState, description: "What the device begins as." }) }),
});
const StartSessionPayload = builder.objectRef<LiveSession>("StartSessionPayload").implement({
  fields: (t) => ({ session: t.field({ type: Session, resolve: (session) => session }) }),
});
const EndSessionPayload = builder.objectRef<{ sessionId: string | null }>("EndSessionPayload").implement({
  fields: (t) => ({
    sessionId: t.exposeID("sessionId", {
      nullable: true,
      description: "The session that ended; null if there was none.",
    }),
  }),
});

builder.mutationFields((t) => ({
  startSession: t.field({
    type: StartSessionPayload,
    nullable: true,
    description: "Gives the active session, which any request begins if there is none. [SES-1]",
    args: { input: t.arg({ type: StartSessionInput, required: true }) },
    async resolve(_root, { input }, context) {
      const { sessions } = domainOf(context);
      const requester = signedIn(context);
      // An earlier mutation of the same document may have ended it.
      const { session } = await sessions.request(requester, null);
      if (input.presence) sessions.say(requester, { presence: input.presence });
      return session;
    },
  }),
  endSession: t.field({
    type: EndSessionPayload,
    nullable: true,
    description: "Ends the session of this device: its typing, its presence and its calls with it. [SES-1, SES-3]",
    resolve: async (_root, _args, context) => ({ sessionId: await domainOf(context).sessions.end(signedIn(context)) }),
  }),
}));
