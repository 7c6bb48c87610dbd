import { randomBytes, randomFillSync } from "node:crypto";
import { lookup } from "node:dns";
import ipaddr from "ipaddr.js";
import { Agent, fetch as undiciFetch } from "undici";
import type { Clock, Fetch, Ids } from "./model/ports.ts";

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** Ids from the machine's randomness. */
export const randomIds: Ids = {
  eventId(now) {
    const bytes = fewBytes(18);
    // The time first, so that neighbours in time are neighbours in the index; 96 random bits follow.
    bytes.writeUIntBE(now, 0, 6);
    return `$${bytes.toString("base64url")}`;
  },
  roomId: (serverName) => `!${randomBytes(15).toString("base64url")}:${serverName}`,
  opaque: () => randomBytes(16).toString("base64url"),
  secret: () => randomBytes(32).toString("base64url"),
};

const pool = Buffer.alloc(4096);
let taken = pool.length;

/** Random bytes of a supply, since asking the system costs the same for few as for many. Not for secrets. */
function fewBytes(count: number): Buffer {
  if (taken + count > pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  return Buffer.from(pool.subarray(taken, (taken += count)));
}

/** Calls over the machine's network. */
export const systemFetch: Fetch = (url, init) => fetch(url, init);

/**
 * Calls to addresses that strangers gave: only those of the public internet, so that nobody reaches into the network around
 * the server. Names are judged by what they lead to when the connection is made.
 */
export const publicFetch: Fetch = async (url, init) => {
  const { hostname } = new URL(url);
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (ipaddr.isValid(literal)) demandPublic(literal);
  return (await undiciFetch(url, { ...(init as object), dispatcher: publicOnly })) as unknown as Response;
};

const publicOnly = new Agent({
  connect: {
    lookup(hostname, options, callback) {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        try {
          if (error !== null) throw error;
          addresses.forEach(({ address }) => demandPublic(address));
          const [first] = addresses;
          if (options.all === true) callback(null, addresses);
          else callback(null, first!.address, first!.family);
        } catch (refused) {
          callback(refused as Error, []);
        }
      });
    },
  },
});

function demandPublic(address: string): void {
  if (ipaddr.process(address).range() !== "unicast") throw new Error(`${address} is no public address`);
}
