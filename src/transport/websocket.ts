import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { GraphQLError } from "graphql";
import { useServer, type Extra } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import type { Domain } from "../domain/domain.ts";
import { HearthError, type ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { presentError } from "./errors.ts";
import { authenticate } from "./authentication.ts";
import type { Place } from "./http.ts";
import type { Live } from "./live/live.ts";
import { SocketStreams } from "./live/socketStreams.ts";
import type { Operations, OperationSource } from "./operations.ts";
import { mayCall } from "./origins.ts";
import { nobodyWatches, type Served } from "./watch.ts";

/** Bytes of one message from a client. */
const maxPayload = 256 * 1024;

export interface WebSockets {
  /** Ends all sockets, telling their clients to come back. */
  close(): Promise<void>;
  /** How many are open. */
  count(): number;
}

/** GraphQL over WebSocket (graphql-transport-ws) at one path, with `authorization` in `connection_init`. */
export function serveWebSockets(
  server: Server,
  { operations, live }: { operations: Operations; live: Live },
  domain: Domain,
  log: Log,
  { path, origins, addressOf }: Place,
  watch = nobodyWatches,
): WebSockets {
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false });
  const streams = new WeakMap<Extra["socket"], SocketStreams>();
  const streamsOf = (extra: Extra): SocketStreams => {
    const known = streams.get(extra.socket) ?? new SocketStreams(extra);
    streams.set(extra.socket, known);
    return known;
  };
  const begun = (traceparent: string | null): Served =>
    watch.begin({ requestId: randomUUID(), transport: "websocket", method: null, path, traceparent });
  const source = (
    req: IncomingMessage,
    params: Record<string, unknown> | undefined,
    served: Served,
  ): OperationSource => ({
    ...{ req, served, address: addressOf(req) },
    requestId: served.requestId,
    authorization: authorizationOf(req, params),
    live: true,
    readOnly: false,
    sessionId: textOf(params, "sessionId") ?? textOf(params, "X-Session-Id"),
  });

  const protocol = useServer<Record<string, unknown>>(
    {
      async onConnect({ connectionParams, extra }) {
        try {
          const req = extra.request;
          const authorization = authorizationOf(req, connectionParams);
          const asking = { req, address: addressOf(req), requestId: randomUUID(), authorization, sessionId: null };
          const requester = await authenticate(domain, asking);
          if (requester === null) return true;
          // Whichever the client thinks it is: with each operation that says so, it is told whether it is right. [SES-2]
          const { session } = await domain.sessions.request(requester, null);
          return { session: { id: session.sessionId } };
        } catch (error) {
          // By this code clients know that they may come back, and when they are told to go, that they may not.
          if (error instanceof HearthError && error.code === "RATE_LIMITED")
            extra.socket.close(1013, "Try again later.");
          if (error instanceof HearthError) return false;
          throw error;
        }
      },
      async onSubscribe({ connectionParams, extra }, id, payload) {
        // GraphiQL sends its Headers tab with each operation: it opens its socket before anything was typed there.
        const headers = headersOf(payload.extensions);
        const served = begun(textOf(headers, "traceparent"));
        const operation = source(extra.request, { ...connectionParams, ...headers }, served);
        const present = (error: unknown) => presentError(error, log, operation.requestId);
        const refused = (errors: readonly GraphQLError[]): readonly GraphQLError[] => {
          errors.forEach(({ extensions }) => served.refused(extensions["code"] as ErrorCode));
          served.end(200);
          return errors;
        };
        try {
          const prepared = operations.prepare(payload, operation);
          if ("errors" in prepared) return refused(prepared.errors);
          const contextValue = await served.run(() => operations.context(operation));
          return { ...prepared, contextValue, rootValue: { extra, id, present, served } satisfies Running };
        } catch (error) {
          return refused([present(error)]);
        }
      },
      async execute(args) {
        const { served } = args.rootValue as Running;
        const result = await served!.run(() =>
          operations.execute(args as Parameters<Operations["execute"]>[0], served!),
        );
        served!.end(200);
        return result;
      },
      async subscribe(args) {
        const running = args.rootValue as Running;
        const { extra, id, present, served } = running;
        // The stream would hold it for as long as it is open.
        running.served = null;
        const result = await served!.run(() => live.subscribe(args, streamsOf(extra).sink(id), present));
        if ("errors" in result)
          result.errors?.forEach(({ extensions }) => served!.refused(extensions["code"] as ErrorCode));
        served!.end(200);
        return result;
      },
      onError: (_context, _id, _payload, errors) => errors.map((error) => presentError(error, log, randomUUID())),
    },
    sockets,
  );

  server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const address = req.url ?? "/";
    const found = URL.canParse(address, "http://localhost") && new URL(address, "http://localhost").pathname === path;
    if (!found || !mayCall(req, origins)) {
      socket.end(`HTTP/1.1 ${found ? "403 Forbidden" : "404 Not Found"}\r\nConnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(req, socket, head, (webSocket) => {
      sockets.emit("connection", webSocket, req);
      // graphql-ws prints what breaks a socket to the console; what clients do wrong is no news here.
      webSocket.removeAllListeners("error").on("error", (error) => log.debug({ error }, "a WebSocket failed"));
    });
  });

  return {
    count: () => sockets.clients.size,
    async close() {
      for (const socket of sockets.clients) socket.close(1012, "The server restarts: come back soon.");
      await Promise.race([protocol.dispose(), new Promise((resolve) => setTimeout(resolve, 2000).unref())]);
      for (const socket of sockets.clients) socket.terminate();
    },
  };
}

/** What travels with an operation to where it is run. */
interface Running {
  extra: Extra;
  /** The client's name for it on its socket. */
  id: string;
  present(error: unknown): GraphQLError;
  /** Null once it is answered. */
  served: Served | null;
}

/** A text of `connection_init`, or of an operation's headers, however its name is capitalised. */
function textOf(params: Record<string, unknown> | undefined, name: string): string | null {
  const found = Object.entries(params ?? {}).filter(([each]) => each.toLowerCase() === name.toLowerCase());
  const value = found.at(-1)?.[1];
  return typeof value === "string" && value !== "" ? value : null;
}

function authorizationOf(req: IncomingMessage, params: Record<string, unknown> | undefined): string | null {
  return textOf(params, "authorization") ?? req.headers.authorization ?? null;
}

function headersOf(extensions: Record<string, unknown> | null | undefined): Record<string, unknown> {
  const headers = extensions?.["headers"];
  return typeof headers === "object" && headers !== null ? (headers as Record<string, unknown>) : {};
}
