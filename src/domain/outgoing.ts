import type { z } from "zod";
import type { Fetch } from "../model/ports.ts";

/** A call to another service, such as the policy hook. */
export interface OutgoingCall {
  url: string;
  method: "GET" | "POST" | "PUT";
  /** Sent as `Authorization: Bearer`. */
  token: string | null;
  /** JSON. */
  body: string | null;
  /** For everything, from the connection to the last byte of the answer. */
  timeoutMs: number;
  /** Gives the call up. */
  signal?: AbortSignal;
}

/** The service couldn't be reached, was late, or answered what it shouldn't. The message is for logs, not for clients. */
export class OutgoingError extends Error {
  override readonly name = "OutgoingError";
  /** Of an answer that wasn't a success; null where there was no answer, or a wrong one. */
  readonly status: number | null;

  constructor(message: string, status: number | null = null) {
    super(message);
    this.status = status;
  }
}

const maxAnswerBytes = 1_000_000;

/** Makes a call and gives its answer, parsed by `answer`. Throws `OutgoingError`, also for all but successes. */
export async function call<Answer extends z.ZodType>(
  fetch: Fetch,
  outgoing: OutgoingCall,
  answer: Answer,
): Promise<z.output<Answer>> {
  const { status, body } = await exchange(fetch, outgoing, (status) => status < 300);
  if (body === null) throw new OutgoingError(`it answered with status ${status}`, status);
  return parsed(body, answer);
}

/**
 * Makes a call and gives the answer, whatever its status; its body only where that is `wanted`. There is one deadline,
 * redirects aren't followed, and an answer has at most 1 MB, so that a service that fails or is hostile takes up neither time
 * nor memory. Throws `OutgoingError`.
 */
export async function exchange(
  fetch: Fetch,
  { url, method, token, body, timeoutMs, signal }: OutgoingCall,
  wanted: (status: number) => boolean,
): Promise<{ status: number; body: string | null }> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const deadline = setTimeout(end, timeoutMs);
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  try {
    const response = await fetch(url, {
      method,
      body,
      redirect: "manual",
      signal: ending.signal,
      headers: {
        ...(body === null ? {} : { "content-type": "application/json" }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    const { status } = response;
    if (wanted(status)) return { status, body: await text(response) };
    await response.body?.cancel();
    return { status, body: null };
  } catch (error) {
    if (error instanceof OutgoingError) throw error;
    if (ending.signal.aborted) {
      throw new OutgoingError(signal?.aborted ? "the call was given up" : `no answer within ${timeoutMs} ms`);
    }
    throw new OutgoingError(`it can't be reached: ${reasonOf(error)}`);
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", end);
  }
}

async function text(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new OutgoingError(`its answer has more than ${maxAnswerBytes} bytes`);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed<Answer extends z.ZodType>(text: string, answer: Answer): z.output<Answer> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OutgoingError("its answer is no JSON");
  }
  const result = answer.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new OutgoingError(`its answer is wrong: ${issue?.path.join(".") || "answer"}: ${issue?.message}`);
}

/** Node's fetch says what went wrong only in the cause. */
function reasonOf(error: unknown): string {
  const { cause = error } = error as { cause?: unknown };
  const { code, message } = cause as { code?: string; message?: string };
  return code ?? message ?? String(cause);
}
