import { join, resolve } from "node:path";
import type { Config } from "./config.ts";
import { createMedia, type MediaOptions, type MediaRepository } from "./domain/media/media.ts";
import { createThumbnails } from "./domain/media/thumbnails.ts";
import type { Clock, Fetch, Log } from "./model/ports.ts";
import type { Blobs } from "./store/media/blobs.ts";
import { createDerived } from "./store/media/derived.ts";
import { createFiles } from "./store/media/files.ts";
import { createS3 } from "./store/media/s3.ts";
import { createSpool, type Spool } from "./store/media/spool.ts";

type Parts = Pick<MediaOptions, "database" | "clock" | "ids" | "log" | "tokens" | "serverName" | "admins">;

/** The content repository where the settings have it: in the data directory, or in a store that speaks S3. [AS-14] */
export function openContentRepository(config: Config, parts: Parts & { fetch: Fetch }): MediaRepository {
  const { database, log } = parts;
  const { maxBytes, quotaBytes } = config.media;
  const { spool, blobs } = openBlobs(config, parts);
  const derived = createDerived(join(directoryOf(config), "thumbnails"), spool);
  const thumbnails = createThumbnails({ connection: database.reader, blobs, derived, log });
  return createMedia({ ...parts, spool, blobs, thumbnails, maxBytes, quotaBytes });
}

/** Where the bytes of files lie, by themselves. */
export function openBlobs(
  config: Config,
  { fetch, clock, log }: { fetch: Fetch; clock: Clock; log: Log },
): { spool: Spool; blobs: Blobs } {
  const { s3 } = config.media;
  const spool = createSpool(join(directoryOf(config), "spool"));
  const files = (): Blobs => createFiles(join(directoryOf(config), "files"));
  return { spool, blobs: s3 ? createS3({ settings: s3, fetch, clock, log, spool }) : files() };
}

function directoryOf({ dataDir }: Config): string {
  return join(resolve(dataDir), "media");
}
