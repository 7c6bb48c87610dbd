import { createHash } from "node:crypto";
import { HearthError } from "../../model/errors.ts";
import { clientJson } from "../../model/event.ts";
import { parseMxc, type MediaShape } from "../../model/media.ts";
import { walkStart } from "../../store/accountDeletion.ts";
import type { Connection } from "../../store/database.ts";
import * as store from "../../store/userData.ts";
import type { MediaRepository } from "../media/media.ts";
import { readmeOf } from "./readme.ts";

/** A file of an archive; its content is read when it is written. */
export interface ExportedFile {
  path: string;
  /** False for what takes no less room when it is compressed. */
  compress: boolean;
  read(): AsyncIterable<string | Uint8Array>;
}

export interface UserDataSources {
  connection: Connection;
  media: Pick<MediaRepository, "mediaOf" | "open">;
  serverName: string;
  /** Called between pages: throws what ends the reading. */
  goOn(): Promise<void>;
}

const pageRows = 200;

/**
 * All that the server holds about a user, as files, one after the other: each has to be read, or left, before the next one is
 * asked for. A page is in memory at a time. Throws `NOT_FOUND` for who doesn't exist.
 */
export async function* userData(sources: UserDataSources, userId: string, now: Date): AsyncGenerator<ExportedFile> {
  const { connection, goOn } = sources;
  const account = await store.accountDocument(connection, userId);
  if (account === null) throw new HearthError("NOT_FOUND", `userId: there is no user ${userId}.`, { field: "userId" });
  yield text("README.txt", readmeOf(userId, sources.serverName, now));
  yield text("account.json", pretty(account));
  yield text("profile.json", pretty(asObject(await store.profileDocuments(connection, userId))));
  yield text("devices.json", pretty(await store.deviceDocuments(connection, userId)));
  yield text("capabilities.json", pretty(await store.capabilityDocuments(connection, userId)));

  /** A file with one document a line, page by page. */
  const lines = (path: string, page: (last: store.Document | null) => Promise<store.Document[]>): ExportedFile => ({
    ...{ path, compress: true },
    async *read() {
      for (let last: store.Document | null = null; ;) {
        await goOn();
        const found: store.Document[] = await page(last);
        if (found.length === 0) return;
        yield found.map((document) => `${JSON.stringify(document)}\n`).join("");
        last = found.at(-1)!;
      }
    },
  });
  const keyOf = (last: store.Document | null, key: string): string => (last === null ? "" : String(last[key]));

  yield lines("account-data.ndjson", (last) => {
    const after = { roomId: keyOf(last, "room_id"), type: keyOf(last, "type") };
    return store.accountDataDocuments(connection, userId, after, pageRows);
  });
  yield lines("aliases.ndjson", (last) => store.aliasDocuments(connection, userId, keyOf(last, "alias"), pageRows));
  yield lines("calls.ndjson", (last) => store.callDocuments(connection, userId, keyOf(last, "call_id"), pageRows));
  yield lines("actions.ndjson", (last) => {
    const after = { deviceId: keyOf(last, "device_id"), actionId: keyOf(last, "action_id") };
    return store.actionDocuments(connection, userId, after, pageRows);
  });
  yield lines("rooms.ndjson", async (last) => {
    const rooms = await store.roomDocuments(connection, userId, keyOf(last, "room_id"), pageRows);
    return rooms.map((room) => ({ ...room, folder: folderOf(String(room["room_id"])) }));
  });
  yield* eventFiles(sources, userId);
  yield* mediaFiles(sources, userId);
}

/** What the user sent to each room, if they sent anything. */
async function* eventFiles({ connection, goOn }: UserDataSources, userId: string): AsyncGenerator<ExportedFile> {
  for (let after = ""; ;) {
    const rooms = await store.roomDocuments(connection, userId, after, pageRows);
    for (const { room_id: id } of rooms) {
      const roomId = String(id);
      const room = { roomId, sender: userId, limit: pageRows };
      await goOn();
      const first = await store.sentEvents(connection, { ...room, after: walkStart });
      if (first.last === null) continue;
      yield {
        ...{ path: `${folderOf(roomId)}/events.ndjson`, compress: true },
        async *read() {
          for (let page = first; page.last !== null;) {
            yield page.events.map((event) => `${JSON.stringify(clientJson(event, true, null))}\n`).join("");
            await goOn();
            page = await store.sentEvents(connection, { ...room, after: page.last });
          }
        },
      };
    }
    if (rooms.length === 0) return;
    after = String(rooms.at(-1)!["room_id"]);
  }
}

/** The list of the user's files, then each of them. */
async function* mediaFiles({ media, goOn }: UserDataSources, userId: string): AsyncGenerator<ExportedFile> {
  yield {
    ...{ path: "media.ndjson", compress: true },
    async *read() {
      for await (const { uploader: _user, ...file } of media.mediaOf(userId)) {
        yield `${JSON.stringify({ ...file, path: pathOf(file) })}\n`;
      }
    },
  };
  for await (const file of media.mediaOf(userId)) {
    await goOn();
    const opened = await media.open(parseMxc(file.mxc)!).catch(missing);
    if (opened === null) continue;
    yield {
      ...{ path: pathOf(file), compress: false },
      async *read() {
        const bytes = await opened.read().catch(missing);
        for await (const piece of bytes ?? []) yield piece as Uint8Array;
      },
    };
  }
}

/** A file that was deleted meanwhile is left out, or empty. */
function missing(error: unknown): null {
  if (error instanceof HearthError && error.code === "NOT_FOUND") return null;
  throw error;
}

function pathOf({ mediaId }: Pick<MediaShape, "mediaId">): string {
  return `media/${mediaId}`;
}

/** Ids hold characters that not every file system takes, and may differ in case alone. */
function folderOf(roomId: string): string {
  return `rooms/${createHash("sha256").update(roomId).digest("hex").slice(0, 24)}`;
}

function text(path: string, content: string): ExportedFile {
  return {
    ...{ path, compress: true },
    async *read() {
      yield await Promise.resolve(content);
    },
  };
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function asObject(entries: store.Document[]): Record<string, unknown> {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}
