import type { AppService } from "../../model/appService.ts";
import type { Fetch } from "../../model/ports.ts";
import { exchange, OutgoingError } from "../outgoing.ts";

/** A call to an application service. [AS-13] */
export interface ServiceCall {
  method: "GET" | "PUT" | "POST";
  /** Below the prefix, encoded, such as `/transactions/7`. */
  path: string;
  /** The whole older path, where it isn't the same without the prefix. */
  olderPath?: string;
  /** Further parameters after the question mark. */
  query?: Record<string, string>;
  /** JSON. */
  body?: string;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** An answer of any status; `json` is undefined where it is none. */
export interface ServiceAnswer {
  status: number;
  json: unknown;
}

/** Calls application services, in today's form or the older one, whichever they answer. */
export interface ServiceClient {
  /** Throws `OutgoingError` where there is no answer. */
  call(service: AppService, call: ServiceCall): Promise<ServiceAnswer>;
}

/** The paths of today, and of the draft. */
type Prefix = "/_matrix/app/v1" | "";

export interface ServiceFetches {
  /** For services whose address the admin stored, or that the server trusts for another reason. */
  fetch: Fetch;
  /** Reaches public addresses only: for services that registered themselves where anybody may. */
  publicFetch: Fetch;
}

export function createServiceClient({ fetch, publicFetch }: ServiceFetches): ServiceClient {
  /** Which paths answered last, by service and address. */
  const prefixes = new Map<string, Prefix>();

  async function attempt(service: AppService, prefix: Prefix, call: ServiceCall): Promise<ServiceAnswer> {
    // Today's services look at the header, those of the draft at the parameter.
    const query = new URLSearchParams({ ...call.query, access_token: service.hsToken });
    const path = prefix === "" ? (call.olderPath ?? call.path) : prefix + call.path;
    const url = `${service.url}${path}?${query.toString()}`;
    const { method, body = null, timeoutMs, signal } = call;
    const outgoing = {
      url,
      method,
      token: service.hsToken,
      body,
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    };
    // What a push is answered with says nothing.
    const answer = await exchange(
      service.trusted ? fetch : publicFetch,
      outgoing,
      (status) => !(method === "PUT" && status === 200),
    );
    return { status: answer.status, json: jsonOf(answer.body) };
  }

  return {
    async call(service, call) {
      if (service.url === null) throw new OutgoingError("it has no address");
      const name = `${service.id} ${service.url}`;
      const known = prefixes.get(name);
      const first = await attempt(service, known ?? "/_matrix/app/v1", call);
      if (known !== undefined || !isUnknownPath(first)) {
        if (!isUnknownPath(first)) prefixes.set(name, known ?? "/_matrix/app/v1");
        else prefixes.delete(name);
        return first;
      }
      const older = await attempt(service, "", call);
      if (!isUnknownPath(older)) prefixes.set(name, "");
      return older;
    },
  };
}

/** Whether nobody is at home there: an answer that isn't the service's own, who would say why. */
function isUnknownPath({ status, json }: ServiceAnswer): boolean {
  if (status !== 404 && status !== 405) return false;
  return typeof (json as { errcode?: unknown } | null | undefined)?.errcode !== "string";
}

function jsonOf(text: string | null): unknown {
  try {
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
