import type { Domain } from "../domain/domain.ts";
import type { Origin } from "../domain/accounts.ts";
import type { RoomAccess } from "../domain/reading/views.ts";
import { HearthError } from "../model/errors.ts";
import { actedFrom, type StoredEvent } from "../model/event.ts";
import { Pace } from "../model/pace.ts";
import type { Requester } from "../model/requester.ts";
import type { ServerShape } from "../model/server.ts";
import type { Context } from "../schema/context.ts";
import { batching, type Batched } from "./batching.ts";
import { createLoaders, type RequestLoaders } from "./loaders.ts";
import { syncLoaders, type SyncLoaders } from "./syncLoaders.ts";

/**
 * The context that root fields see: the types' part, and the domain. Loaders are made when they are first used: streams
 * by the thousand hold a context each and hardly ever load.
 */
class ResolverContext implements Context {
  readonly domain: Domain;
  readonly server: ServerShape;
  readonly requestId: string;
  readonly origin: Origin;
  readonly freshSession: string | null;
  #requester: Requester | null;
  /** Subscriptions outlive their loaders' memory, so they batch without remembering. */
  #remember: boolean;
  #load: RequestLoaders | null = null;
  #sync: SyncLoaders | null = null;
  #pace: Pace | null = null;

  constructor(domain: Domain, { requester, requestId, origin, live, freshSession = null }: ContextRequest) {
    this.domain = domain;
    this.server = domain.server;
    this.requestId = requestId;
    this.origin = origin;
    this.freshSession = freshSession;
    this.#requester = requester;
    this.#remember = !live;
  }

  get requester(): Requester | null {
    return this.#requester;
  }

  set requester(requester: Requester | null) {
    this.#requester = requester;
  }

  acted(event: StoredEvent): boolean {
    return this.#requester !== null && actedFrom(event, this.#requester);
  }

  get pace(): Pace {
    return (this.#pace ??= new Pace());
  }

  get load(): RequestLoaders {
    if (this.#load === null) {
      const { requester } = this;
      this.#load = createLoaders(this.domain, () => demanded(requester), this.#batched());
    }
    return this.#load;
  }

  get sync(): SyncLoaders {
    return (this.#sync ??= syncLoaders(this.domain, this.#batched()));
  }

  loadAnew(): void {
    this.#remember = true;
    this.#load = null;
  }

  #batched(): Batched {
    return batching(this.pace, { remember: this.#remember });
  }
}

interface ContextRequest {
  requester: Requester | null;
  requestId: string;
  origin: Origin;
  live: boolean;
  freshSession?: string | null;
}

/** A context for one operation. */
export function createContext(domain: Domain, request: ContextRequest): Context {
  return new ResolverContext(domain, request);
}

/** The viewer of whatever needs one; who isn't signed in gets no further than the root fields. */
function demanded(requester: Requester | null): Requester {
  if (requester === null) throw new HearthError("UNAUTHENTICATED", "This needs an access token.");
  return requester;
}

/** Thrown where something that is rendered once for many turns out to depend on who looks. */
class ViewerNeeded extends Error {
  constructor() {
    super("This can't be rendered without a viewer.");
  }
}

class SharedContext extends ResolverContext {
  override get requester(): never {
    throw new ViewerNeeded();
  }

  /** Those who did act don't take part. */
  override acted(): boolean {
    return false;
  }

  override get load(): RequestLoaders {
    return (this.#shared ??= createLoaders(this.domain, () => this.requester, batching(this.pace, { remember: true })));
  }

  #shared: RequestLoaders | null = null;

  override loadAnew(): void {}
}

/**
 * A context for what is rendered once for many, which is nobody's: whatever asks for the viewer throws `ViewerNeeded`.
 * It remembers what it loads, so it is for the events of one turn and no longer.
 */
export function createSharedContext(domain: Domain): Context {
  return new SharedContext(domain, {
    requester: null,
    requestId: "shared",
    origin: { ip: null, userAgent: null },
    live: false,
  });
}

/** Forgets what was loaded: what follows sees what was changed, as the requester of now. */
export function loadAnew(context: Context): void {
  (context as ResolverContext).loadAnew();
}

/** Takes what is known already of the requester's access to a room, so that nothing of the request reads it again. */
export function knowRoom(context: Context, access: RoomAccess): void {
  (context as ResolverContext).load.know(access);
}

/** The domain behind a context. */
export function domainOf(context: Context): Domain {
  return (context as ResolverContext).domain;
}

/** Where the request came from. */
export function originOf(context: Context): Origin {
  return (context as ResolverContext).origin;
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
