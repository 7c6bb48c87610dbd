import WebSocket from "ws";
import { until } from "../../../kit/until.ts";

/** What came for one operation, as it was written. */
export class RawOperation {
  /** The JSON of each execution result. */
  readonly payloads: string[] = [];
  /** Of a message of type `error`. */
  errors: { message: string; extensions?: Record<string, unknown> }[] | null = null;
  completed = false;

  get chunks(): Record<string, unknown>[] {
    return this.payloads.map((payload) => JSON.parse(payload) as Record<string, unknown>);
  }

  async until(condition: (operation: RawOperation) => boolean): Promise<void> {
    await until(
      () => condition(this),
      () => `there came ${this.payloads.length} payloads, ${JSON.stringify(this.errors)}`,
    );
  }
}

/** A WebSocket that speaks graphql-transport-ws by hand, so that a test sees each byte and may misbehave. */
export class RawSocket {
  readonly socket: WebSocket;
  readonly operations = new Map<string, RawOperation>();
  /** Ids in the order in which something came for them. */
  readonly order: string[] = [];
  closed: { code: number } | null = null;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer) => this.#take(data.toString()));
    socket.on("close", (code) => (this.closed = { code }));
    socket.on("error", () => undefined);
  }

  /** Connected and acknowledged. */
  static async open({ address, token }: { address: string; token: string | null }): Promise<RawSocket> {
    const socket = new WebSocket(`${address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const raw = new RawSocket(socket);
    await until(() => socket.readyState === socket.OPEN);
    raw.write({ type: "connection_init", payload: { authorization: `Bearer ${token}` } });
    await until(() => raw.order.includes("ack"));
    return raw;
  }

  write(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  start(id: string, query: string, variables: Record<string, unknown> = {}): RawOperation {
    const operation = new RawOperation();
    this.operations.set(id, operation);
    this.write({ id, type: "subscribe", payload: { query, variables } });
    return operation;
  }

  complete(id: string): void {
    this.write({ id, type: "complete" });
  }

  async close(): Promise<void> {
    this.socket.close();
    await until(() => this.closed !== null);
  }

  #take(text: string): void {
    const message = JSON.parse(text) as { id?: string; type: string; payload?: unknown };
    if (message.type === "connection_ack") this.order.push("ack");
    if (message.id === undefined) return;
    this.order.push(message.id);
    const operation = this.operations.get(message.id);
    if (operation === undefined) return;
    const before = `{"id":${JSON.stringify(message.id)},"type":"next","payload":`;
    if (message.type === "next") {
      operation.payloads.push(
        text.startsWith(before) ? text.slice(before.length, -1) : JSON.stringify(message.payload),
      );
    }
    if (message.type === "error") operation.errors = message.payload as RawOperation["errors"];
    if (message.type === "complete") operation.completed = true;
  }
}
