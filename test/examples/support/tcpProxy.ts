import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A network between a client and a server that can fail. */
export interface TcpProxy {
  /** The server's address by way of the proxy. */
  address: string;
  /** Ends all connections without a goodbye and takes no more until `mend`. */
  cut(): void;
  mend(): void;
  /** The next request that holds the text reaches the server, but its answer is lost with the connection. */
  loseAnswerTo(text: string): void;
  close(): Promise<void>;
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let whole = true;
  let losing: string | null = null;
  const server = createServer((client) => {
    if (!whole) return void client.destroy();
    const upstream = connect(Number(port), hostname);
    let deaf = false;
    client.on("data", (data) => {
      if (losing !== null && data.includes(losing)) [deaf, losing] = [true, null];
      upstream.write(data);
    });
    upstream.on("data", (data) => (deaf ? client.destroy() : client.write(data)));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    mend: () => void (whole = true),
    loseAnswerTo: (text) => void (losing = text),
    close() {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
