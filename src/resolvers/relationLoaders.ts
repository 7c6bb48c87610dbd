import type { Domain } from "../domain/domain.ts";
import {
  bundledBy,
  checkRelationToken,
  childCounts,
  childPages,
  reactionCounts,
  repliesBy,
  updatesOf,
} from "../domain/reading/relations.ts";
import type { ChildrenOf, Parent } from "../domain/reading/relations.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { RoomView } from "../model/room.ts";
import type { Requester } from "../model/requester.ts";
import type { Loaders } from "../schema/context.ts";
import { inGroups, type Batched } from "./batching.ts";

type RelationLoaders = Pick<Loaders, "updates" | "bundledReplies" | "replies" | "replyCount" | "reactions">;

interface ChildrenKey {
  event: StoredEvent;
  request: ChildrenOf;
  /** Equal for equal requests. */
  name: string;
}

/** The loaders of what hangs on events: updates, children, counts. [REL, UPD] */
export function relationLoaders(
  { reading }: Domain,
  signedIn: () => Requester,
  batched: Batched,
  roomOf: (roomId: string) => Promise<RoomView | null>,
): RelationLoaders {
  const eventName = (event: StoredEvent): string => event.eventId;

  async function parents(events: readonly StoredEvent[]): Promise<Parent[]> {
    const views = await Promise.all(events.map((event) => roomOf(event.roomId)));
    return events.map((event, index) => ({ event, view: views[index] ?? null }));
  }

  const updates = batched(
    async (events: readonly StoredEvent[]) => updatesOf(reading, await parents(events)),
    eventName,
  );
  const counts = batched(
    async (events: readonly StoredEvent[]) => childCounts(reading, await parents(events)),
    eventName,
  );
  const reactions = batched(
    async (events: readonly StoredEvent[]) => reactionCounts(reading, signedIn().userId, await parents(events)),
    eventName,
  );
  const children = batched(
    (keys: readonly ChildrenKey[]) =>
      // One statement for all parents that are asked for the same, as those of a page are.
      inGroups(
        keys,
        ({ name }) => name,
        async (group) => childPages(reading, await parents(group.map(({ event }) => event)), group[0]!.request),
      ),
    ({ event, name }) => `${event.eventId} ${name}`,
  );

  // Worked out once for all events of a page.
  const bundles = new Map<Filter, Omit<ChildrenKey, "event">>();
  function bundleOf(filter: Filter): Omit<ChildrenKey, "event"> {
    const bundle = bundles.get(filter) ?? {
      request: bundledBy(filter),
      name: `bundled ${JSON.stringify(filter.definition)}`,
    };
    bundles.set(filter, bundle);
    return bundle;
  }

  return {
    updates: async (event) => (event.updated === false ? [] : updates.load(event)),
    bundledReplies: (event, filter) => children.load({ event, ...bundleOf(filter) }),
    async replies(event, args) {
      const request = repliesBy(args);
      // Here, where it fails nobody else's.
      checkRelationToken(reading, request.token, event.eventId);
      return children.load({ event, request, name: JSON.stringify(args) });
    },
    replyCount: async (event, relType) => (await counts.load(event)).get(relType) ?? 0,
    reactions: (event) => reactions.load(event),
  };
}
