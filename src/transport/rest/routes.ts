import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import type { z } from "zod";
import type { Requester } from "../../model/requester.ts";
import type { Served } from "../watch.ts";
import { RestError } from "./errors.ts";

/** What handlers see of a request besides what it says: Node's own request and answer, and its place in this server. */
export interface RestEnvironment {
  Bindings: HttpBindings & RestPlace;
}
export interface RestPlace {
  requestId: string;
  /** Where the request came from, if that can be told. */
  address: string | null;
  /** Lets the request take so many milliseconds to come, if that is longer than others may. */
  allow(ms: number): void;
  served: Served;
}
export type RestContext = Context<RestEnvironment>;
export type Handler = (context: RestContext) => Response | Promise<Response>;
type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Whom a call answers: anybody, who shows a user's or a service's token, an application service as itself. */
export interface Callers {
  open: null;
  user: Requester;
  service: { serviceId: string };
}

/** What a handler of a call is given; everything in it was checked. */
export interface Call<Access extends keyof Callers, Query, Body> {
  requester: Callers[Access];
  /** Of the path, percent-decoded, by name. */
  params: Record<string, string>;
  query: Query;
  body: Body;
  context: RestContext;
}

/** What the OpenAPI document says of a call. [AS-13] */
export interface Documented {
  method: Method;
  /** In Hono's form; the first is the one that is documented. */
  paths: string | readonly string[];
  /** One sentence. */
  summary: string;
  /** The group that it is documented in. */
  group: string;
  access: keyof Callers;
  /** Parameters after the question mark. */
  query?: z.ZodType;
  /** JSON, or bytes of any type. */
  body?: z.ZodType | "bytes";
  answer: z.ZodType | "bytes";
}

/** A call that takes and gives JSON: what the server does, and what the OpenAPI document says. [AS-13] */
export interface CallDefinition<
  Access extends keyof Callers,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> extends Documented {
  access: Access;
  /** It takes nobody's room: it waits on purpose until there is something to tell, or tells how the server is. */
  uncounted?: true;
  /** Unknown ones are let pass. */
  query?: Query;
  /** Without it the body isn't read. */
  body?: Body;
  answer: Answer;
  handle(call: Call<Access, z.output<Query>, z.output<Body>>): Promise<z.input<Answer>> | z.input<Answer>;
}
export type AnyCall = CallDefinition<keyof Callers, z.ZodType, z.ZodType, z.ZodType>;

/** What files with routes add them to. */
export interface Routes {
  /**
   * Answers a method at some paths, which are in Hono's form: `/rooms/:roomId`, `/:version{v3|r0}/config`, a last
   * `/:part?`. Parameters come percent-decoded. A path holds with and without a trailing slash; GET stands for HEAD, too;
   * other methods at the same paths are refused with 405. Paths have to begin with one of `prefixes`. With `said` it is
   * documented.
   */
  on(
    method: Method,
    paths: string | readonly string[],
    handler: Handler,
    said?: Omit<Documented, "method" | "paths">,
  ): void;
  /** Answers calls that take and give JSON, and documents them. */
  call<
    Access extends keyof Callers,
    Answer extends z.ZodType,
    Query extends z.ZodType = z.ZodUndefined,
    Body extends z.ZodType = z.ZodUndefined,
  >(
    definition: CallDefinition<Access, Query, Body, Answer>,
  ): void;
}
export type AddRoutes = (routes: Routes) => void;

/** What lies between requests and what answers them. */
export interface Answering {
  /** Finds out who calls, checks what they say, and answers. */
  call(definition: AnyCall, context: RestContext): Promise<Response>;
  /** Counts a request that no call is for; throws `RATE_LIMITED` for too many. */
  count(context: RestContext): void;
}

/**
 * Adds routes to an application, and after them what answers the methods that their paths don't have. Gives those that are
 * documented, in the order of adding.
 */
export function addRoutes(
  app: Hono<RestEnvironment>,
  adders: readonly AddRoutes[],
  answering: Answering,
): Documented[] {
  const counting =
    (handler: Handler): Handler =>
    (context) => {
      answering.count(context);
      return handler(context);
    };
  const known = new Set<string>();
  const calls: Documented[] = [];
  const routes: Routes = {
    on(method, paths, handler, said) {
      if (said !== undefined) calls.push({ method, paths, ...said });
      const list = typeof paths === "string" ? [paths] : [...paths];
      // Who is signed in is counted when that is found out.
      const counted = said?.access === "user" ? handler : counting(handler);
      app.on(method, list, counted);
      list.forEach((path) => known.add(path));
    },
    call(definition) {
      const call = definition as unknown as AnyCall;
      calls.push(call);
      const list = typeof call.paths === "string" ? [call.paths] : [...call.paths];
      app.on(call.method, list, (context) => answering.call(call, context));
      list.forEach((path) => known.add(path));
    },
  };
  adders.forEach((add) => add(routes));
  for (const path of known) {
    app.all(path, (context) => {
      answering.count(context);
      throw new RestError(405, "M_UNRECOGNIZED", "This method isn't for this path.");
    });
  }
  return calls;
}

const versions = "/_matrix/client/:version{v3|r0|v1|v2_alpha|unstable}";

/** A path of the client API below each of its prefixes; the first of them is documented as v3. [AS-13] */
export function clientPaths(path: string): string[] {
  return [`${versions}${path}`, `/_matrix/client/api/v1${path}`];
}
