import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { canonicalJson } from "./canonicalJson.ts";
import { HearthError } from "./errors.ts";
import type { EventDraft } from "./event.ts";
import type { FilterInput } from "./filter.ts";
import type { EventId, RoomId, UserId } from "./ids.ts";

/** A choice of rooms and users for one device; null means all. [STR-1, STR-2] */
export interface StreamBase {
  userId: UserId;
  deviceId: string;
  rooms: RoomId[] | null;
  users: UserId[] | null;
}

/** A stream token taken apart; position null means that it is unused. [STR-1] */
export interface StreamToken extends StreamBase {
  position: number | null;
}

/** Lists that chunk tokens belong to; a token of one is refused by the others. [STR-4] */
export type ChunkFamily =
  | "room"
  | "relations"
  | "state"
  | "members"
  | "markers"
  | "rooms"
  | "sync"
  | "users"
  | "media"
  | "published"
  | "directory"
  | "filter";

/** A message that waits for its sender's signature. [ACT-13] */
export interface PreparedMessage {
  userId: UserId;
  deviceId: string;
  roomId: RoomId;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** With the id and time that the event will have, and without signatures. */
  draft: EventDraft & { eventId: EventId; sentAt: number };
}

/** Leave to take away what the server holds about a user, asked for by a device's access token. */
export interface ExportGrant {
  userId: UserId;
  requesterId: UserId;
  tokenId: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

export interface Tokens {
  /** Writes a stream token; use `base` once and `at` per position where many are made for one subscription. */
  stream(token: StreamToken): string;
  streamBase(base: StreamBase): string;
  streamAt(base: string, position: number): string;
  /** Reads a stream token of this user and device, else throws `BAD_TOKEN`. [FIL-6, STR-2] */
  readStream(text: string, owner: { userId: UserId; deviceId: string }): StreamToken;
  /** Writes a place in a list; `scope` names the list's owner, e.g. the room id. [STR-4] */
  chunk(family: ChunkFamily, scope: string, key: ChunkKey): string;
  /** Reads a place of that family and scope, else throws `BAD_TOKEN`. */
  readChunk(text: string, family: ChunkFamily, scope: string): ChunkKey;
  /** Writes a filter's definition, so that equal definitions give equal tokens. [FIL-1] */
  filter(definition: FilterInput): string;
  /** Reads a filter token, else throws `BAD_TOKEN`. [FIL-6] */
  readFilter(text: string): FilterInput;
  /** Writes a prepared message whole, so that any process can take it back and nothing is stored. [ACT-13] */
  prepared(message: PreparedMessage): string;
  /** Reads a prepared message of this user and device, expired or not, else throws `BAD_TOKEN`. */
  readPrepared(text: string, owner: { userId: UserId; deviceId: string }): PreparedMessage;
  /** Writes a grant, which is all that it takes: for addresses, so in characters that these take as they are. */
  exported(grant: ExportGrant): string;
  /** Reads a grant, expired or not, else throws `BAD_TOKEN`. */
  readExported(text: string): ExportGrant;
}

export type ChunkKey = (string | number)[];

/** Longest encoded choice of rooms and users, in bytes. */
const maxBaseBytes = 2048;
/** No token is longer: a filter's definition is at most 8 KB before it is encoded. */
const maxTokenLength = 12_000;
/** But for those of prepared messages: 64 KiB of event, and base64 makes four characters of three bytes. */
const maxPreparedLength = 96_000;

/**
 * Signed, self-contained tokens. They carry the database's epoch and a key id; signatures are checked before anything is
 * decoded. A stream token is `s1.key.base.mac.position.mac`: the base is signed once per subscription and the position
 * once per event, so that the bytes of an event can be shared between subscribers.
 */
export function createTokens(secret: Uint8Array, epoch: string): Tokens {
  const keyId = createHash("sha256").update(secret).digest("base64url").slice(0, 6);
  const sign = (text: string): string =>
    createHmac("sha256", secret).update(`${epoch} ${text}`).digest("base64url").slice(0, 22);
  const streamPrefix = `s1.${keyId}.`;
  const chunkPrefix = `c1.${keyId}.`;
  const filterPrefix = `f1.${keyId}.`;
  const exportPrefix = `e1.${keyId}.`;
  const preparedPrefix = `p1.${keyId}.`;

  function streamBase(base: StreamBase): string {
    const payload = encode([base.userId, base.deviceId, base.rooms, base.users]);
    return `${streamPrefix}${payload}.${sign(`stream ${payload}`)}`;
  }

  // All subscribers of an event share its position, so the newest signature is nearly always the one asked for.
  let newest = { position: -1, text: "" };
  function positionText(position: number): string {
    if (newest.position === position) return newest.text;
    const digits = position.toString(36);
    newest = { position, text: `${digits}.${sign(`position ${digits}`)}` };
    return newest.text;
  }

  return {
    streamBase,
    streamAt: (base, position) => `${base}.${positionText(position)}`,
    stream(token) {
      const base = streamBase(token);
      // Only where a choice is made: a successor may name one room more than what it follows.
      if (token.position === null && base.length > maxBaseBytes) {
        throw new HearthError("TOO_LARGE", "The token would name too many rooms and users.", { field: "rooms" });
      }
      return token.position === null
        ? `${base}.new.${sign("position new")}`
        : `${base}.${positionText(token.position)}`;
    },
    readStream(text, owner) {
      const [payload, mac, position, positionMac, ...rest] = partsOf(text, streamPrefix);
      if (rest.length > 0 || !payload || !position) throw badToken();
      verify(sign(`stream ${payload}`), mac);
      verify(sign(`position ${position}`), positionMac);
      const [userId, deviceId, rooms, users] = decode(payload) as [string, string, string[] | null, string[] | null];
      if (userId !== owner.userId || deviceId !== owner.deviceId) throw badToken();
      return { userId, deviceId, rooms, users, position: position === "new" ? null : parseInt(position, 36) };
    },
    chunk(family, scope, key) {
      const payload = encode([family, scope, ...key]);
      return `${chunkPrefix}${payload}.${sign(`chunk ${payload}`)}`;
    },
    readChunk(text, family, scope) {
      const [payload, mac, ...rest] = partsOf(text, chunkPrefix);
      if (rest.length > 0 || !payload) throw badToken();
      verify(sign(`chunk ${payload}`), mac);
      const [ofFamily, ofScope, ...key] = decode(payload) as [string, string, ...ChunkKey];
      if (ofFamily !== family || ofScope !== scope) throw badToken();
      return key;
    },
    filter(definition) {
      const payload = encode(definition);
      return `${filterPrefix}${payload}.${sign(`filter ${payload}`)}`;
    },
    readFilter(text) {
      const [payload, mac, ...rest] = partsOf(text, filterPrefix);
      if (rest.length > 0 || !payload) throw badToken();
      verify(sign(`filter ${payload}`), mac);
      return decode(payload) as FilterInput;
    },
    prepared(message) {
      // As an object, since the content's text would grow by every quote in it.
      const content = JSON.parse(message.draft.content ?? "null") as unknown;
      const payload = encode({ ...message, draft: { ...message.draft, content } });
      return `${preparedPrefix}${payload}.${sign(`prepared ${payload}`)}`;
    },
    readPrepared(text, owner) {
      const [payload, mac, ...rest] = partsOf(text, preparedPrefix, maxPreparedLength);
      if (rest.length > 0 || !payload) throw badToken();
      verify(sign(`prepared ${payload}`), mac);
      const message = decode(payload) as PreparedMessage;
      if (message.userId !== owner.userId || message.deviceId !== owner.deviceId) throw badToken();
      const content = canonicalJson(message.draft.content, "content");
      return { ...message, draft: { ...message.draft, content } };
    },
    exported(grant) {
      const payload = encode(grant);
      return `${exportPrefix}${payload}.${sign(`export ${payload}`)}`;
    },
    readExported(text) {
      const [payload, mac, ...rest] = partsOf(text, exportPrefix);
      if (rest.length > 0 || !payload) throw badToken();
      verify(sign(`export ${payload}`), mac);
      return decode(payload) as ExportGrant;
    },
  };
}

function partsOf(text: string, prefix: string, maxLength = maxTokenLength): string[] {
  if (text.length > maxLength || !text.startsWith(prefix)) throw badToken();
  return text.slice(prefix.length).split(".");
}

function verify(expected: string, given: string | undefined): void {
  if (given === undefined || given.length !== expected.length) throw badToken();
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(given, "latin1"))) {
    throw badToken();
  }
}

function encode(payload: unknown): string {
  return Buffer.from(JSON.stringify(payload)).toString("base64url");
}

function decode(payload: string): unknown {
  return JSON.parse(Buffer.from(payload, "base64url").toString());
}

function badToken(): HearthError {
  return new HearthError("BAD_TOKEN", "The token is malformed, of another kind, or not yours.");
}
