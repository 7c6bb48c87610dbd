import { mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Content, Said } from "./text.ts";

/** Something that a Matrix user does on IRC and that hasn't been seen to be done yet. */
export type Outgoing = {
  /** The Matrix event that it comes from. */
  id: string;
  user: string;
  room: string;
  /** A channel or a nick. */
  target: string;
} & ({ how: "join" } | { how: "part" } | { how: "topic"; text: string } | Said);

/** Something said on IRC that the homeserver hasn't taken yet. */
export interface Incoming {
  /** The id of the Matrix transaction: however often it is sent, there will be one event. */
  id: string;
  nick: string;
  /** When it was said, in milliseconds since 1970. */
  at: number;
  /** A channel, or the Matrix user that it was said to. */
  to: { channel: string } | { user: string };
  content: Content;
}

/** A private conversation between a Matrix user and someone on IRC. */
export interface Direct {
  user: string;
  nick: string;
}

interface Remembered {
  /** The Matrix events that were taken last, oldest first. */
  taken: string[];
  outgoing: Outgoing[];
  incoming: Incoming[];
  /** By the id of their room. */
  directs: Record<string, Direct>;
}

const eventsRemembered = 1000;

/**
 * What has to survive the bridge: what is on its way to either side, and which private room is whose. Rooms of channels
 * aren't here, the homeserver knows them.
 *
 * It is one JSON file, which is written beside the old one and takes its place, so that there is a whole one at every
 * moment. Changes that are made while it is being written go into the next one together.
 */
export class Memory {
  readonly #path: string;
  readonly #failed: (error: unknown) => void;
  readonly #remembered: Remembered;
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();

  /** `failed` hears of what couldn't be written; the bridge must not go on then, since it would forget. */
  constructor(path: string, failed: (error: unknown) => void) {
    this.#path = path;
    this.#failed = failed;
    mkdirSync(dirname(path), { recursive: true });
    this.#remembered = { taken: [], outgoing: [], incoming: [], directs: {}, ...read(path) };
  }

  /** Resolves once everything that was changed up to now is on the disk. */
  async saved(): Promise<void> {
    await (this.#next ?? this.#last);
  }

  /** Whether a Matrix event was taken before. */
  hasTaken(eventId: string): boolean {
    return this.#remembered.taken.includes(eventId);
  }

  /** Takes a Matrix event with everything that becomes of it. Resolves when none of it can be lost any more. */
  async take(eventId: string, outgoing: Outgoing[]): Promise<void> {
    const { taken } = this.#remembered;
    taken.push(eventId);
    taken.splice(0, taken.length - eventsRemembered);
    this.#remembered.outgoing.push(...outgoing);
    await this.#save();
  }

  /** The users with something on its way to IRC. */
  get senders(): Set<string> {
    return new Set(this.#remembered.outgoing.map(({ user }) => user));
  }

  /** The first thing that the user is about to do. */
  nextOf(user: string): Outgoing | undefined {
    return this.#remembered.outgoing.find((each) => each.user === user);
  }

  /** Whether a topic that was set on Matrix is still on its way. */
  willSetTopic(channel: string): boolean {
    return this.#remembered.outgoing.some(({ how, target }) => how === "topic" && target === channel);
  }

  async sent(outgoing: Outgoing): Promise<void> {
    remove(this.#remembered.outgoing, outgoing);
    await this.#save();
  }

  get incoming(): readonly Incoming[] {
    return this.#remembered.incoming;
  }

  async receive(incoming: Incoming): Promise<void> {
    this.#remembered.incoming.push(incoming);
    await this.#save();
  }

  async delivered(incoming: Incoming): Promise<void> {
    remove(this.#remembered.incoming, incoming);
    await this.#save();
  }

  /** The private conversation that a room is for. */
  directIn(room: string): Direct | undefined {
    return this.#remembered.directs[room];
  }

  /** The room for what someone on IRC says to a user. */
  roomFor(user: string, nick: string): string | undefined {
    const rooms = Object.entries(this.#remembered.directs);
    // The newest, should someone have invited the same ghost twice.
    return rooms.findLast(([, direct]) => direct.user === user && direct.nick === nick)?.[0];
  }

  /** The users with private conversations. */
  get talkers(): Set<string> {
    return new Set(Object.values(this.#remembered.directs).map(({ user }) => user));
  }

  async rememberDirect(room: string, direct: Direct): Promise<void> {
    this.#remembered.directs[room] = direct;
    await this.#save();
  }

  async forgetDirect(room: string): Promise<void> {
    delete this.#remembered.directs[room];
    await this.#save();
  }

  #save(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = null;
      this.#last = write(this.#path, JSON.stringify(this.#remembered)).catch(this.#failed);
      return this.#last;
    });
    return this.#next;
  }
}

function read(path: string): Partial<Remembered> {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Remembered;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

function remove<Item>(list: Item[], item: Item): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
