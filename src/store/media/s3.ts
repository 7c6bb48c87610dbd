import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { HearthError } from "../../model/errors.ts";
import type { Clock, Fetch, Log } from "../../model/ports.ts";
import type { Blobs } from "./blobs.ts";
import { privateDirectory, writeFailure } from "./disk.ts";
import type { Spool } from "./spool.ts";

/** A bucket of an S3-compatible store. */
export interface S3Settings {
  /** e.g. https://s3.eu-central-1.amazonaws.com: the bucket goes into the path. */
  endpoint: string;
  bucket: string;
  region: string;
  accessKey: string;
  secretKey: string;
}

export interface S3Options {
  settings: S3Settings;
  fetch: Fetch;
  clock: Clock;
  log: Log;
  /** For bytes that have to be a file. */
  spool: Spool;
  /** Milliseconds before each further try. */
  retryAfterMs?: readonly number[];
}

interface Asked {
  method: "GET" | "PUT" | "DELETE";
  place: string;
  headers?: Record<string, string>;
  /** Made anew for each try. */
  body?: () => Readable;
  /** Milliseconds until the answer begins. */
  timeoutMs: number;
}

const timeoutMs = 30_000;
/** A large file over a slow line. Far below what the domain waits before it takes bytes for abandoned. */
const putMs = 10 * 60_000;
/** The SHA-256 of nothing. */
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/**
 * Bytes as objects of a bucket. The hash of what is put is signed, so that stores that look at it refuse other bytes;
 * an object is there when all of it is. What fails for the moment is tried again, and then `OVERLOADED`.
 */
export function createS3({ settings, fetch, clock, log, spool, retryAfterMs = [200, 1000] }: S3Options): Blobs {
  const { endpoint, bucket, region, accessKey: accessKeyId, secretKey: secretAccessKey } = settings;
  const base = `${endpoint.replace(/\/+$/, "")}/${encodeURIComponent(bucket)}/media/`;

  async function tryOnce({ method, place, headers = {}, body, timeoutMs }: Asked): Promise<Response> {
    const signer = new AwsV4Signer({
      ...{ method, url: base + place, service: "s3", region, accessKeyId, secretAccessKey },
      headers: { "x-amz-content-sha256": emptyHash, ...headers },
      datetime: new Date(clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    });
    const signed = await signer.sign();
    const aborting = new AbortController();
    const timer = setTimeout(() => aborting.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const bytes = body?.();
    try {
      return await fetch(signed.url.href, {
        ...{ method, headers: signed.headers, redirect: "manual", signal: aborting.signal },
        ...(bytes === undefined ? {} : { body: Readable.toWeb(bytes) as ReadableStream, duplex: "half" }),
      } as RequestInit);
    } finally {
      clearTimeout(timer);
      bytes?.destroy();
    }
  }

  /** Answers with one of these states; null for 404. */
  async function ask(asked: Asked, states: readonly number[]): Promise<Response | null> {
    const about = { method: asked.method, place: asked.place };
    for (let tries = 0; ; tries++) {
      let problem: object;
      try {
        const response = await tryOnce(asked);
        if (states.includes(response.status)) return response;
        // What it says goes to the log: it may name keys.
        problem = { status: response.status, answer: (await response.text()).slice(0, 1000) };
        if (response.status === 404 && asked.method !== "PUT") return null;
        if (response.status < 500 && response.status !== 429) {
          throw new Error(`The S3 store refused: ${JSON.stringify({ ...about, ...problem })}`);
        }
      } catch (error) {
        if (error instanceof Error && error.message.startsWith("The S3 store refused")) throw error;
        problem = { error };
      }
      const wait = retryAfterMs[tries];
      log.warn({ ...about, ...problem, tries: tries + 1 }, "the S3 store failed");
      if (wait === undefined) {
        throw new HearthError("OVERLOADED", "The server's store of files doesn't answer: try again later.");
      }
      await sleep(wait);
    }
  }

  async function read(place: string, headers: Record<string, string>): Promise<Readable | null> {
    const state = "range" in headers ? 206 : 200;
    const response = await ask({ method: "GET", place, headers, timeoutMs }, [state]);
    if (response === null) return null;
    return response.body === null ? Readable.from([]) : Readable.fromWeb(response.body as never);
  }

  return {
    async put(place, { path, size, sha256 }) {
      const headers = { "x-amz-content-sha256": sha256, "content-length": String(size) };
      const body = size === 0 ? {} : { body: () => createReadStream(path) };
      const response = await ask({ method: "PUT", place, headers, ...body, timeoutMs: putMs }, [200]);
      await response?.body?.cancel();
    },

    read: (place, range) => read(place, range === null ? {} : { range: `bytes=${range.from}-${range.to}` }),

    async local(place) {
      const bytes = await read(place, {});
      if (bytes === null) return null;
      const path = spool.newPath();
      try {
        await mkdir(dirname(path), { recursive: true, mode: privateDirectory });
        await pipeline(bytes, createWriteStream(path));
      } catch (error) {
        await rm(path, { force: true });
        throw writeFailure(error);
      }
      return { path, release: () => rm(path, { force: true }) };
    },

    async remove(place) {
      const response = await ask({ method: "DELETE", place, timeoutMs }, [200, 204]);
      await response?.body?.cancel();
    },
  };
}
