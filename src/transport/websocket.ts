import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { GraphQLError } from "graphql";
import { useServer, type Extra } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import type { Domain } from "../domain/domain.ts";
import { HearthError } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { presentError } from "./errors.ts";
import type { Live } from "./live/live.ts";
import { SocketStreams } from "./live/socketStreams.ts";
import type { Operations, OperationSource } from "./operations.ts";
import { mayCall, type OriginRules } from "./origins.ts";

/** Bytes of one message from a client. */
const maxPayload = 256 * 1024;

export interface WebSockets {
  /** Ends all sockets, telling their clients to come back. */
  close(): Promise<void>;
}

/** GraphQL over WebSocket (graphql-transport-ws) at one path, with `authorization` in `connection_init`. */
export function serveWebSockets(
  server: Server,
  { operations, live }: { operations: Operations; live: Live },
  domain: Domain,
  log: Log,
  { path, origins }: { path: string; origins: OriginRules },
): WebSockets {
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false });
  const streams = new WeakMap<Extra["socket"], SocketStreams>();
  const streamsOf = (extra: Extra): SocketStreams => {
    const known = streams.get(extra.socket) ?? new SocketStreams(extra);
    streams.set(extra.socket, known);
    return known;
  };
  const source = (req: IncomingMessage, params: Record<string, unknown> | undefined): OperationSource => ({
    req,
    requestId: randomUUID(),
    authorization: textOf(params, "authorization") ?? req.headers.authorization ?? null,
    live: true,
    readOnly: false,
    sessionId: textOf(params, "sessionId") ?? textOf(params, "X-Session-Id"),
  });

  const protocol = useServer<Record<string, unknown>>(
    {
      async onConnect({ connectionParams, extra }) {
        const { authorization } = source(extra.request, connectionParams);
        if (authorization === null) return true;
        try {
          const origin = { ip: null, userAgent: extra.request.headers["user-agent"] ?? null };
          const token = authorization.replace(/^Bearer\s+/i, "").trim();
          const requester = await domain.accounts.authenticate(token, origin);
          // Whichever the client thinks it is: with each operation that says so, it is told whether it is right. [SES-2]
          const { session } = await domain.sessions.request(requester, null);
          return { session: { id: session.sessionId } };
        } catch (error) {
          if (error instanceof HearthError) return false;
          throw error;
        }
      },
      async onSubscribe({ connectionParams, extra }, id, payload) {
        // GraphiQL sends its Headers tab with each operation: it opens its socket before anything was typed there.
        const operation = source(extra.request, { ...connectionParams, ...headersOf(payload.extensions) });
        const present = (error: unknown) => presentError(error, log, operation.requestId);
        try {
          const prepared = operations.prepare(payload, operation);
          if ("errors" in prepared) return prepared.errors;
          const contextValue = await operations.context(operation);
          return { ...prepared, contextValue, rootValue: { extra, id, present } satisfies Running };
        } catch (error) {
          return [present(error)];
        }
      },
      execute: (args) => operations.execute(args as Parameters<Operations["execute"]>[0]),
      subscribe(args) {
        const { extra, id, present } = args.rootValue as Running;
        return live.subscribe(args, streamsOf(extra).sink(id), present);
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
}

/** A text of `connection_init`, or of an operation's headers, however its name is capitalised. */
function textOf(params: Record<string, unknown> | undefined, name: string): string | null {
  const found = Object.entries(params ?? {}).filter(([each]) => each.toLowerCase() === name.toLowerCase());
  const value = found.at(-1)?.[1];
  return typeof value === "string" && value !== "" ? value : null;
}

function headersOf(extensions: Record<string, unknown> | null | undefined): Record<string, unknown> {
  const headers = extensions?.["headers"];
  return typeof headers === "object" && headers !== null ? (headers as Record<string, unknown>) : {};
}
