import { randomInt } from "node:crypto";
import { alternate, type Case } from "../alternate.ts";
import { comparison, type Compared } from "../compare.ts";
import type { Options } from "../options.ts";
import type { Peer } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import type { Table } from "../report.ts";
import { runLoad } from "../runLoad.ts";

const members = 10;
const sizes = [20, 50];
const goal = 10;

/** Pages of a room of a thousand messages, at its end and anywhere, on several servers. */
export async function scrollbackBeside(options: Options): Promise<Table[]> {
  const messagesEach = Math.ceil((options.events?.[0] ?? 1000) / members);
  const numbers = Array.from({ length: members }, (_, number) => number);
  const peers = await startPeers(options, { users: members, rooms: [{ members: numbers, messagesEach }] });
  const count = Math.min(options.clients ?? 4, members);
  const cases: Case[] = [];
  for (const size of sizes) {
    const places = new Map<Peer, string[]>();
    for (const peer of peers) places.set(peer, await placesOf(peer, size));
    cases.push(
      pageCase(`${size} newest`, { size, count, place: () => null }, options),
      pageCase(`${size} anywhere`, { size, count, place: (peer) => oneOf(places.get(peer)!) }, options),
    );
  }
  const rows = await alternate(peers, cases, options);
  await stopPeers(peers);
  return [
    { title: `Pages of a room of ${messagesEach * members} messages, ${count} clients`, rows },
    ...comparison(
      rows,
      cases.map(({ name }): Compared => ({ case: name, figure: "p50 ms", better: "lower", goal })),
    ),
  ];
}

interface PageKind {
  size: number;
  /** How many clients ask side by side. */
  count: number;
  place(peer: Peer): string | null;
}

function pageCase(name: string, { size, count, place }: PageKind, options: Options): Case {
  const callerOf = (peer: Peer, client: number) => async (): Promise<void> => {
    const { eventIds } = await peer.clients[client]!.page(peer.rooms[0]!, size, place(peer));
    if (eventIds.length !== size) throw new Error(`the page has ${eventIds.length} events instead of ${size}`);
  };
  return {
    name,
    run(peer) {
      const callers = Array.from({ length: count }, (_, client) => callerOf(peer, client));
      return runLoad(peer, callers, options, "pages/s");
    },
  };
}

/** Walks through the room once, for the places that have a full page before them. */
async function placesOf(peer: Peer, size: number): Promise<string[]> {
  const places: string[] = [];
  let before: string | null = null;
  do {
    const page = await peer.clients[0]!.page(peer.rooms[0]!, size, before);
    if (page.eventIds.length === size && before !== null) places.push(before);
    before = page.before;
  } while (before !== null);
  if (places.length === 0) throw new Error(`the room has no two pages of ${size} events`);
  return places;
}

function oneOf<Item>(items: readonly Item[]): Item {
  return items[randomInt(items.length)]!;
}
