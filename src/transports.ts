import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isLoopback, type Config } from "./config.ts";
import type { Domain } from "./domain/domain.ts";
import type { Log, Meter, Tracer } from "./model/ports.ts";
import { addressReader } from "./transport/address.ts";
import { GraphiQLPage } from "./transport/graphiqlPage.ts";
import { createGraphQL } from "./transport/graphql.ts";
import { createLive } from "./transport/live/live.ts";
import { Load } from "./transport/load.ts";
import { createHttpServer } from "./transport/http.ts";
import { createLean } from "./transport/lean.ts";
import { createOperations } from "./transport/operations.ts";
import type { PersistedOperations } from "./transport/persistedOperations.ts";
import { apiRoutes } from "./transport/rest/apiPage.ts";
import { answeringCalls } from "./transport/rest/calls.ts";
import { peopleRoutes } from "./transport/rest/client/people.ts";
import { roomRoutes } from "./transport/rest/client/rooms.ts";
import { exportRoutes } from "./transport/rest/exports.ts";
import { healthRoutes } from "./transport/rest/health.ts";
import { mediaRoutes } from "./transport/rest/media.ts";
import { metricsRoutes } from "./transport/rest/metrics.ts";
import { serviceRoutes } from "./transport/rest/services.ts";
import { createRest, type Rest } from "./transport/rest/rest.ts";
import { Watch } from "./transport/watch.ts";
import { serveWebSockets } from "./transport/websocket.ts";

export interface TransportOptions {
  config: Config;
  domain: Domain;
  log: Log;
  meter: Meter;
  tracer: Tracer;
  /** The operations that clients may name; null where they send them. */
  persisted: PersistedOperations | null;
  /** What `/metrics` answers. */
  metrics(): Promise<string>;
  /** Whether application services are asked for requests. */
  hasServices(): boolean;
}

/** All ways by which clients reach the domain, on one port. */
export interface Transports {
  /** For gauges: who is connected, what followers were sent, and how much is under way. */
  clients: {
    webSockets(): number;
    connections(): Promise<number>;
    sent: { chunks: number; limited: number };
    load: Load;
  };
  /** Where it listens, e.g. http://127.0.0.1:8008 */
  listen(): Promise<string>;
  /** Stops accepting, answers what is under way, and tells who follows to come back. */
  close(): Promise<void>;
}

/** From Node 24 on it costs next to nothing that work knows the request that it is done for. */
const freeFollowing = Number(process.versions.node.split(".")[0]) >= 24;
const graphqlPath = "/graphql";
/** When the server stops: milliseconds for what is under way, and then for who is still being answered. */
const answeringMs = 2000;
const partingMs = 3000;

/** Wires the transports: GraphQL by its several ways, REST, and what operators ask. */
export function createTransports(options: TransportOptions): Transports {
  const { config, domain, log, meter, tracer, persisted } = options;
  const { serverName, allowedOrigins, publicUrl } = config;
  const origins = { loopback: isLoopback(config.host), serverName, publicUrl, allowedOrigins };
  const load = new Load(config.maxOperations);
  const operations = createOperations(domain, log, load, persisted);
  const graphql = createGraphQL(operations, log, graphqlPath);
  const page = operations.onlyPersisted ? null : new GraphiQLPage(domain.limits);
  const live = createLive(domain);
  const lean = createLean(operations, live, log);
  const place = { path: graphqlPath, origins, addressOf: addressReader(config.trustedProxies) };
  const areas = [mediaRoutes, exportRoutes, serviceRoutes].map((area) => area(domain));
  const operated = [
    healthRoutes(domain.readiness),
    metricsRoutes({ metrics: options.metrics, token: config.metricsToken }),
  ];
  const described = apiRoutes(() => rest.calls);
  const adders = [...areas, ...operated, ...roomRoutes(domain), ...peopleRoutes(domain), described];
  const rest: Rest = createRest(adders, answeringCalls(domain, load), log, origins);
  const everyRequest = config.logLevel === "trace" || config.logLevel === "debug";
  // Where others are asked for a request, what goes wrong there is to be found again by its id.
  const always = everyRequest || freeFollowing || config.policy !== null || config.media.s3 !== null;
  const follows = (): boolean => always || options.hasServices();
  const watch = new Watch({ meter, tracer, log, everyRequest, follows });
  const server = createHttpServer({ lean, graphql, rest, page }, log, place, { watch, load });
  const webSockets = serveWebSockets(server, { operations, live }, domain, log, place, watch);
  const connections = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, count = 0) => resolve(count)));

  return {
    clients: { webSockets: webSockets.count, connections, sent: live.sent, load },
    listen: () => listenOn(server, config),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // What is under way on sockets is answered before they are told to come back; the streams there end with them.
      await load.idle(answeringMs);
      const socketsClosed = webSockets.close();
      domain.stream.shutDown();
      await socketsClosed;
      server.closeIdleConnections();
      const deadline = setTimeout(() => server.closeAllConnections(), partingMs);
      await closed;
      clearTimeout(deadline);
    },
  };
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
/** Whether several sockets can listen on one port: Node has known how since 22.12, and Linux spreads connections evenly. */
const spreads = process.platform === "linux" && (major > 22 || (major === 22 && minor >= 12));

function listenOn(server: Server, { host, port, workers }: Config): Promise<string> {
  // Workers with sockets of their own get equal shares of the connections from the system; with one that they share,
  // whoever wakes first takes nearly all that come at once.
  const options = { host, port, ...(workers > 1 && spreads ? { reusePort: true } : {}) };
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.removeListener("error", reject);
      const address = server.address() as AddressInfo;
      resolve(`http://${host.includes(":") ? `[${host}]` : host}:${address.port}`);
    });
  });
}
