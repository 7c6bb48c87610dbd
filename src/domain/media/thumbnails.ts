import { LRUCache } from "lru-cache";
import { HearthError } from "../../model/errors.ts";
import type { ThumbnailSize } from "../../model/media.ts";
import type { Log } from "../../model/ports.ts";
import type { Connection } from "../../store/database.ts";
import type { Blobs } from "../../store/media/blobs.ts";
import type { Derived } from "../../store/media/derived.ts";
import { unusedHashes, type StoredMedia } from "../../store/media/rows.ts";
import { atMost } from "../atMost.ts";
import { renderThumbnail, type Picture } from "./pictures.ts";

/** A thumbnail, ready to be sent. */
export interface Thumbnail {
  bytes: Buffer;
  contentType: string;
  /** Names these bytes, as far as the same file and size go. */
  tag: string;
}

/** Thumbnails of files, made when they are first asked for. */
export interface Thumbnails {
  /** Throws `UNSUPPORTED`, `TOO_LARGE`, `NOT_FOUND`, `OVERLOADED`. */
  of(media: StoredMedia, wanted: ThumbnailSize): Promise<Thumbnail>;
  /** Removes those of bytes that no file has any more. */
  forget(sha256: string): Promise<void>;
  /** Does the same for all that are left. */
  clean(): Promise<void>;
}

export interface ThumbnailsOptions {
  connection: Connection;
  blobs: Blobs;
  derived: Derived;
  log: Log;
}

/** The lengths that edges have, in pixels: what is asked for is rounded up, so that nobody fills the disk with sizes. */
const edges = [32, 96, 320, 640, 800];
/** Decoding takes a core, and memory by pixels. */
const atOnce = 2;
const maxWaiting = 200;
/** Of images that failed it is remembered how, so that asking again costs nothing. */
const failuresKept = 1000;

const contentTypes: Readonly<Record<string, string>> = { jpg: "image/jpeg", webp: "image/webp" };

export function createThumbnails({ connection, blobs, derived, log }: ThumbnailsOptions): Thumbnails {
  const limited = atMost(atOnce, maxWaiting);
  const failures = new LRUCache<string, HearthError>({ max: failuresKept });
  /** Those that are being made, by tag. */
  const making = new Map<string, Promise<Thumbnail>>();

  async function make(media: StoredMedia, size: ThumbnailSize, stem: string): Promise<Thumbnail> {
    const { sha256 } = media;
    try {
      // Bytes that have to be fetched wait with the work on them, so that no more lie around than are worked on.
      const { bytes, extension } = await limited(() => render(media, size));
      await derived.put(sha256, `${stem}.${extension}`, bytes);
      return { bytes, contentType: contentTypes[extension]!, tag: `${sha256}-${stem}` };
    } catch (error) {
      if (error instanceof HearthError && ["UNSUPPORTED", "TOO_LARGE"].includes(error.code))
        failures.set(sha256, error);
      throw error;
    } finally {
      // The file may have been deleted meanwhile, by another process as well.
      await forget(sha256).catch((error: unknown) => log.warn({ error }, "looking after thumbnails failed"));
    }
  }

  async function render({ place }: StoredMedia, size: ThumbnailSize): Promise<Picture> {
    const file = await blobs.local(place);
    if (file === null) throw new HearthError("NOT_FOUND", "There is no such file.");
    try {
      return await renderThumbnail(file.path, size);
    } finally {
      await file.release();
    }
  }

  async function forget(sha256: string): Promise<void> {
    for (const unused of await unusedHashes(connection, [sha256])) await derived.remove(unused);
  }

  return {
    async of(media, wanted) {
      const size = { width: roundUp(wanted.width), height: roundUp(wanted.height), method: wanted.method };
      const stem = `${size.method}-${size.width}x${size.height}`;
      const tag = `${media.sha256}-${stem}`;
      const failure = failures.get(media.sha256);
      if (failure !== undefined) throw failure;
      const found = await derived.find(media.sha256, stem);
      if (found !== null) {
        return { bytes: found.bytes, contentType: contentTypes[found.name.slice(stem.length + 1)]!, tag };
      }
      let made = making.get(tag);
      if (made === undefined) {
        made = make(media, size, stem).finally(() => making.delete(tag));
        making.set(tag, made);
      }
      return made;
    },
    forget,
    async clean() {
      for await (const hashes of derived.hashes()) {
        for (const unused of await unusedHashes(connection, hashes)) await derived.remove(unused);
      }
    },
  };
}

function roundUp(pixels: number): number {
  return edges.find((edge) => edge >= pixels) ?? edges.at(-1)!;
}
