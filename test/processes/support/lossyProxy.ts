import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import { until } from "../../kit/until.ts";

const restMs = 300;

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
  /**
   * The next statement that holds the text is carried out, but its answer doesn't come; that of an earlier one comes now.
   */
  holdAnswerTo(text: string): void;
  /** Whether an answer has come from the database and is held. */
  readonly holding: boolean;
  /** Resolves when nothing has been said on any connection for a while. */
  rest(): Promise<void>;
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
  let toHold: string | null = null;
  /** What gives the held answer, once it has come. */
  let release: (() => void) | null = null;
  let lastSaid = Date.now();

  const server = createServer((client) => {
    attempts++;
    if (!open) return void client.destroy();
    const upstream = connect(upstreamPath);
    let losing = false;
    let holding = false;
    sockets.add(client);
    client.on("data", (data) => {
      lastSaid = Date.now();
      if (toHold !== null && data.includes(toHold)) {
        toHold = null;
        holding = true;
      }
      if (toLose[0] !== undefined && data.includes(toLose[0])) {
        toLose = toLose.slice(1);
        losing = true;
      }
      upstream.write(data);
    });
    const held: Buffer[] = [];
    upstream.on("data", (data) => {
      lastSaid = Date.now();
      if (losing) return void client.destroy();
      if (!holding) return void client.write(data);
      held.push(data);
      release = () => {
        holding = false;
        release = null;
        for (const each of held.splice(0)) client.write(each);
      };
    });
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
    holdAnswerTo(text) {
      toHold = text;
      release?.();
    },
    get holding() {
      return release !== null;
    },
    rest: () => until(() => Date.now() - lastSaid > restMs),
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
