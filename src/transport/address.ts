import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { plainAddress, rangeTest } from "../model/addresses.ts";

/** Where a request came from; null where that can't be told, as of a connection that is gone. */
export type AddressOf = (req: Pick<IncomingMessage, "socket" | "headers">) => string | null;

/**
 * Reads where requests came from: the other end of the connection, unless that is one of the trusted proxies; then the last
 * address of `X-Forwarded-For` that is none of them, since each proxy adds the one that it saw to what was there, which
 * anybody may have written.
 */
export function addressReader(trustedProxies: readonly string[]): AddressOf {
  const isTrusted = rangeTest(trustedProxies);
  const peers = new WeakMap<Socket, string>();

  function peerOf(socket: Socket): string | null {
    let peer = peers.get(socket) ?? null;
    if (peer !== null) return peer;
    peer = plainAddress(socket.remoteAddress ?? "");
    if (peer !== null) peers.set(socket, peer);
    return peer;
  }

  return ({ socket, headers }) => {
    const peer = peerOf(socket);
    if (trustedProxies.length === 0 || peer === null || !isTrusted(peer)) return peer;
    let nearest = peer;
    for (const each of String(headers["x-forwarded-for"] ?? "")
      .split(",")
      .reverse()) {
      const address = plainAddress(each.trim());
      // What isn't an address no proxy of ours has added: it is as much as nothing.
      if (address === null) return nearest;
      if (!isTrusted(address)) return address;
      nearest = address;
    }
    return nearest;
  };
}
