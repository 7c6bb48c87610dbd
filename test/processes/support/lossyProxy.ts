import { createServer, connect, type AddressInfo, type Socket } from "node:net";

/** Stands between a server and its PostgreSQL, and breaks connections at the worst moment. */
export interface LossyProxy {
  /** The database's connection string by way of the proxy. */
  url: string;
  /**
   * The next statement that holds the first text is carried out, but its answer is lost with the connection; then the
   * same for the second, and so on.
   */
  loseAnswersTo(...texts: string[]): void;
  /** How many of them are still to come. */
  readonly pending: number;
  /** Ends all connections, and takes no more until `admit`. */
  shutOut(): void;
  admit(): void;
  /** Connections that were tried so far. */
  readonly attempts: number;
  close(): Promise<void>;
}

/** `databaseUrl` names a Unix socket's directory as `host`, as the embedded PostgreSQL's does. */
export async function startLossyProxy(databaseUrl: string): Promise<LossyProxy> {
  const url = new URL(databaseUrl);
  const upstreamPath = `${url.searchParams.get("host")}/.s.PGSQL.${url.port || "5432"}`;
  const sockets = new Set<Socket>();
  let toLose: string[] = [];
  let open = true;
  let attempts = 0;

  const server = createServer((client) => {
    attempts++;
    if (!open) return void client.destroy();
    const upstream = connect(upstreamPath);
    let losing = false;
    sockets.add(client);
    client.on("data", (data) => {
      if (toLose[0] !== undefined && data.includes(toLose[0])) {
        toLose = toLose.slice(1);
        losing = true;
      }
      upstream.write(data);
    });
    upstream.on("data", (data) => (losing ? client.destroy() : client.write(data)));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => one.destroy());
      one.on("close", () => {
        sockets.delete(client);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  url.searchParams.delete("host");
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    loseAnswersTo: (...texts) => void (toLose = texts),
    get pending() {
      return toLose.length;
    },
    shutOut() {
      open = false;
      cutAll();
    },
    admit: () => void (open = true),
    get attempts() {
      return attempts;
    },
    close() {
      cutAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
