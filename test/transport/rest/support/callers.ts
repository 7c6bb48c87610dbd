import { randomBytes } from "node:crypto";
import type { TestApp } from "../../../kit/app.ts";

export interface Answered {
  status: number;
  body: Record<string, unknown>;
}

/** What a call says besides its path. */
export interface Said {
  method?: string;
  body?: unknown;
  query?: Record<string, string>;
  /** Without a slash at the end. */
  prefix?: string;
}

/** Somebody who calls the client API by a token, shown as a header or in the address in turn; null: without one. */
export class Caller {
  readonly #address: string;
  readonly token: string | null;
  readonly #query: Record<string, string>;
  #calls = 0;

  constructor(address: string, token: string | null, query: Record<string, string> = {}) {
    this.#address = address;
    this.token = token;
    this.#query = query;
  }

  /** The same token for another user. */
  as(userId: string): Caller {
    return new Caller(this.#address, this.token, { user_id: userId });
  }

  async call(path: string, { method, body, query = {}, prefix = "/_matrix/client/v3" }: Said = {}): Promise<Answered> {
    const inHeader = this.#calls++ % 2 === 0;
    const search = new URLSearchParams({ ...this.#query, ...query });
    if (this.token !== null && !inHeader) search.set("access_token", this.token);
    const response = await fetch(
      `${this.#address}${prefix}${path}${search.size === 0 ? "" : `?${search.toString()}`}`,
      {
        method: method ?? (body === undefined ? "GET" : "POST"),
        headers: this.token !== null && inHeader ? { authorization: `Bearer ${this.token}` } : {},
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      },
    );
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  get(path: string, query: Record<string, string> = {}): Promise<Answered> {
    return this.call(path, { query });
  }

  put(path: string, body: unknown, said: Said = {}): Promise<Answered> {
    return this.call(path, { ...said, method: "PUT", body });
  }

  post(path: string, body: unknown, said: Said = {}): Promise<Answered> {
    return this.call(path, { ...said, method: "POST", body });
  }

  delete(path: string): Promise<Answered> {
    return this.call(path, { method: "DELETE" });
  }
}

/** An application service that was registered by a file, and by nobody can be called. */
export interface Service {
  id: string;
  asToken: string;
  /** Who calls as the service's own user. */
  caller: Caller;
}

export interface Namespaces {
  users?: object[];
  aliases?: object[];
  rooms?: object[];
}

/** Registers application services by files, which are all that hold then. */
export async function registerServices(
  { app, address }: TestApp,
  services: Record<string, Namespaces>,
): Promise<Service[]> {
  const files = Object.entries(services).map(([id, namespaces]) => ({
    name: `${id}.yaml`,
    content: {
      ...{ id, url: null, sender_localpart: `${id}-bot`, namespaces },
      ...{ as_token: randomBytes(16).toString("hex"), hs_token: randomBytes(16).toString("hex") },
    },
  }));
  await app.domain.services.registrations.takeFiles(files);
  return files.map(({ content: { id, as_token: asToken } }) => ({
    ...{ id, asToken },
    caller: new Caller(address, asToken),
  }));
}
