import { badInput, HearthError } from "../model/errors.ts";
import { checkText } from "../model/ids.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/accountData.ts";
import { holdAccountAlone } from "../store/accounts.ts";
import type { Connection, Database } from "../store/database.ts";
import { oneByOne } from "./atMost.ts";

type Json = Record<string, unknown>;

/** What is kept under a name, of no room or of one. */
export interface AccountDataEntry {
  roomId: string | null;
  type: string;
  content: Json;
}

/** What clients keep with the server for their own user, for themselves on all devices. [AS-13] */
export interface AccountData {
  /** Throws `NOT_FOUND` where nothing is kept under the name. */
  get(requester: Requester, roomId: string | null, type: string): Promise<Json>;
  /** Throws `BAD_INPUT`, also for names that the server keeps itself, and `TOO_LARGE`. */
  set(requester: Requester, entry: AccountDataEntry): Promise<void>;
  /** The tags of a room; none is no error. */
  tags(requester: Requester, roomId: string): Promise<Json>;
  /** Tags a room, or with null takes the tag away. Throws as `set` does. */
  tag(requester: Requester, roomId: string, tag: string, content: Json | null): Promise<void>;
  /** What was changed after a version (0: everything), and the version that this is. */
  since(userId: string, version: number): Promise<{ changed: AccountDataEntry[]; version: number }>;
  /** Calls back when this process has changed a user's data, until what it gives is called. */
  onChanged(userId: string, callback: () => void): () => void;
}

const maxBytes = 64 * 1024;
const maxDepth = 64;
/** Of all that is kept for one user. */
const maxTotal = 16 * 1024 * 1024;
const tagType = "m.tag";
/** Where these stand is told by markers and rules, which are set otherwise. */
const kept = new Set(["m.fully_read", "m.push_rules"]);

/** By user: somebody with many changes at once takes one connection and not all. */
const inTurn = oneByOne(100);

export function createAccountData({ database }: { database: Database }): AccountData {
  const { reader } = database;
  const listeners = new Map<string, Set<() => void>>();

  async function read(connection: Connection, userId: string, roomId: string | null, type: string) {
    const text = await store.accountData(connection, userId, roomId ?? "", checkText(type, "type"));
    return text === null ? null : (JSON.parse(text) as Json);
  }

  /** Changes what is kept under a name by what it was. */
  async function change(
    { userId }: Requester,
    { roomId, type }: Omit<AccountDataEntry, "content">,
    changed: (before: Json | null) => Json,
  ): Promise<void> {
    await inTurn(userId, () =>
      reader.$transaction(async (connection) => {
        if (!(await holdAccountAlone(connection, userId))) {
          throw new HearthError("UNKNOWN_TOKEN", "The account can't be used any more.");
        }
        const before = await read(connection, userId, roomId, type);
        const content = textOf(changed(before));
        const { bytes, version } = await store.accountDataSize(connection, userId);
        if (bytes + Buffer.byteLength(content) > maxTotal) {
          throw new HearthError("TOO_LARGE", `All that is kept for a user takes at most ${maxTotal} bytes.`);
        }
        await store.writeAccountData(connection, userId, { roomId: roomId ?? "", type, content }, version + 1);
      }),
    );
    listeners.get(userId)?.forEach((callback) => callback());
  }

  return {
    async get({ userId }, roomId, type) {
      const content = await read(reader, userId, roomId, type);
      if (content === null) throw new HearthError("NOT_FOUND", "Nothing is kept under this name.", { field: "type" });
      return content;
    },
    async set(requester, { roomId, type, content }) {
      if (kept.has(type)) throw badInput("type", "is one that the server keeps itself");
      if (roomId !== null) checkText(roomId, "roomId");
      await change(requester, { roomId, type: checkText(type, "type") }, () => content);
    },
    async tags({ userId }, roomId) {
      return tagsOf(await read(reader, userId, checkText(roomId, "roomId"), tagType));
    },
    async tag(requester, roomId, tag, content) {
      checkText(roomId, "roomId");
      checkText(tag, "tag");
      await change(requester, { roomId, type: tagType }, (before) => {
        const tags = new Map(Object.entries(tagsOf(before)));
        if (content === null) tags.delete(tag);
        else tags.set(tag, content);
        return { tags: Object.fromEntries(tags) };
      });
    },
    async since(userId, version) {
      const { changed, version: now } = await store.accountDataSince(reader, userId, version);
      const entries = changed.map(({ roomId, type, content }) => ({
        ...{ roomId: roomId === "" ? null : roomId, type },
        content: JSON.parse(content) as Json,
      }));
      return { changed: entries, version: now };
    },
    onChanged(userId, callback) {
      const own = listeners.get(userId) ?? new Set();
      listeners.set(userId, own.add(callback));
      return () => {
        own.delete(callback);
        if (own.size === 0) listeners.delete(userId);
      };
    },
  };
}

function tagsOf(data: Json | null): Json {
  const tags = data?.["tags"];
  return typeof tags === "object" && tags !== null ? (tags as Json) : {};
}

function textOf(content: Json): string {
  let level: unknown[] = [content];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) throw badInput("content", `is nested deeper than ${maxDepth} levels`);
    level = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
  }
  const text = JSON.stringify(content);
  if (Buffer.byteLength(text) > maxBytes) {
    throw new HearthError("TOO_LARGE", `It is larger than ${maxBytes} bytes.`, { field: "content" });
  }
  return text;
}
