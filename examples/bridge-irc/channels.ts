import type { Names } from "./names.ts";

/** An IRC channel and its room. */
export interface Channel {
  /** Folded. */
  readonly name: string;
  readonly room: string;
  /** Who is there on IRC and isn't a Matrix user: nicks as they are spelled, by folded nick. */
  readonly present: Map<string, string>;
  /** User ids of ghosts in the room. */
  readonly ghosts: Set<string>;
  /** On IRC. */
  topic: string;
}

/** The channels that have rooms. */
export class Channels {
  readonly #names: Names;
  readonly #byName = new Map<string, Channel>();
  readonly #byRoom = new Map<string, Channel>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** Adds one, if it isn't there; null if it is. A channel has one room: the first. */
  add(name: string, room: string): Channel | null {
    if (this.#byName.has(name)) return null;
    const channel = { name, room, present: new Map(), ghosts: new Set<string>(), topic: "" };
    this.#byName.set(name, channel);
    this.#byRoom.set(room, channel);
    return channel;
  }

  named(name: string): Channel | undefined {
    return this.#byName.get(this.#names.fold(name));
  }

  in(room: string): Channel | undefined {
    return this.#byRoom.get(room);
  }

  get all(): Channel[] {
    return [...this.#byName.values()];
  }

  /** Those in which someone on IRC is. */
  with(nick: string): Channel[] {
    return this.all.filter(({ present }) => present.has(this.#names.fold(nick)));
  }
}
