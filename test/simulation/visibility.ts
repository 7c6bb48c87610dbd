import { membershipMade, type HeldEvent, type Journal } from "./journal.ts";

interface Stretch {
  from: number;
  membership: string;
  visibility: string;
}

/**
 * What one user may read of a room, told from its events alone: from the memberships and history visibilities that were
 * not rejected, as if the others had never been. [EV-9, EVS-7]
 */
export class Reader {
  readonly #stretches: Stretch[] = [{ from: 0, membership: "", visibility: "shared" }];

  /** `events`: the room's, in stream order. */
  constructor(events: readonly HeldEvent[], userId: string, rejected: ReadonlySet<string>) {
    for (const event of events) {
      if (event.insertedAfter !== null || rejected.has(event.id)) continue;
      const last = this.#stretches.at(-1)!;
      if (event.type === "m.room.member" && event.key === userId) {
        this.#stretches.push({ ...last, from: event.position, membership: membershipMade(event) });
      } else if (event.type === "m.room.history_visibility" && event.key === "_") {
        this.#stretches.push({ ...last, from: event.position, visibility: visibilityMade(event) });
      }
    }
  }

  get membership(): string {
    return this.#stretches.at(-1)!.membership;
  }

  /** What is inserted after an event happened while what it brought about held; a border itself belongs to both sides. */
  reads({ major, minor }: Pick<HeldEvent, "major" | "minor">): boolean {
    const index = this.#stretches.findLastIndex(({ from }) => from <= major);
    const atBorder = index > 0 && minor === "" && this.#stretches[index]!.from === major;
    return this.#readable(index) || (atBorder && this.#readable(index - 1));
  }

  #readable(index: number): boolean {
    const { membership, visibility } = this.#stretches[index]!;
    if (visibility === "world_readable") return true;
    if (visibility === "shared") return this.#stretches.slice(index).some((each) => each.membership === "join");
    return membership === "join" || (visibility === "invited" && membership === "invite");
  }
}

function visibilityMade({ made }: HeldEvent): string {
  return made === null ? "shared" : (JSON.parse(made) as { history_visibility: string }).history_visibility;
}

/**
 * Events of a room whose visibility to a user a rejection has changed. A client that had them keeps them and one that
 * hadn't doesn't learn of them, since no stream tells of it: whatever it holds of these is right. With all that is inside
 * of them.
 */
export function disputed({ rejected }: Journal, events: readonly HeldEvent[], userId: string): Set<string> {
  const byId = new Map(events.map((event) => [event.id, event]));
  const deciding = [...rejected.keys()].filter((id) => {
    const event = byId.get(id);
    return event?.type === "m.room.history_visibility" || (event?.type === "m.room.member" && event.key === userId);
  });
  const found = new Set<string>();
  if (deciding.length === 0) return found;
  const stages = [...deciding.keys(), deciding.length].map(
    (count) => new Reader(events, userId, new Set(deciding.slice(0, count))),
  );
  for (const event of events) {
    const readable = stages.filter((stage) => stage.reads(event)).length;
    if ((readable > 0 && readable < stages.length) || found.has(event.updates ?? "")) found.add(event.id);
  }
  return found;
}

/**
 * Insertions that a difference between two positions leaves out, since they are no news: they stand before the first.
 * [SYN-2] With all that is inside of them.
 */
export function insertedBehind(
  { events }: Pick<Journal, "events">,
  differences: readonly { after: number; to: number }[],
): Set<string> {
  const found = new Set<string>();
  for (const { id, insertedAfter, position, major, updates } of events) {
    const missed = differences.some(({ after, to }) => position > after && position <= to && major <= after);
    if ((insertedAfter !== null && missed) || found.has(updates ?? "")) found.add(id);
  }
  return found;
}
