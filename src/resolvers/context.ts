import type { Domain } from "../domain/domain.ts";
import type { Origin } from "../domain/accounts.ts";
import { HearthError } from "../model/errors.ts";
import { actedFrom } from "../model/event.ts";
import { Pace } from "../model/pace.ts";
import type { Requester } from "../model/requester.ts";
import type { Context } from "../schema/context.ts";
import { batching } from "./batching.ts";
import { createLoaders } from "./loaders.ts";
import { syncLoaders, type SyncLoaders } from "./syncLoaders.ts";

/** The context that root fields see: the types' part, and the domain. */
interface ResolverContext extends Context {
  domain: Domain;
  sync: SyncLoaders;
  origin: Origin;
  loadAnew(): void;
}

/** A context for one operation. Subscriptions outlive their loaders' memory, so they batch without remembering. */
export function createContext(
  domain: Domain,
  request: { requester: Requester | null; requestId: string; origin: Origin; live: boolean },
): Context {
  const { requester, requestId, origin, live } = request;
  const pace = new Pace();
  const batched = batching(pace, { remember: !live });
  const context: ResolverContext = {
    ...{ requester, requestId, origin, domain, server: domain.server, pace },
    acted(event) {
      return this.requester !== null && actedFrom(event, this.requester);
    },
    load: createLoaders(domain, () => demanded(requester), batched),
    sync: syncLoaders(domain, batched),
    loadAnew() {
      const { requester } = this;
      this.load = createLoaders(domain, () => demanded(requester), batching(pace, { remember: true }));
    },
  };
  return context;
}

/** The viewer of whatever needs one; who isn't signed in gets no further than the root fields. */
function demanded(requester: Requester | null): Requester {
  if (requester === null) throw new HearthError("UNAUTHENTICATED", "This needs an access token.");
  return requester;
}

/** Thrown where something that is rendered once for many turns out to depend on who looks. */
export class ViewerNeeded extends Error {
  constructor() {
    super("This can't be rendered without a viewer.");
  }
}

/**
 * A context for what is rendered once for many, which is nobody's: whatever asks for the viewer throws `ViewerNeeded`.
 * It remembers what it loads, so it is for the events of one turn and no longer.
 */
export function createSharedContext(domain: Domain): Context {
  const viewer = (): never => {
    throw new ViewerNeeded();
  };
  const pace = new Pace();
  const batched = batching(pace, { remember: true });
  const context: ResolverContext = {
    get requester() {
      return viewer();
    },
    // Those who did act don't take part.
    acted: () => false,
    requestId: "shared",
    ...{ origin: { ip: null, userAgent: null }, domain, server: domain.server, pace },
    load: createLoaders(domain, viewer, batched),
    sync: syncLoaders(domain, batched),
    loadAnew() {},
  };
  return context;
}

/** Forgets what was loaded: what follows sees what was changed, as the requester of now. */
export function loadAnew(context: Context): void {
  (context as ResolverContext).loadAnew();
}

/** The domain behind a context. */
export function domainOf(context: Context): Domain {
  return (context as ResolverContext).domain;
}

/** The loaders of the request's initial syncs. */
export function loadersOfSync(context: Context): SyncLoaders {
  return (context as ResolverContext).sync;
}

/** The signed-in requester, else `UNAUTHENTICATED`. */
export function signedIn(context: Context): Requester {
  if (context.requester === null) {
    throw new HearthError("UNAUTHENTICATED", "This needs an access token: log in, and send `Authorization: Bearer …`.");
  }
  return context.requester;
}
