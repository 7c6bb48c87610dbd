import { alternate, type Case } from "../alternate.ts";
import { comparison } from "../compare.ts";
import { eachOf } from "../eachOf.ts";
import type { Options } from "../options.ts";
import { hearth } from "../peers/hearth/hearth.ts";
import type { Client } from "../peers/peer.ts";
import { stopPeers } from "../peers/peers.ts";
import type { Report } from "../report.ts";
import { runLoad } from "../runLoad.ts";
import { program } from "../../scripts/program.ts";

const goal = 1.6;

/** The sends of `send`, each client in a room of its own, to a server of two workers and to one of one. */
export async function workers(options: Options): Promise<Report> {
  const count = options.clients ?? 64;
  const numbers = Array.from({ length: count }, (_, number) => number);
  const kinds = [2, 1].map((workers) =>
    hearth(options, workers === 1 ? "1 worker" : `${workers} workers`, { HEARTH_WORKERS: String(workers) }),
  );
  const plan = { users: count, rooms: numbers.map((number) => ({ members: [number], messagesEach: 0 })) };
  const peers = await eachOf(kinds, kinds.length, (kind) => kind.start(plan));
  const cases: Case[] = [
    sends("HTTP", (client, roomId, body) => client.send(roomId, body)),
    sends("WebSocket", (client, roomId, body) => client.sendBySocket!(roomId, body)),
  ];

  const rows = await alternate(peers, cases, { ...options, rounds: options.rounds ?? 5 });
  await stopPeers(peers);
  return {
    server: program().from,
    rows: rows.map((row) => ({ ...row, clients: count })),
    tables: comparison(
      rows,
      cases.map(({ name }) => ({ case: name, figure: "events/s", better: "higher" as const, goal })),
    ),
  };

  function sends(name: string, send: (client: Client, roomId: string, body: string) => Promise<unknown>): Case {
    return {
      name,
      run({ clients, rooms, ...peer }) {
        let sent = 0;
        const callers = clients.map((client, number) => () => send(client, rooms[number]!, `message ${sent++}`));
        return runLoad({ ...peer, clients, rooms }, callers, options, "events/s");
      },
    };
  }
}
