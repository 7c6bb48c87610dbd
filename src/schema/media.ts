import { badInput } from "../model/errors.ts";
import { mediaUrl, type MediaShape, type MediaUsage as MediaUsageShape, type ThumbnailMethod } from "../model/media.ts";
import { builder } from "./builder.ts";
import { connectionType } from "./connections.ts";
import type { Context } from "./context.ts";

const Media = builder.objectRef<MediaShape>("Media").implement({
  description: "A file that the viewer has uploaded. [AS-14]",
  fields: (t) => ({
    mxc: t.exposeString("mxc"),
    url: t.string({
      description: "Where it is downloaded, or a thumbnail of it of about this size.",
      args: { width: t.arg.int(), height: t.arg.int() },
      resolve: ({ mxc }, size, context) => urlOf(mxc, size, "scale", context)!,
    }),
    contentType: t.exposeString("contentType", { description: "What the uploader said it is." }),
    fileName: t.exposeString("fileName", { nullable: true }),
    size: t.exposeInt("size", { description: "Bytes." }),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
  }),
});

export const MediaConnection = connectionType<MediaShape>("Media", Media);

export const MediaUsage = builder.objectRef<MediaUsageShape>("MediaUsage").implement({
  description: "What the viewer's files take, in bytes: floating, since it may be more than an Int holds.",
  fields: (t) => ({
    bytes: t.exposeFloat("bytes"),
    quotaBytes: t.exposeFloat("quotaBytes", { nullable: true, description: "Null without a bound." }),
  }),
});

interface Size {
  width?: number | null | undefined;
  height?: number | null | undefined;
}

/** The absolute address behind an mxc URI: of a thumbnail where an edge is given. Null for what is no such URI. */
export function urlOf(mxc: string | null, size: Size, method: ThumbnailMethod, { server }: Context): string | null {
  for (const edge of ["width", "height"] as const) {
    if (typeof size[edge] === "number" && size[edge] < 1) throw badInput(edge, "is not at least 1");
  }
  // One edge stands for both.
  const [width, height] = [size.width ?? size.height, size.height ?? size.width];
  const wanted = typeof width === "number" && typeof height === "number" ? { width, height, method } : null;
  return mxc === null ? null : mediaUrl(server.publicUrl, mxc, wanted);
}
