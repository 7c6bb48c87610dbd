import type { AddressInfo } from "node:net";
import type { App } from "../../src/app.ts";
import { isLoopback, type Config } from "../../src/config.ts";
import type { Log } from "../../src/model/ports.ts";
import { readPersistedOperations } from "../../src/persistedOperationsFile.ts";
import { addressReader } from "../../src/transport/address.ts";
import { createGraphQL } from "../../src/transport/graphql.ts";
import { Load } from "../../src/transport/load.ts";
import { createHttpServer } from "../../src/transport/http.ts";
import { createOperations } from "../../src/transport/operations.ts";
import { answeringCalls } from "../../src/transport/rest/calls.ts";
import { createRest } from "../../src/transport/rest/rest.ts";

/** Where else a server's domain answers HTTP, by yoga alone. */
const byYoga = new Map<string, { address: string; asked: number }>();

export interface YogaServer {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  close(): Promise<void>;
}

/** A second HTTP server over an app's domain, which knows no other way than yoga. */
export async function serveByYoga(
  { app, address }: { app: App; address: string },
  { host, serverName, publicUrl, allowedOrigins, trustedProxies, persistedOperations }: Config,
  log: Log,
): Promise<YogaServer> {
  const path = "/graphql";
  const load = new Load(Infinity);
  const operations = createOperations(app.domain, log, load, readPersistedOperations(persistedOperations));
  const graphql = createGraphQL(operations, log, path);
  const origins = { loopback: isLoopback(host), serverName, publicUrl, allowedOrigins };
  const server = createHttpServer(
    { lean: null, page: null, graphql, rest: createRest([], answeringCalls(app.domain, load), log, origins) },
    log,
    { path, origins, addressOf: addressReader(trustedProxies) },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const other = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  byYoga.set(address, { address: other, asked: 0 });
  return {
    address: other,
    async close() {
      byYoga.delete(address);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Where to send the next operation for a server: its straight way and yoga in turn, so that every test goes both.
 * HEARTH_TEST_HTTP=lean and =yoga send all one way.
 */
export function nextWay(address: string): string {
  const other = byYoga.get(address);
  if (other === undefined) return address;
  const only = process.env["HEARTH_TEST_HTTP"];
  if (only !== undefined) return only === "yoga" ? other.address : address;
  return other.asked++ % 2 === 0 ? address : other.address;
}
