import { check } from "../../model/check.ts";
import type { Domain } from "../../domain/domain.ts";
import type { Load } from "../load.ts";
import { countOpen, jsonOf, serviceOf, signedIn } from "./request.ts";
import type { Answering, AnyCall, Callers, RestContext } from "./routes.ts";

/** The one way in which calls are answered: who calls, what they say, and then what it is about. */
export function answeringCalls(domain: Domain, load: Load): Answering {
  async function callerOf({ access }: AnyCall, context: RestContext): Promise<Callers[keyof Callers]> {
    switch (access) {
      case "open":
        countOpen(domain, context);
        return null;
      case "user":
        return signedIn(domain, context);
      case "service":
        countOpen(domain, context);
        return serviceOf(domain, context);
    }
  }

  return {
    count: (context) => countOpen(domain, context),
    async call(definition, context) {
      const requester = await callerOf(definition, context);
      const query = definition.query && check(definition.query, context.req.query());
      const body = definition.body && (await jsonOf(context, definition.body));
      const handle = () => definition.handle({ requester, params: context.req.param(), query, body, context });
      const answer = await (definition.uncounted ? handle() : load.carry(handle));
      return context.json(answer as object);
    },
  };
}
