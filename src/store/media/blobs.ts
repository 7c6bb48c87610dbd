import type { Readable } from "node:stream";

/** Bytes of a file from one to another, both included. */
export interface ByteRange {
  from: number;
  to: number;
}

/** A file on this machine that holds all of some bytes, until `discard` removes it. */
export interface SpooledFile {
  path: string;
  size: number;
  /** SHA-256 of the bytes, in hexadecimal. */
  sha256: string;
  discard(): Promise<void>;
}

/** Bytes as a file on this machine, for as long as it takes to use them. */
export interface LocalFile {
  path: string;
  release(): Promise<void>;
}

/**
 * Where the bytes of files lie, by their place: a name that the store of rows made up, which never comes from a request.
 * All of it throws `OVERLOADED` where it would work at another time.
 */
export interface Blobs {
  /** Puts bytes at a place, for good when it is done: whole, or not at all. May take the spooled file with it. */
  put(place: string, file: SpooledFile): Promise<void>;
  /** Reads them, or a range that lies within them; null where nothing is. */
  read(place: string, range: ByteRange | null): Promise<Readable | null>;
  /** The same as a file; null where nothing is. */
  local(place: string): Promise<LocalFile | null>;
  /** Removes them, if there are any. */
  remove(place: string): Promise<void>;
}
