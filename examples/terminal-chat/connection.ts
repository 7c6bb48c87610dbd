import type { TypedDocumentString } from "./generated/graphql.ts";

/** The server said no, and why. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** There was no answer, so nobody knows whether the server did what it was asked. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** What a server sends for an error, over HTTP and over the event stream alike. */
export interface ErrorAnswer {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

export function serverError({ message, extensions }: ErrorAnswer): ServerError {
  return new ServerError(String(extensions?.["code"] ?? "UNKNOWN"), message);
}

/** Documents without variables are executed without any. */
type Arguments<Variables> = Variables extends Record<string, never> ? [] : [variables: Variables];

const timeoutMs = 15_000;

/** Queries and mutations over HTTP. */
export class Connection {
  readonly endpoint: URL;
  accessToken: string | null = null;

  constructor(endpoint: URL) {
    this.endpoint = endpoint;
  }

  /** The typed result; throws a ServerError or an UnreachableError. */
  async execute<Result, Variables>(
    document: TypedDocumentString<Result, Variables>,
    ...[variables]: Arguments<Variables>
  ): Promise<Result> {
    const { data, errors } = await this.#post<Result>(JSON.stringify({ query: document.toString(), variables }));
    if (errors?.[0]) throw serverError(errors[0]);
    if (!data) throw new UnreachableError(`${this.endpoint.href} did not answer as a GraphQL server does.`);
    return data;
  }

  async #post<Result>(body: string): Promise<{ data?: Result | null; errors?: ErrorAnswer[] }> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.accessToken !== null) headers["authorization"] = `Bearer ${this.accessToken}`;
    let response: Response;
    try {
      response = await fetch(this.endpoint, { method: "POST", headers, body, signal: AbortSignal.timeout(timeoutMs) });
      return (await response.json()) as { data?: Result; errors?: ErrorAnswer[] };
    } catch (error) {
      throw new UnreachableError(`${this.endpoint.origin} can't be reached (${reasonOf(error)}).`);
    }
  }
}

/** `fetch` hides the reason, such as ECONNREFUSED, in its error's cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? message;
}

/** What may be null in the schema, yet only together with an error. */
export function required<Value>(value: Value | null | undefined): Value {
  if (value === null || value === undefined)
    throw new ServerError("UNKNOWN", "The server left out what was asked for.");
  return value;
}
