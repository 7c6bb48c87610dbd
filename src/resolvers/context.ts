import type { Domain } from "../domain/domain.ts";
import type { Origin } from "../domain/accounts.ts";
import { HearthError } from "../model/errors.ts";
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
}

/** A context for one operation. Subscriptions outlive their loaders' memory, so they batch without remembering. */
export function createContext(
  domain: Domain,
  request: { requester: Requester | null; requestId: string; origin: Origin; live: boolean },
): Context {
  const { requester, requestId, origin, live } = request;
  const pace = new Pace();
  const batched = batching(pace, { remember: !live });
  const load = createLoaders(domain, requester, batched);
  const sync = syncLoaders(domain, batched);
  const context: ResolverContext = { requester, requestId, origin, domain, server: domain.server, load, sync, pace };
  return context;
}

/** Forgets what was loaded: what follows sees what was changed, as the requester of now. */
export function loadAnew(context: Context): void {
  context.load = createLoaders(domainOf(context), context.requester, batching(context.pace, { remember: true }));
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
