/** An event as the database holds it: what the oracle judges by. */
export interface HistoryEvent {
  id: string;
  type: string;
  /** Null for messages. */
  stateKey: string | null;
  sender: string;
  /** Null when the event deletes its state. */
  content: Record<string, unknown> | null;
  replacesId: string | null;
  updatesId: string | null;
  relatesTo: { type: string; eventId: string; key: string | null }[];
  redactsId: string | null;
  redactedById: string | null;
}

/** How the reader and the room stand to each other between two neighbouring events. */
interface Moment {
  visibility: string;
  membership: string | null;
  joinedThenOrLater: boolean;
}

const concerning = ["join", "invite", "knock"];

/**
 * Says which events of a room one reader may see, straight from the words of [EV-9]: it walks through the room's events,
 * remembers the reader's membership and the room's visibility, and judges every event by the moments around it.
 */
export class Oracle {
  readonly events: HistoryEvent[];
  readonly readerId: string;
  /** What held before each event, and at last what holds now. */
  readonly #moments: Moment[] = [];
  readonly #places: Map<string, number>;
  readonly #readable: boolean[];

  /** `events`: all that the room has, oldest first. */
  constructor(events: HistoryEvent[], readerId: string) {
    this.events = events;
    this.readerId = readerId;
    this.#places = new Map(events.map((event, place) => [event.id, place]));
    let now: Moment = { visibility: "shared", membership: null, joinedThenOrLater: false };
    for (const event of [...events, null]) {
      this.#moments.push({ ...now });
      if (event?.type === "m.room.history_visibility") {
        now = { ...now, visibility: String(event.content?.["history_visibility"]) };
      }
      if (event?.type === "m.room.member" && event.stateKey === readerId) {
        now = { ...now, membership: (event.content?.["membership"] as string | undefined) ?? null };
      }
    }
    let joined = false;
    for (const moment of [...this.#moments].reverse()) {
      joined ||= moment.membership === "join";
      moment.joinedThenOrLater = joined;
    }
    // What opens or closes the room to the reader is read from either side.
    this.#readable = events.map(
      (_event, place) => readable(this.#moments[place]!) || readable(this.#moments[place + 1]!),
    );
  }

  place(id: string): number {
    return this.#places.get(id)!;
  }

  event(id: string): HistoryEvent {
    return this.events[this.place(id)]!;
  }

  /** Whether the event stands where the reader may read. */
  mayRead({ id }: HistoryEvent): boolean {
    return this.#readable[this.place(id)]!;
  }

  /** Whether there is a room at all, as far as the reader can tell. */
  get exists(): boolean {
    return this.events.some((event) => this.mayRead(event));
  }

  /** Whether the event can be asked for by its id. */
  maySee(event: HistoryEvent): boolean {
    if (this.mayRead(event) || this.#concernsReader(event)) return true;
    return this.exists && this.stateAt(this.end).includes(event);
  }

  /** Whether the reader's event stream carries the event: they were in the room, or it is about them. */
  isStreamed(event: HistoryEvent): boolean {
    const before = this.#moments[this.place(event.id)]!.membership;
    return isOwn(event, this.readerId) ? this.#concernsReader(event) : before === "join";
  }

  get membership(): string | null {
    return this.#moments.at(-1)!.membership;
  }

  membershipAfter(place: number): string | null {
    return this.#moments[place + 1]!.membership;
  }

  /** The last place that the reader knows of: the present, or where they last could read. */
  get end(): number {
    if (readable(this.#moments.at(-1)!)) return this.events.length - 1;
    return this.events.findLastIndex((event) => this.mayRead(event));
  }

  /** The events that hold the room's state after a place. */
  stateAt(place: number): HistoryEvent[] {
    return this.slotsAt(place).filter(({ content }) => content !== null);
  }

  /** The same with those that emptied their slot. */
  slotsAt(place: number): HistoryEvent[] {
    const slots = new Map<string, HistoryEvent>();
    for (const event of this.events.slice(0, place + 1)) {
      if (event.stateKey !== null) slots.set(JSON.stringify([event.type, event.stateKey]), event);
    }
    return [...slots.values()];
  }

  /** What timelines list, oldest first: without what is bundled into other events. */
  listed(bundled: { updates: boolean; relations: boolean } = { updates: true, relations: false }): HistoryEvent[] {
    return this.events.filter(
      (event) =>
        this.mayRead(event) &&
        !(bundled.updates && event.updatesId !== null) &&
        !(bundled.relations && event.relatesTo.length > 0),
    );
  }

  /** The readable events that relate to one, by a type if it is given. */
  children(parentId: string, type: string | null = null): HistoryEvent[] {
    const links = (child: HistoryEvent): boolean =>
      child.relatesTo.some((relation) => relation.eventId === parentId && (type === null || relation.type === type));
    return this.events.filter((event) => this.mayRead(event) && links(event));
  }

  /** The descendants of an event by `updates`, where all of the line down to them is readable. */
  updates(ancestorId: string): HistoryEvent[] {
    return this.events.filter((event) => this.#readablyUpdates(event, ancestorId));
  }

  #readablyUpdates(event: HistoryEvent, ancestorId: string): boolean {
    if (event.updatesId === null || !this.mayRead(event)) return false;
    return event.updatesId === ancestorId || this.#readablyUpdates(this.event(event.updatesId), ancestorId);
  }

  /** The event that all the updates above an event lead to. */
  root(event: HistoryEvent): HistoryEvent {
    return event.updatesId === null ? event : this.root(this.event(event.updatesId));
  }

  #concernsReader(event: HistoryEvent): boolean {
    const place = this.place(event.id);
    const around = [this.#moments[place]!.membership, this.#moments[place + 1]!.membership];
    return isOwn(event, this.readerId) && around.some((membership) => concerning.includes(membership ?? ""));
  }
}

function isOwn({ type, stateKey }: HistoryEvent, readerId: string): boolean {
  return type === "m.room.member" && stateKey === readerId;
}

function readable({ visibility, membership, joinedThenOrLater }: Moment): boolean {
  if (visibility === "world_readable") return true;
  if (visibility === "shared") return joinedThenOrLater;
  if (visibility === "invited") return membership === "join" || membership === "invite";
  return membership === "join";
}
