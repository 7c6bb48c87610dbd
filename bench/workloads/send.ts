import { randomUUID } from "node:crypto";
import { alternate, type Case } from "../alternate.ts";
import { comparison, type Compared } from "../compare.ts";
import type { Options } from "../options.ts";
import type { Client, Peer } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import type { Report } from "../report.ts";
import { runLoad } from "../runLoad.ts";
import { program } from "../../scripts/program.ts";

/** Clients that send one event at a time and wait for its answer: all in one room, then each in a room of its own. */
export async function send(options: Options): Promise<Report> {
  const count = options.clients ?? 64;
  const numbers = Array.from({ length: count }, (_, number) => number);
  const peers = await startPeers(options, {
    users: count,
    rooms: [
      { members: numbers, messagesEach: 0 },
      ...numbers.map((number) => ({ members: [number], messagesEach: 0 })),
    ],
  });
  const rows = await alternate(peers, casesOf(options), options);
  await stopPeers(peers);
  return {
    server: program().from,
    rows: rows.map((row) => ({ ...row, clients: count })),
    tables: comparison(rows, comparisons),
  };
}

type Send = (client: Client, roomId: string, body: string) => Promise<string>;

const oneRoom = "HTTP, one room";
const roomEach = "HTTP, a room each";

function casesOf(options: Options): Case[] {
  const overHttp: Send = (client, roomId, body) => client.send(roomId, body);
  // Which is what every request to Synapse has.
  const withActionId: Send = (client, roomId, body) => client.send(roomId, body, randomUUID());
  const overSocket: Send = (client, roomId, body) => client.sendBySocket!(roomId, body);
  const only = (peer: Peer): boolean => peer.name === "hearth";
  const ways: [name: string, send: Send, possible?: (peer: Peer) => boolean][] = [
    ["HTTP", overHttp],
    ["HTTP with action ids", withActionId, only],
    ["WebSocket", overSocket, (peer) => peer.clients[0]!.sendBySocket !== null],
  ];
  return ways.flatMap(([name, send, possible]) =>
    [
      { name: `${name}, one room`, roomOf: () => 0 },
      { name: `${name}, a room each`, roomOf: (client: number) => 1 + client },
    ].map(({ name, roomOf }) => ({
      ...{ name, possible },
      run: (peer: Peer) => runLoad(peer, callersOf(peer, send, roomOf), options, "events/s"),
    })),
  );
}

function callersOf(
  { clients, rooms }: Peer,
  send: Send,
  roomOf: (client: number) => number,
): (() => Promise<string>)[] {
  return clients.map((client, number) => {
    const roomId = rooms[roomOf(number)]!;
    let sent = 0;
    return () => send(client, roomId, `message ${sent++}`);
  });
}

const comparisons: Compared[] = [
  { case: oneRoom },
  { case: "HTTP with action ids, one room", against: oneRoom },
  { case: "WebSocket, one room", against: oneRoom },
  { case: roomEach },
  { case: "HTTP with action ids, a room each", against: roomEach },
  { case: "WebSocket, a room each", against: roomEach },
].flatMap((each): Compared[] => [
  { ...each, figure: "events/s", better: "higher", goal: 40 },
  { ...each, figure: "p99 ms", better: "lower", goal: 20 },
]);
