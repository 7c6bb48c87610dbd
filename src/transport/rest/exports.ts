import { PassThrough, type Readable } from "node:stream";
import type { Domain } from "../../domain/domain.ts";
import { zipOf } from "../zip.ts";
import type { RestContext, Routes } from "./routes.ts";
import { streamOf } from "./sending.ts";

/** The way to what `exportUserData` gave an address for: the address is all that it takes. */
export function exportRoutes(domain: Domain): (routes: Routes) => void {
  return (routes) => {
    routes.on("GET", "/_hearth/export/:token", async (context) => {
      const { userId, at, files, close } = await domain.exports.open(context.req.param("token") ?? "");
      const headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": `attachment; filename="${nameOf(userId, at)}"`,
        "Cache-Control": "no-store",
      };
      if (context.req.method === "HEAD") {
        close();
        return new Response(null, { headers });
      }
      const archive = zipOf(files, at);
      archive.once("error", close).once("close", () => close());
      return new Response(endingWith(context, archive), { headers });
    });
  };
}

/**
 * The archive as a body. Where reading fails the connection ends, so that no client takes half an archive for a whole one;
 * and once the connection is gone nobody reads on, whether or not anything was taken.
 */
function endingWith(context: RestContext, archive: Readable): ReadableStream {
  const { outgoing } = context.env;
  archive.once("error", () => outgoing.destroy());
  outgoing.once("close", () => archive.destroy());
  // It may be gone already.
  if (outgoing.destroyed) archive.destroy();
  return streamOf(context, archive.pipe(new PassThrough()));
}

/** Only what every system takes in a file's name. */
function nameOf(userId: string, at: Date): string {
  const name = userId
    .replace(/[^a-z0-9._-]+/gi, "-")
    .replace(/^-/, "")
    .slice(0, 100);
  return `hearth-${name}-${at.toISOString().slice(0, 10)}.zip`;
}
