import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that an application service got. */
export interface Asked {
  method: string;
  /** Decoded, without what follows the question mark. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  /** The bytes of the body, as text. */
  body: string;
}

export interface PushedEvent {
  type: string;
  event_id: string;
  room_id: string;
  sender: string;
  user_id: string;
  state_key?: string;
  content: Record<string, unknown>;
  origin_server_ts: number;
  unsigned?: Record<string, unknown>;
  [key: string]: unknown;
}

/** What the service does with a request: answers with a status and JSON, or does it all itself. */
export type Script = (
  asked: Asked,
  res: ServerResponse,
) => [status: number, body: unknown] | Promise<[status: number, body: unknown] | undefined> | undefined;

/** An application service on a real socket, which does what its script says. */
export interface ScriptedService {
  url: string;
  asked: Asked[];
  /** The transactions that it took, by id, in the order of arrival; the same one again isn't listed twice. */
  taken: Map<string, PushedEvent[]>;
  /** All events that it took, in order. */
  events(): PushedEvent[];
  script: Script;
  /** A registration, as a parsed file has it. */
  registration(changes?: Record<string, unknown>): { name: string; content: Record<string, unknown> };
  close(): Promise<void>;
}

/** Takes transactions and knows nothing else, in today's form. */
export const takesAll: Script = ({ path }) =>
  path.includes("/transactions/") ? [200, {}] : [404, { errcode: "M_NOT_FOUND", error: "unknown" }];

/** Starts a service; without a port on any free one. */
export async function startService(script: Script = takesAll, id = "irc", port = 0): Promise<ScriptedService> {
  const server = createServer((req, res) => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of req) pieces.push(piece as Buffer);
      const { pathname, searchParams } = new URL(req.url ?? "/", "http://localhost");
      const body = Buffer.concat(pieces).toString("utf8");
      const asked = {
        method: req.method ?? "",
        path: decodeURIComponent(pathname),
        query: searchParams,
        headers: req.headers,
        body,
      };
      service.asked.push(asked);
      const answer = await service.script(asked, res);
      if (answer === undefined) return;
      const transaction = /\/transactions\/([^/]+)$/.exec(asked.path)?.[1];
      if (transaction !== undefined && answer[0] === 200 && !service.taken.has(transaction)) {
        service.taken.set(transaction, (JSON.parse(body) as { events: PushedEvent[] }).events);
      }
      res.writeHead(answer[0], { "content-type": "application/json" }).end(JSON.stringify(answer[1]));
    })().catch(() => res.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const service: ScriptedService = {
    url,
    asked: [],
    taken: new Map(),
    events: () => [...service.taken.values()].flat(),
    script,
    registration: (changes = {}) => ({
      name: `${id}.yaml`,
      content: {
        ...{ id, url, as_token: `as-token-of-${id}`, hs_token: `hs-token-of-${id}`, sender_localpart: `${id}bot` },
        namespaces: {
          users: [{ exclusive: true, regex: `@${id}_.*` }],
          aliases: [{ exclusive: true, regex: `#${id}_.*` }],
          rooms: [],
        },
        ...changes,
      },
    }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return service;
}
