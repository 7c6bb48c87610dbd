import { create } from "content-disposition";

/** Types that browsers may show in place of a page: the Matrix specification's list. Everything else is for saving. */
const shownInline = new Set([
  ...["text/css", "text/plain", "text/csv", "application/json", "application/ld+json"],
  ...["image/jpeg", "image/gif", "image/png", "image/apng", "image/webp", "image/avif"],
  ...["video/mp4", "video/webm", "video/ogg", "video/quicktime"],
  ...["audio/mp4", "audio/webm", "audio/aac", "audio/mpeg", "audio/ogg", "audio/wave", "audio/wav", "audio/x-wav"],
  ...["audio/x-pn-wav", "audio/flac", "audio/x-flac"],
]);

/** What a page could load as its own script, or a worker, whatever other headers say: those look at the type alone. */
const script = /^[^;]*(javascript|ecmascript|jscript|livescript|wasm)/i;

/**
 * Headers under which a file of a stranger does nothing but be shown or saved: nothing in it runs, loads or is taken for
 * another type than its uploader's, and it may be embedded anywhere.
 */
export function contentHeaders(contentType: string, fileName: string | null): Record<string, string> {
  const type = script.test(contentType) ? "application/octet-stream" : contentType;
  const essence = type.split(";")[0]!.trim().toLowerCase();
  return {
    "Content-Type": type,
    "Content-Disposition": create(fileName ?? undefined, { type: shownInline.has(essence) ? "inline" : "attachment" }),
    "Content-Security-Policy":
      "sandbox; default-src 'none'; script-src 'none'; style-src 'unsafe-inline'; media-src 'self'; object-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
  };
}
