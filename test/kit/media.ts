import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "./client.ts";

export interface RestAnswer {
  status: number;
  body: Record<string, unknown>;
  headers: Headers;
}

/** Asks the REST API as a client; gives what it answers in JSON. */
export async function rest(client: Client, path: string, init: RequestInit = {}): Promise<RestAnswer> {
  const response = await fetch(client.address + path, {
    ...init,
    headers: { ...(client.token === null ? {} : { authorization: `Bearer ${client.token}` }), ...init.headers },
  });
  const text = await response.text();
  const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, body, headers: response.headers };
}

interface Claims {
  type?: string;
  name?: string;
}

/** Uploads bytes; gives the whole answer. */
export function tryUpload(
  client: Client,
  bytes: BodyInit | Uint8Array,
  { type, name }: Claims = {},
): Promise<RestAnswer> {
  const query = name === undefined ? "" : `?filename=${encodeURIComponent(name)}`;
  const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
  const init = { method: "POST", body: bytes as BodyInit, headers, duplex: "half" } as RequestInit;
  return rest(client, `/_matrix/media/v3/upload${query}`, init);
}

/** Uploads bytes; gives their URI. */
export async function upload(client: Client, bytes: BodyInit | Uint8Array, claims: Claims = {}): Promise<string> {
  const { status, body } = await tryUpload(client, bytes, claims);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body["content_uri"] as string;
}

/** The server and the id of a URI, as paths have them. */
export function pathOf(mxc: string): string {
  return mxc.replace(/^mxc:\/\//, "");
}

/** Downloads a file without a token. */
export function download(client: Client, mxc: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${client.address}/_matrix/media/v3/download/${pathOf(mxc)}`, { headers });
}

export async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The files below a server's data directory, by what they are: spooled ones, contents, thumbnails. */
export async function filesIn(dataDir: string, kind: "spool" | "files" | "thumbnails"): Promise<string[]> {
  const entries = await readdir(join(dataDir, "media", kind), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The beginning of a raw upload. */
export function uploadHead(client: Client, headers: Record<string, string | number>): string {
  const lines = Object.entries({ Host: "localhost", Authorization: `Bearer ${client.token}`, ...headers });
  return `POST /_matrix/media/v3/upload HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}
