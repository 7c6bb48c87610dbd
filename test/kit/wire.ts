import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

/** A connection to write raw HTTP to, and what came back so far. */
export class Wire {
  readonly socket: Socket;
  received = "";
  closed = false;

  constructor(address: string) {
    const { hostname, port } = new URL(address);
    this.socket = connect({ host: hostname, port: Number(port) });
    this.socket.setEncoding("latin1").on("data", (text: string) => (this.received += text));
    this.socket.on("error", () => undefined).on("close", () => (this.closed = true));
  }

  write(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  async gets(text: string): Promise<void> {
    await until(
      () => this.received.includes(text),
      () => `it got ${this.received.slice(0, 500)}`,
    );
  }

  async ends(): Promise<void> {
    await until(() => this.closed);
  }
}
