import type { AnyEvent, StoredEvent } from "./event.ts";
import type { Filter } from "./filter.ts";
import type { Place } from "./order.ts";
import type { RoomView } from "./room.ts";

/** A Relay connection before it is rendered. `total` runs only when it is asked for. */
export interface Connection<T> {
  edges: Edge<T>[];
  hasPreviousPage: boolean;
  hasNextPage: boolean;
  /** The cursors of the page's ends, where they aren't those of its first and last edge: a page may be empty. */
  start?: string;
  end?: string;
  /** How many there are in all; null where they are all on this page. */
  total?: () => Promise<number | null>;
}

export interface Edge<T> {
  /** A chunk token. [STR-4] */
  cursor: string;
  node: T;
}

/** An edge whose cursor is made only if somebody asks for it: signing one costs more than most of what a page costs. */
export function lazyEdge<T>(node: T, cursorOf: () => string): Edge<T> {
  return new LazyEdge(node, cursorOf);
}

/** A class, since an object with a getter of its own is five times as large, and a sync has an edge for each event. */
class LazyEdge<T> implements Edge<T> {
  readonly node: T;
  readonly #cursorOf: () => string;

  constructor(node: T, cursorOf: () => string) {
    this.node = node;
    this.#cursorOf = cursorOf;
  }

  get cursor(): string {
    return this.#cursorOf();
  }
}

/** A page of state, with the filter that shapes its JSON. */
export interface StateConnection extends Connection<StoredEvent> {
  filter?: Filter;
}

/** A page of events, with the filter that shapes their JSON and what they bundle. [REL-2] */
export interface EventConnection extends Connection<AnyEvent> {
  filter: Filter;
  /** What lies before it, for an estimate of how much that is; null where nobody can tell. [SCR-5] */
  before: PageStart | null;
}

/** Where a page of a room begins, as far as its reader may see up to a stream position. */
export interface PageStart {
  view: RoomView;
  place: Place;
  upTo: number;
}
