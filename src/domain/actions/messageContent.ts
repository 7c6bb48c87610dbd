import { z } from "zod";
import { jsonObject } from "../../model/check.ts";
import { badInput } from "../../model/errors.ts";
import { indexedText } from "../../model/ids.ts";

const text = z.strictObject({
  body: z.string(),
  msgtype: z.string().default("m.text"),
  formattedBody: z.string().nullish(),
  externalUrl: z.string().nullish(),
});
const count = z.number().int().nonnegative().nullish();
const media = z.strictObject({
  msgtype: z.string(),
  body: z.string(),
  mxc: z.string().regex(/^mxc:\/\/[^/]+\/[^/]+$/, "is no mxc:// address"),
  mimetype: z.string().nullish(),
  size: count,
  width: count,
  height: count,
  durationMs: count,
  thumbnailMxc: z.string().nullish(),
  externalUrl: z.string().nullish(),
});
const location = z.strictObject({ body: z.string(), geoUri: z.string().startsWith("geo:", "is no geo: address") });

/** One of the ways to give a message's content; `custom` is taken as it stands. */
export const messageContentInput = z.strictObject({
  text: text.nullish(),
  media: media.nullish(),
  location: location.nullish(),
  /** The key of a reaction. [REL-4] */
  reaction: indexedText.nullish(),
  custom: jsonObject.nullish(),
  /** As it stands, too; what the message is about is said in it, in the older form, as far as that is there. [AS-13] */
  older: jsonObject.nullish(),
});

/** The content of the event, with the drafts' key names. Keys that weren't given are left out. */
export function messageContent(input: z.output<typeof messageContentInput>, field: string): Record<string, unknown> {
  if (input.text) {
    const { body, msgtype, formattedBody, externalUrl } = input.text;
    const format = formattedBody ? { format: "org.matrix.custom.html", formatted_body: formattedBody } : {};
    return { msgtype, body, ...format, external_url: externalUrl ?? undefined };
  }
  if (input.media) {
    const { msgtype, body, mxc, mimetype, size, width, height, durationMs, thumbnailMxc, externalUrl } = input.media;
    const known = { mimetype, size, w: width, h: height, duration: durationMs, thumbnail_url: thumbnailMxc };
    const info = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== null && value !== undefined));
    return { msgtype, body, url: mxc, info, external_url: externalUrl ?? undefined };
  }
  if (input.location) return { msgtype: "m.location", body: input.location.body, geo_uri: input.location.geoUri };
  if (typeof input.reaction === "string") return {};
  const asItStands = input.custom ?? input.older;
  if (asItStands) return asItStands;
  throw badInput(field, "gives no content");
}
