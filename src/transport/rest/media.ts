import { Readable } from "node:stream";
import { z } from "zod";
import type { Domain } from "../../domain/domain.ts";
import { fileNameOf } from "../../domain/media/claims.ts";
import type { Upload } from "../../domain/media/media.ts";
import type { Mxc } from "../../model/media.ts";
import { contentHeaders } from "./contentHeaders.ts";
import { piecesOf, queryOf, signedIn } from "./request.ts";
import type { RestContext, Routes } from "./routes.ts";
import { renaming, sendBytes } from "./sending.ts";

/** The paths that anybody may read from, and the ones that need an access token. */
const open = "/_matrix/media/:version{v3|r0|v1}";
const authenticated = "/_matrix/client/v1/media";

const uploadQuery = z.object({ filename: z.string().optional() });
const waiting = {
  /** Milliseconds to wait for a file whose id was reserved. */
  timeout_ms: z.coerce.number().int().min(0).default(20_000),
};
const downloadQuery = z.object(waiting);
const pixels = z.coerce.number().int().min(1, "is not at least 1");
const thumbnailQuery = z.object({
  ...{ ...waiting, width: pixels, height: pixels },
  method: z.enum(["crop", "scale"]).default("scale"),
});
const maxWaitMs = 60_000;
/** A day, since a deleted file isn't to live on in caches for long. */
const caching = "immutable, max-age=86400";
/** How slowly a file may come: bytes in a millisecond. */
const slowest = 16;

/** The content repository's part of the Matrix API. [AS-14] */
export function mediaRoutes(domain: Domain): (routes: Routes) => void {
  const { media } = domain;

  async function upload(context: RestContext): Promise<string> {
    const requester = await signedIn(domain, context);
    const { filename = null } = queryOf(context, uploadQuery);
    const { req } = context;
    context.env.allow(60_000 + media.maxBytes / slowest);
    const given: Upload = {
      body: piecesOf(context),
      length: lengthOf(req.header("content-length")),
      contentType: req.header("content-type") ?? null,
      fileName: filename,
    };
    const [server, mediaId] = [req.param("server"), req.param("mediaId")];
    const reserved = server === undefined || mediaId === undefined ? undefined : { server, mediaId };
    return (await media.upload(requester, given, reserved)).mxc;
  }

  /** Waits for a file no longer than the client says, and than a server does. */
  function inTime<T>(
    { env: { outgoing } }: RestContext,
    timeoutMs: number,
    work: (waitMs: number, gone: () => boolean) => Promise<T>,
  ): Promise<T> {
    const working = work(Math.min(timeoutMs, maxWaitMs), () => outgoing.destroyed);
    return renaming({ TIMEOUT: [504, "M_NOT_YET_UPLOADED"] }, working);
  }

  const mxcOf = (context: RestContext): Mxc => context.req.param() as unknown as Mxc;

  async function download(context: RestContext, scope: Scope): Promise<Response> {
    const { timeout_ms: timeoutMs } = queryOf(context, downloadQuery);
    const {
      media: file,
      sha256,
      read,
    } = await inTime(context, timeoutMs, (...waiting) => media.open(mxcOf(context), ...waiting));
    const headers = contentHeaders(file.contentType, fileNameOf(context.req.param("name") ?? file.fileName));
    return sendBytes(context, {
      ...{ size: file.size, tag: sha256, read },
      headers: { ...headers, "Cache-Control": `${scope}, ${caching}` },
    });
  }

  async function thumbnail(context: RestContext, scope: Scope): Promise<Response> {
    const { timeout_ms: timeoutMs, ...wanted } = queryOf(context, thumbnailQuery);
    const made = await inTime(context, timeoutMs, (...waiting) => media.thumbnail(mxcOf(context), wanted, ...waiting));
    const { bytes, contentType, tag } = made;
    return sendBytes(context, {
      ...{ size: bytes.length, tag },
      headers: { ...contentHeaders(contentType, null), "Cache-Control": `${scope}, ${caching}` },
      read: (range) =>
        Promise.resolve(Readable.from([range === null ? bytes : bytes.subarray(range.from, range.to + 1)])),
    });
  }

  /** A handler for who is signed in. */
  function forUsers(handler: (context: RestContext) => Response | Promise<Response>) {
    return async (context: RestContext) => {
      await signedIn(domain, context);
      return handler(context);
    };
  }

  const config = (context: RestContext) => context.json({ "m.upload.size": media.maxBytes });

  const saying = { group: "Files", access: "user" } as const;

  return (routes) => {
    routes.on("POST", `${open}/upload`, async (context) => context.json({ content_uri: await upload(context) }), {
      ...{ ...saying, summary: "Uploads a file.", query: uploadQuery, body: "bytes" },
      answer: z.object({ content_uri: z.string() }),
    });
    routes.on(
      "POST",
      `${open}/create`,
      async (context) => {
        const { mxc, expiresAt } = await media.reserve(await signedIn(domain, context));
        return context.json({ content_uri: mxc, unused_expires_at: expiresAt.getTime() });
      },
      {
        ...{ ...saying, summary: "Reserves the address of a file that is uploaded later." },
        answer: z.object({ content_uri: z.string(), unused_expires_at: z.number() }),
      },
    );
    routes.on(
      "PUT",
      `${open}/upload/:server/:mediaId`,
      async (context) => {
        await renaming({ CONFLICT: [409, "M_CANNOT_OVERWRITE_MEDIA"] }, upload(context));
        return context.json({});
      },
      {
        ...{ ...saying, summary: "Uploads a file to an address that was reserved.", query: uploadQuery },
        ...{ body: "bytes", answer: z.object({}) },
      },
    );
    routes.on("GET", [`${open}/config`, `${authenticated}/config`], forUsers(config), {
      ...{ ...saying, summary: "What a file may have." },
      answer: z.object({ "m.upload.size": z.number().meta({ description: "Bytes." }) }),
    });
    const reading = [
      ["download/:server/:mediaId/:name?", download, downloadQuery, "A file."],
      ["thumbnail/:server/:mediaId", thumbnail, thumbnailQuery, "A small picture of a picture."],
    ] as const;
    for (const [path, send, query, summary] of reading) {
      const said = { ...saying, summary, query, answer: "bytes" } as const;
      routes.on("GET", `${open}/${path}`, (context) => send(context, "public"), { ...said, access: "open" });
      const own = forUsers((context) => send(context, "private"));
      routes.on("GET", `${authenticated}/${path}`, own, said);
    }
  };
}

/** Whether answers may be kept for anybody, or for who asked alone. */
type Scope = "public" | "private";

function lengthOf(header: string | undefined): number | null {
  return header === undefined ? null : Number(header);
}
