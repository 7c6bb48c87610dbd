import { z } from "zod";
import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import { userId } from "../../model/ids.ts";
import type { Clock, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { ExportGrant, Tokens } from "../../model/tokens.ts";
import { holderOfToken } from "../../store/accounts.ts";
import type { Connection } from "../../store/database.ts";
import type { MediaRepository } from "../media/media.ts";
import { mustBeThere, ownOrAnyones } from "../ownOrAnyones.ts";
import { userData, type ExportedFile } from "./userData.ts";

/** All that the server holds about a user, to take away. */
export interface Exports {
  /**
   * Gives a token for what the server holds about the requester, or anybody as an admin; it holds for some minutes. Throws
   * `FORBIDDEN`, `NOT_FOUND`.
   */
  grant(requester: Requester, input: unknown): Promise<{ token: string; expiresAt: Date }>;
  /**
   * Opens what a token is for; `files` throws when the access token that asked for it is revoked meanwhile. `close` has to be
   * called. Throws `BAD_TOKEN`, also for one that has expired; `UNKNOWN_TOKEN`, `FORBIDDEN`, `NOT_FOUND` where it doesn't hold any
   * more; `RATE_LIMITED` for more than two at once by one user.
   */
  open(token: string): Promise<OpenExport>;
}

export interface OpenExport {
  userId: string;
  /** When it was opened. */
  at: Date;
  files: AsyncGenerator<ExportedFile>;
  /** With what failed, if something did. */
  close(error?: unknown): void;
}

export interface ExportsOptions {
  connection: Connection;
  tokens: Tokens;
  media: Pick<MediaRepository, "mediaOf" | "open">;
  clock: Clock;
  log: Log;
  serverName: string;
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
}

/** How long a token holds, in milliseconds: it opens, and what it opened may take longer. */
const grantMs = 10 * 60_000;
const atOnceOfUser = 2;

const exportInput = z.strictObject({ userId: userId.nullish() });

export function createExports(options: ExportsOptions): Exports {
  const { connection, tokens, media, clock, log, serverName, admins } = options;
  /** How many each user has open. */
  const open = new Map<string, number>();

  /** Throws unless the access token holds that it was asked for with, and its user may still see this. */
  async function demand({ userId: target, requesterId, tokenId }: ExportGrant): Promise<void> {
    const holder = await holderOfToken(connection, tokenId);
    if (holder?.userId !== requesterId) {
      throw new HearthError("UNKNOWN_TOKEN", "The access token that asked for this was revoked.");
    }
    ownOrAnyones({ ...holder, admin: holder.admin || admins.has(holder.userId) }, target);
    await mustBeThere(connection, target);
  }

  return {
    async grant(requester, given) {
      const input = check(exportInput, given);
      const target = ownOrAnyones(requester, input.userId);
      const expiresAt = clock.now() + grantMs;
      const grant = { userId: target, requesterId: requester.userId, tokenId: requester.tokenId, expiresAt };
      await demand(grant);
      return { token: tokens.exported(grant), expiresAt: new Date(expiresAt) };
    },
    async open(token) {
      const grant = tokens.readExported(token);
      if (grant.expiresAt <= clock.now())
        throw new HearthError("BAD_TOKEN", "The address has expired: ask for another.");
      await demand(grant);
      const { requesterId } = grant;
      const already = open.get(requesterId) ?? 0;
      if (already >= atOnceOfUser) {
        throw new HearthError("RATE_LIMITED", "You are downloading as much at once as one may.", {
          retryAfterMs: 10_000,
        });
      }
      open.set(requesterId, already + 1);
      log.info({ by: requesterId, userId: grant.userId }, "a user's data is exported");
      const at = new Date(clock.now());
      const sources = { connection, media, serverName, goOn: () => demand(grant) };
      let closed = false;
      return {
        ...{ userId: grant.userId, at, files: userData(sources, grant.userId, at) },
        close(error) {
          if (closed) return;
          if (error !== undefined) log.warn({ error, by: requesterId }, "exporting a user's data was cut off");
          closed = true;
          const left = open.get(requesterId)! - 1;
          if (left === 0) open.delete(requesterId);
          else open.set(requesterId, left);
        },
      };
    },
  };
}
