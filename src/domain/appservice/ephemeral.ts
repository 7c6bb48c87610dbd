import type { AnyEvent, EphemeralEvent, StoredEvent } from "../../model/event.ts";
import { markerKindOf } from "../../model/marker.ts";
import { olderEphemeral } from "../../model/olderEphemeral.ts";
import { interestingRooms } from "../../store/appServices.ts";
import type { Connection } from "../../store/database.ts";
import type { Registry } from "./registry.ts";

/** What passes and isn't stored, for the services that ask for it: typing, receipts, presence. [AS-5] */
export interface EphemeralSource {
  /** An ephemeral event was told in rooms. */
  told(roomIds: Iterable<string>, event: EphemeralEvent): void;
  /** Events passed, moves of markers among them. */
  passed(events: readonly StoredEvent[]): void;
  /** What there is for a service since the last time, in the older form: of each kind the newest. It is forgotten here. */
  take(serviceId: string): Promise<object[]>;
}

export interface EphemeralSourceOptions {
  connection: Connection;
  registry: Registry;
  /** Whether this process sends to a service; only then anything is kept for it. */
  isSent(serviceId: string): boolean;
  /** Is called when there is something. */
  onKept(serviceIds: string[]): void;
}

interface Kept {
  roomIds: string[];
  event: AnyEvent;
}

/** What is kept for a service that takes nothing: beyond, the oldest is forgotten. */
const maxKept = 500;
/** Rooms by which a user's presence is of interest, as far as is looked. */
const maxRooms = 100;

export function createEphemeralSource({
  connection,
  registry,
  isSent,
  onKept,
}: EphemeralSourceOptions): EphemeralSource {
  const kept = new Map<string, Map<string, Kept>>();

  /** The services that ask for it and that this process sends to. */
  function asking(): string[] {
    const { services } = registry.current();
    return services.flatMap(({ id, ephemeral, url }) => (ephemeral && url !== null && isSent(id) ? [id] : []));
  }

  function keep(serviceIds: readonly string[], name: string, each: Kept): void {
    for (const id of serviceIds) {
      const mine = kept.get(id) ?? new Map<string, Kept>();
      kept.set(id, mine);
      mine.delete(name);
      mine.set(name, each);
      if (mine.size > maxKept) mine.delete(mine.keys().next().value!);
    }
  }

  return {
    told(roomIds, event) {
      const serviceIds = asking();
      if (serviceIds.length === 0) return;
      const rooms: string[] = [];
      for (const roomId of roomIds) if (rooms.push(roomId) === maxRooms) break;
      keep(serviceIds, event.eventId, { roomIds: rooms, event });
      onKept(serviceIds);
    },
    passed(events) {
      const serviceIds = asking();
      if (serviceIds.length === 0) return;
      const receipts = events.filter(
        ({ marker, type }) => marker !== null && marker !== "own" && markerKindOf(type) === "read",
      );
      for (const event of receipts) {
        const name = `receipt ${event.roomId} ${event.stateKey ?? ""}`;
        keep(serviceIds, name, { roomIds: [event.roomId], event });
      }
      if (receipts.length > 0) onKept(serviceIds);
    },
    async take(serviceId) {
      const mine = [...(kept.get(serviceId)?.values() ?? [])];
      kept.delete(serviceId);
      if (mine.length === 0) return [];
      const rooms = new Set(
        await interestingRooms(
          connection,
          serviceId,
          mine.flatMap(({ roomIds }) => roomIds),
        ),
      );
      return mine.flatMap(({ roomIds, event }) => (roomIds.some((id) => rooms.has(id)) ? [olderEphemeral(event)] : []));
    },
  };
}
