import { Agent, request } from "node:http";

/** An answer as it came, and when its last byte did. */
export interface Answer {
  milliseconds: number;
  bytes: number;
  /** Its text; throws unless the request succeeded. Apart, since large ones take their time. */
  text(): string;
}

/** A request of any API. */
export interface Asked {
  method: "GET" | "POST" | "PUT";
  path: string;
  body?: string;
}

/** One client with one connection that it keeps. Far cheaper than `fetch`, so that the load doesn't starve the server. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #host: string;
  readonly #port: string;
  readonly #authorization: string | null;

  constructor(address: string, authorization: string | null) {
    const { hostname, port } = new URL(address);
    this.#host = hostname;
    this.#port = port;
    this.#authorization = authorization;
  }

  /** Posts a GraphQL request and gives the text of the answer; rejects unless it is data without errors. */
  async post(body: string): Promise<string> {
    return (await this.timed(body)).text();
  }

  /** The same with the time that it took, unread. */
  timed(body: string): Promise<Answer> {
    return this.#exchange({ method: "POST", path: "/graphql", body }, isData);
  }

  /** Sends a request whose success the status alone tells. */
  ask(asked: Asked): Promise<Answer> {
    return this.#exchange(asked, () => true);
  }

  #exchange({ method, path, body }: Asked, succeeded: (text: string) => boolean): Promise<Answer> {
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent: this.#agent,
          host: this.#host,
          port: this.#port,
          path,
          method,
          headers: {
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            accept: "application/json",
            ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
            ...(this.#authorization === null ? {} : { authorization: this.#authorization }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const milliseconds = performance.now() - started;
            const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
            resolve({ milliseconds, bytes, text: () => textOf(response.statusCode, chunks, succeeded) });
          });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function isData(text: string): boolean {
  return text.startsWith('{"data"') && !text.includes('"errors":');
}

function textOf(status: number | undefined, chunks: readonly Buffer[], succeeded: (text: string) => boolean): string {
  const text = Buffer.concat(chunks).toString();
  if (status === 200 && succeeded(text)) return text;
  throw new Error(`${status}: ${text.slice(0, 300)}`);
}
