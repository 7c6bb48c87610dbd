import { Agent, request } from "node:http";

/** An answer as it came, and when its last byte did. */
export interface Answer {
  milliseconds: number;
  bytes: number;
  /** Its text; throws unless it is GraphQL data without errors. Apart, since large ones take their time. */
  text(): string;
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

  /** Posts a body and gives the text of the answer; rejects unless it is GraphQL data without errors. */
  async post(body: string): Promise<string> {
    return (await this.timed(body)).text();
  }

  /** The same with the time that it took, unread. */
  timed(body: string): Promise<Answer> {
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent: this.#agent,
          host: this.#host,
          port: this.#port,
          path: "/graphql",
          method: "POST",
          headers: {
            "content-type": "application/json",
            accept: "application/json",
            "content-length": Buffer.byteLength(body),
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
            resolve({ milliseconds, bytes, text: () => textOf(response.statusCode, chunks) });
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

function textOf(status: number | undefined, chunks: readonly Buffer[]): string {
  const text = Buffer.concat(chunks).toString();
  if (status === 200 && text.startsWith('{"data"') && !text.includes('"errors":')) return text;
  throw new Error(`${status}: ${text.slice(0, 300)}`);
}
