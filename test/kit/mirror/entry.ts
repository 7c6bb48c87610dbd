import type { AnyEvent, StoredEvent } from "../../../src/model/event.ts";
import type { Place } from "../../../src/model/order.ts";

/** An event as a client knows it, with its children by `updates` inside. [UPD-1] */
export interface Entry {
  id: string;
  /** The client's `order`: it compares places, and knows no stream positions. */
  place: Place;
  facts: Facts;
  children: Entry[];
}

/** What a client can tell of an event by itself, whichever way it came. */
interface Facts {
  type: string;
  stateKey: string | null;
  sender: string;
  sentAt: number;
  content: string | null;
  redactedBy: string | null;
  replaces: string | null;
  updates: string | null;
  redacts: string | null;
  relatesTo: string;
}

/** Takes over what an event says now, since the stored one may change when it is redacted. */
export function entryOf(event: StoredEvent, children: readonly StoredEvent[] = []): Entry {
  return {
    id: event.eventId,
    place: event.place,
    facts: {
      type: event.type,
      stateKey: event.stateKey,
      sender: event.sender,
      sentAt: event.sentAt,
      content: event.content,
      redactedBy: event.redactedById,
      replaces: event.replacesId,
      updates: event.updatesId,
      redacts: event.redactsId,
      relatesTo: JSON.stringify(event.relatesTo),
    },
    children: children.map((child) => entryOf(child)),
  };
}

/** A message or state event: what is stored. */
export function isStored(event: AnyEvent): event is StoredEvent {
  return event.kind !== "EPHEMERAL";
}

/** What makes two entries equal. */
export function sameEntry(one: Entry, other: Entry): boolean {
  const visible = ({ id, facts, children }: Entry): unknown => [
    id,
    facts,
    children.map((child) => [child.id, child.facts]),
  ];
  return JSON.stringify(visible(one)) === JSON.stringify(visible(other));
}

/** One line for people. */
export function describeEntry({ id, facts, children }: Entry): string {
  const key = facts.stateKey === null ? "" : `/${facts.stateKey}`;
  const redacted = facts.redactedBy === null ? "" : ` redacted by ${facts.redactedBy}`;
  const links = [
    facts.replaces && `replaces ${facts.replaces}`,
    facts.updates && `updates ${facts.updates}`,
    facts.redacts && `redacts ${facts.redacts}`,
    facts.relatesTo !== "[]" && `relates to ${facts.relatesTo}`,
  ].filter(Boolean);
  const inside = children.map((child) => `\n      + ${describeEntry(child)}`).join("");
  return `${id} ${facts.type}${key} by ${facts.sender} ${facts.content}${redacted} ${links.join(", ")}${inside}`;
}
