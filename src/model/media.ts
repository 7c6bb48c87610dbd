import { isServerName, type UserId } from "./ids.ts";

/** A file of the content repository. [AS-14] */
export interface MediaShape {
  mediaId: string;
  /** `mxc://server/id` */
  mxc: string;
  uploader: UserId;
  /** What the uploader says it is. */
  contentType: string;
  fileName: string | null;
  /** Bytes. */
  size: number;
  createdAt: Date;
}

/** What a user's files take, and may take: bytes. */
export interface MediaUsage {
  bytes: number;
  /** Null without a bound. */
  quotaBytes: number | null;
}

/** How thumbnails are made of images: cut to fill the size, or scaled to fit into it. */
export type ThumbnailMethod = "crop" | "scale";

/** A thumbnail that is asked for, in pixels. */
export interface ThumbnailSize {
  width: number;
  height: number;
  method: ThumbnailMethod;
}

const mediaId = /^[A-Za-z0-9_-]{1,255}$/;

/** Whether this may be the id of a file: nothing else ever gets near the store. */
export function isMediaId(value: string): boolean {
  return mediaId.test(value);
}

/** `mxc://server/id` */
export function mxcOf(server: string, id: string): string {
  return `mxc://${server}/${id}`;
}

/** The parts of an mxc URI, as they were given. */
export interface Mxc {
  server: string;
  mediaId: string;
}

/** The parts of an mxc URI; null for what is none. */
export function parseMxc(mxc: string): Mxc | null {
  const [, server, id] = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(mxc) ?? [];
  return server !== undefined && isServerName(server) && isMediaId(id!) ? { server, mediaId: id! } : null;
}

/** The address behind an mxc URI on the server whose base address this is; null for what is no such URI. */
export function mediaUrl(publicUrl: string, mxc: string, thumbnail: ThumbnailSize | null): string | null {
  const parsed = parseMxc(mxc);
  if (parsed === null) return null;
  const path = `${encodeURIComponent(parsed.server)}/${parsed.mediaId}`;
  if (thumbnail === null) return `${publicUrl}/_matrix/media/v3/download/${path}`;
  const { width, height, method } = thumbnail;
  return `${publicUrl}/_matrix/media/v3/thumbnail/${path}?width=${width}&height=${height}&method=${method}`;
}
