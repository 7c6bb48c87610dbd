import { setTimeout as sleep } from "node:timers/promises";
import type { Readable } from "node:stream";
import { z } from "zod";
import { check } from "../../model/check.ts";
import type { Connection as Page } from "../../model/connection.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import {
  isMediaId,
  mxcOf,
  parseMxc,
  type Mxc,
  type MediaShape,
  type MediaUsage,
  type ThumbnailSize,
} from "../../model/media.ts";
import { checkLimit } from "../../model/paging.ts";
import type { Clock, Ids, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { Tokens } from "../../model/tokens.ts";
import { holderOfToken } from "../../store/accounts.ts";
import { findService } from "../../store/appServices.ts";
import { holdAdmins } from "../../store/admin.ts";
import type { Connection, Database } from "../../store/database.ts";
import type { Blobs, ByteRange, SpooledFile } from "../../store/media/blobs.ts";
import * as rows from "../../store/media/rows.ts";
import { tooLarge, type Spool } from "../../store/media/spool.ts";
import { fileNameOf, mediaTypeOf } from "./claims.ts";
import type { Thumbnail, Thumbnails } from "./thumbnails.ts";

/** What comes with a file. */
export interface Upload {
  /** The file's bytes as they come. Throws when the client goes away. */
  body: AsyncIterable<Uint8Array>;
  /** How many there will be, where the client says so. */
  length: number | null;
  /** What the client claims it is; null for nothing. */
  contentType: string | null;
  fileName: string | null;
}

/** A file that can be read. */
export interface OpenMedia {
  media: MediaShape;
  /** SHA-256 of its bytes, in hexadecimal. */
  sha256: string;
  /** Its bytes, or a range that lies within them. Who stops early destroys the stream. Throws `NOT_FOUND`. */
  read(range?: ByteRange | null): Promise<Readable>;
}

/** An id that waits for its content. */
export interface Reservation {
  mxc: string;
  expiresAt: Date;
}

/** The content repository: files of users, which whoever knows their id may read. [AS-14] */
export interface MediaRepository {
  /** Bytes that one file may have. */
  readonly maxBytes: number;
  /**
   * Keeps a file: all of it, or nothing. Throws `TOO_LARGE`, `FORBIDDEN` beyond the user's quota, `OVERLOADED`, and
   * `UNKNOWN_TOKEN` when the token was revoked or the account shut while it came. With the
   * parts of an mxc URI: under the id that `reserve` gave; throws `NOT_FOUND` for others, `FORBIDDEN` for somebody else's,
   * `CONFLICT` for one that has its content.
   */
  upload(requester: Requester, upload: Upload, reserved?: Mxc): Promise<MediaShape>;
  /** Gives an id away before its content. Throws `RATE_LIMITED` when too many of the user's wait. */
  reserve(requester: Requester): Promise<Reservation>;
  /**
   * Opens a file; throws `NOT_FOUND`, also for those of other servers. Waits up to `waitMs` milliseconds for one whose id
   * was reserved; throws `TIMEOUT` after it, or once `gone` says that nobody waits for the answer any more.
   */
  open(mxc: Mxc, waitMs?: number, gone?: () => boolean): Promise<OpenMedia>;
  /** A smaller picture of an image, waiting likewise. Throws also `UNSUPPORTED`, and `TOO_LARGE` for too many pixels. */
  thumbnail(mxc: Mxc, wanted: ThumbnailSize, waitMs?: number, gone?: () => boolean): Promise<Thumbnail>;
  usage(userId: string): Promise<MediaUsage>;
  /** The requester's files, the newest first. Throws `BAD_INPUT`, `BAD_TOKEN`. */
  list(requester: Requester, args: { first: number; after?: string | null }): Promise<Page<MediaShape>>;
  /** Deletes an own file, or anybody's as an admin. Throws `NOT_FOUND`, `FORBIDDEN`. Gives the URI. */
  delete(requester: Requester, input: unknown): Promise<string>;
  /** All files of a user, the oldest first, read page by page. */
  mediaOf(userId: string): AsyncIterable<MediaShape>;
  /** Deletes all files of a user, and what they have reserved; doing it again is no error. Gives how many there were. */
  deleteAllOf(userId: string): Promise<number>;
  /** Removes what crashes left. */
  clean(): Promise<void>;
}

export interface MediaOptions {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  tokens: Tokens;
  serverName: string;
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
  spool: Spool;
  blobs: Blobs;
  thumbnails: Thumbnails;
  maxBytes: number;
  /** Bytes that a user's files may take; 0: any. */
  quotaBytes: number;
}

/** How long bytes may take to their place before it is emptied: longer than any store of them takes to give up. */
const pendingMs = 60 * 60_000;
const reservationMs = 24 * 60 * 60_000;
const maxReservations = 50;
const pollMs = 250;
const batch = 100;

const deleteInput = z.strictObject({ mxc: z.string() });

export function createMedia(options: MediaOptions): MediaRepository {
  const { database, clock, ids, log, tokens, serverName, spool, blobs, thumbnails, maxBytes, quotaBytes } = options;
  const { reader } = database;
  const now = (): Date => new Date(clock.now());

  const shown = ({ mediaId, uploader, contentType, fileName, size, createdAt }: rows.StoredMedia): MediaShape => ({
    ...{ mediaId, mxc: mxcOf(serverName, mediaId), uploader, contentType, fileName, size, createdAt },
  });

  const isOwn = ({ server, mediaId }: Mxc): boolean => server === serverName && isMediaId(mediaId);

  /** The file behind a URI; null when there is none. */
  async function find(mxc: Mxc): Promise<rows.StoredMedia | null> {
    return isOwn(mxc) ? rows.findMedia(reader, mxc.mediaId) : null;
  }

  /** Whom a URI waits for. */
  async function holderOf(mxc: Mxc): Promise<string | null> {
    return isOwn(mxc) ? rows.reservedFor(reader, mxc.mediaId, now()) : null;
  }

  function beyondQuota(): HearthError {
    return new HearthError("FORBIDDEN", `Your files would take more than ${quotaBytes} bytes: delete some.`, {
      quotaBytes,
    });
  }

  /** The file behind a URI, when it is there or comes in time. */
  async function present(mxc: Mxc, waitMs = 0, gone = () => false): Promise<rows.StoredMedia> {
    let stored = await find(mxc);
    for (let waited = 0; stored === null; waited += pollMs) {
      const isReserved = (await holderOf(mxc)) !== null;
      if (isReserved && (waited >= waitMs || gone()))
        throw new HearthError("TIMEOUT", "The file hasn't been uploaded yet.");
      if (isReserved) await sleep(Math.min(pollMs, waitMs - waited), undefined, { ref: false });
      // It may have come between the two looks.
      stored = await find(mxc);
      if (!isReserved && stored === null) throw notFound();
    }
    return stored;
  }

  /** Throws what is wrong with a reserved id for this user. */
  async function checkReserved({ userId }: Requester, mxc: Mxc): Promise<void> {
    const holder = await holderOf(mxc);
    if (holder === userId) return;
    if (holder !== null) throw new HearthError("FORBIDDEN", "Somebody else has reserved this id.");
    if ((await find(mxc)) === null) throw notFound();
    throw new HearthError("CONFLICT", "This file is there already.");
  }

  /** Throws unless the token still holds that a long upload began with. */
  async function checkToken(requester: Requester): Promise<void> {
    if (!(await holds(requester))) throw new HearthError("UNKNOWN_TOKEN", "The access token was revoked meanwhile.");
  }

  /** The token of an application service holds as long as the service is registered. [AS-6] */
  async function holds({ userId, tokenId, service }: Requester): Promise<boolean> {
    if (service?.as === "own") return (await findService(reader, { id: service.id }))?.unregistered === false;
    return (await holderOfToken(reader, tokenId))?.userId === userId;
  }

  /** Keeps spooled bytes as a file. */
  async function keep(
    file: SpooledFile,
    media: Omit<rows.KeptMedia, "place" | "sha256" | "size" | "createdAt" | "quota">,
  ): Promise<rows.StoredMedia> {
    const { sha256, size } = file;
    // A second time when a file that had the same bytes was deleted just then.
    for (;;) {
      const place = (await rows.isLive(reader, sha256)) ? null : await put(file);
      const kept = { ...media, sha256, size, createdAt: now(), place, quota: quotaBytes };
      const outcome = await rows.keepMedia(reader, kept).catch(async (error: unknown) => {
        if (place !== null) await abandon(place, sha256);
        throw error;
      });
      if (outcome === "kept") return { ...kept, place: place ?? "" };
      if (outcome === "gone" && place === null) continue;
      if (place !== null) await abandon(place, sha256);
      if (outcome === "quota") throw beyondQuota();
      if (outcome === "unreserved") throw new HearthError("CONFLICT", "This file is there already.");
      if (outcome === "closed") throw new HearthError("UNKNOWN_TOKEN", "The account was shut.");
      throw new HearthError("OVERLOADED", "The file couldn't be kept: try again.");
    }
  }

  /** Puts spooled bytes where no others are; gives the place. */
  async function put(file: SpooledFile): Promise<string> {
    const { sha256 } = file;
    const place = `${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}-${ids.opaque()}`;
    await rows.startBlob(reader, place, sha256, now());
    try {
      await blobs.put(place, file);
    } catch (error) {
      await abandon(place, sha256);
      throw error;
    }
    return place;
  }

  /** Takes back what was put to a place that no file has. What fails is done by `clean` later. */
  async function abandon(place: string, sha256: string): Promise<void> {
    try {
      if (await rows.abandonBlob(reader, place, now())) await empty([{ place, sha256 }]);
    } catch (error) {
      log.warn({ error, place }, "taking back a file's bytes failed");
    }
  }

  /** Empties places. What fails is done by `clean` of some process later. */
  async function empty(dead: readonly rows.DeadBlob[]): Promise<void> {
    for (const { place, sha256 } of dead) {
      try {
        await blobs.remove(place);
        await thumbnails.forget(sha256);
        await rows.forgetBlob(reader, place);
      } catch (error) {
        log.warn({ error, place }, "removing a file's bytes failed");
      }
    }
  }

  async function deleteOne(connection: Connection, { mediaId }: rows.StoredMedia): Promise<boolean> {
    return rows.deleteMedia(connection, mediaId, now());
  }

  async function* pagesOf(userId: string): AsyncGenerator<rows.StoredMedia[]> {
    let after: rows.MediaAfter | null = null;
    for (;;) {
      const page: rows.StoredMedia[] = await rows.mediaPage(reader, {
        ...{ uploader: userId, after, limit: batch, order: "ASC" },
      });
      if (page.length > 0) yield page;
      if (page.length < batch) return;
      after = page.at(-1)!;
    }
  }

  return {
    maxBytes,

    async upload(requester, { body, length, contentType, fileName }, reserved) {
      if (length !== null && length > maxBytes) throw tooLarge(maxBytes);
      if (reserved !== undefined) await checkReserved(requester, reserved);
      // What can't fit needn't come; whether it does is decided when it is here.
      const used = quotaBytes === 0 ? 0 : await rows.usedBytes(reader, requester.userId);
      if (quotaBytes > 0 && used + (length ?? 0) > quotaBytes) throw beyondQuota();
      const file = await spool.receive(body, maxBytes);
      try {
        await checkToken(requester);
        const kept = await keep(file, {
          mediaId: reserved?.mediaId ?? ids.opaque(),
          uploader: requester.userId,
          contentType: mediaTypeOf(contentType),
          fileName: fileNameOf(fileName),
          reserved: reserved !== undefined,
        });
        await empty(await rows.deadBlobsOf(reader, file.sha256));
        return shown(kept);
      } finally {
        await file.discard();
      }
    },

    async reserve({ userId }) {
      const reservation = { mediaId: ids.opaque(), userId, expiresAt: new Date(clock.now() + reservationMs) };
      const bounds = { now: now(), max: maxReservations };
      const done = await reader.$transaction((connection) => rows.reserve(connection, reservation, bounds));
      if (!done) {
        throw new HearthError("RATE_LIMITED", `${maxReservations} of your ids wait for their content already.`, {
          retryAfterMs: 60_000,
        });
      }
      return { mxc: mxcOf(serverName, reservation.mediaId), expiresAt: reservation.expiresAt };
    },

    async open(mxc, waitMs, gone) {
      const stored = await present(mxc, waitMs, gone);
      const { place, sha256 } = stored;
      return {
        media: shown(stored),
        sha256,
        async read(range = null) {
          const bytes = await blobs.read(place, range);
          if (bytes === null) throw notFound();
          return bytes;
        },
      };
    },

    thumbnail: async (mxc, wanted, waitMs, gone) => thumbnails.of(await present(mxc, waitMs, gone), wanted),

    async usage(userId) {
      return { bytes: await rows.usedBytes(reader, userId), quotaBytes: quotaBytes === 0 ? null : quotaBytes };
    },

    async list({ userId }, args) {
      const limit = checkLimit(args.first, "first");
      const after = typeof args.after === "string" ? tokens.readChunk(args.after, "media", userId) : null;
      const page = await rows.mediaPage(reader, {
        uploader: userId,
        after: after && { createdAt: new Date(Number(after[0])), mediaId: String(after[1]) },
        limit: limit + 1,
        order: "DESC",
      });
      return {
        edges: page.slice(0, limit).map((media) => ({
          node: shown(media),
          cursor: tokens.chunk("media", userId, [media.createdAt.getTime(), media.mediaId]),
        })),
        hasPreviousPage: after !== null,
        hasNextPage: page.length > limit,
        total: () => rows.countMedia(reader, userId),
      };
    },

    async delete({ userId }, given) {
      const { mxc } = check(deleteInput, given);
      const parsed = parseMxc(mxc);
      if (parsed === null) throw badInput("mxc", "is no URI like mxc://server/id");
      const media = await find(parsed);
      if (media === null) throw notFound("mxc");
      const deleted = await reader.$transaction(async (connection) => {
        const mayDelete = media.uploader === userId || (await holdAdmins(connection, options.admins)).has(userId);
        if (!mayDelete) throw new HearthError("FORBIDDEN", "Only admins delete files of others.", { field: "mxc" });
        return deleteOne(connection, media);
      });
      if (!deleted) throw notFound("mxc");
      if (media.uploader !== userId) log.info({ admin: userId, mxc, uploader: media.uploader }, "a file was deleted");
      await empty(await rows.deadBlobsOf(reader, media.sha256));
      return mxc;
    },

    async *mediaOf(userId) {
      for await (const page of pagesOf(userId)) yield* page.map(shown);
    },

    async deleteAllOf(userId) {
      let count = 0;
      for await (const page of pagesOf(userId)) {
        for (const media of page) {
          if (await deleteOne(reader, media)) count++;
          await empty(await rows.deadBlobsOf(reader, media.sha256));
        }
      }
      await rows.endReservationsOf(reader, userId);
      return count;
    },

    async clean() {
      await spool.clean(clock.now());
      await thumbnails.clean();
      await rows.endReservations(reader, now());
      await empty(await rows.deadBlobs(reader, new Date(clock.now() - pendingMs), batch));
    },
  };
}

/** The one answer about files that there aren't, here or anywhere. */
function notFound(field?: string): HearthError {
  return new HearthError("NOT_FOUND", "There is no such file.", field === undefined ? {} : { field });
}
