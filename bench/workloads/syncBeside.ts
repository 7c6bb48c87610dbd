import { alternate, type Case } from "../alternate.ts";
import { comparison } from "../compare.ts";
import type { Options } from "../options.ts";
import type { Peer, Synced } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import { rounded, type Table } from "../report.ts";

const messagesEach = 2;
const limit = 10;
const busyRooms = 10;
const newEvents = 5;

/** The sync of a user of many small rooms, as a device that has just signed in does it, on several servers. */
export async function syncBeside(options: Options): Promise<Table[]> {
  const count = options.rooms ?? 1000;
  const peers = await startPeers(options, {
    users: 2,
    rooms: Array.from({ length: count }, () => ({ members: [0, 1], messagesEach })),
  });
  // A server may keep its answer for a device: each sync is that of a new one.
  let devices = 0;
  const onNewDevice = async (peer: Peer): Promise<Synced> => {
    const device = await peer.clients[0]!.logIn(`device${devices++}`);
    const synced = await device.sync(null, limit);
    device.close();
    return checked(peer, synced, count);
  };
  const full = `full sync of ${count} rooms`;
  const difference = `difference, ${busyRooms} of ${count} rooms`;
  const cases: Case[] = [
    { name: full, run: async (peer) => figures(await onNewDevice(peer)) },
    {
      name: difference,
      async run(peer) {
        const [reader, writer] = [peer.clients[0]!, peer.clients[1]!];
        const { next } = await reader.sync(null, limit);
        for (const roomId of peer.rooms.slice(0, busyRooms)) {
          for (let sent = 0; sent < newEvents; sent++) await writer.send(roomId, `news ${sent}`);
        }
        return figures(checked(peer, await reader.sync(next, limit), Math.min(busyRooms, count)));
      },
    },
  ];
  for (const peer of peers) await onNewDevice(peer);
  const rows = await alternate(peers, cases, options);
  await stopPeers(peers);
  return [
    { title: `A user of ${count} rooms of two people, with the newest ${limit} events of each`, rows },
    ...comparison(rows, [
      { case: full, figure: "ms", better: "lower", goal: 20 },
      { case: difference, figure: "ms", better: "lower" },
    ]),
  ];
}

/** A fast answer that lacks rooms proves nothing. */
function checked(peer: Peer, synced: Synced, rooms: number): Synced {
  if (synced.rooms !== rooms) throw new Error(`${peer.name} gave ${synced.rooms} rooms instead of ${rooms}`);
  return synced;
}

function figures({ milliseconds, bytes }: Synced): Record<string, number> {
  return { ms: rounded(milliseconds), KB: rounded(bytes / 1024) };
}
