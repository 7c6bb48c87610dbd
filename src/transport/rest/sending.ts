import { Readable } from "node:stream";
import { HearthError } from "../../model/errors.ts";
import { endStalled } from "../patience.ts";
import { RestError } from "./errors.ts";
import type { RestContext } from "./routes.ts";

/** Milliseconds in which clients have to take something. */
const stalledMs = 60_000;

/** Bytes that never change, under an address. */
export interface Sent {
  size: number;
  /** Names the bytes: a hash. */
  tag: string;
  headers: Record<string, string>;
  read(range: { from: number; to: number } | null): Promise<Readable>;
}

/**
 * Answers with bytes as they are asked for: all, a range, nothing where the client has them, the headers alone for HEAD.
 * Several ranges at once are answered by all.
 */
export async function sendBytes(context: RestContext, { size, tag, headers, read }: Sent): Promise<Response> {
  const etag = `"${tag}"`;
  const common = { ...headers, ETag: etag, "Accept-Ranges": "bytes" };
  if (names(context.req.header("if-none-match"), etag)) return new Response(null, { status: 304, headers: common });
  const ifRange = context.req.header("if-range");
  const asked = ifRange === undefined || ifRange === etag ? rangeOf(context.req.header("range"), size) : null;
  if (asked === "unsatisfiable") {
    const refused = { errcode: "M_UNKNOWN", error: "There are no such bytes in the file." };
    return Response.json(refused, { status: 416, headers: { "Content-Range": `bytes */${size}` } });
  }
  const length = asked === null ? size : asked.to - asked.from + 1;
  const all = {
    ...{ ...common, "Content-Length": String(length) },
    ...(asked === null ? {} : { "Content-Range": `bytes ${asked.from}-${asked.to}/${size}` }),
  };
  const status = asked === null ? 200 : 206;
  if (context.req.method === "HEAD" || length === 0) return new Response(null, { status, headers: all });
  return new Response(streamOf(context, await read(asked)), { status, headers: all });
}

/** Bytes as a body that its client has to take: whoever takes nothing for a minute is let go of. */
export function streamOf({ env: { outgoing } }: RestContext, bytes: Readable): ReadableStream {
  endStalled(outgoing, stalledMs);
  return Readable.toWeb(bytes) as ReadableStream;
}

/** Whether `If-None-Match` names the tag; weakly, as it is compared there. */
function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(",").map((each) => each.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(etag);
}

/** The one range that is asked for; null for all, which stands for whatever isn't one range of bytes, too. */
function rangeOf(header: string | undefined, size: number): { from: number; to: number } | "unsatisfiable" | null {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return null;
  if (first === "")
    return last === "0" || size === 0 ? "unsatisfiable" : { from: Math.max(0, size - Number(last)), to: size - 1 };
  const from = Number(first);
  if (last !== "" && Number(last) < from) return null;
  if (from >= size) return "unsatisfiable";
  return { from, to: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
}

/** Errors of the domain by other names, where the Matrix API has some of their own for them. */
export async function renaming<T>(
  names: Readonly<Record<string, readonly [status: number, errcode: string]>>,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const renamed = error instanceof HearthError ? names[error.code] : undefined;
    throw renamed === undefined ? error : new RestError(...renamed, (error as HearthError).message);
  }
}
