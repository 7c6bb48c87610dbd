import { execute, type ExecutionArgs, type GraphQLError } from "graphql";
import type { StreamChunk } from "../../domain/sync/chunk.ts";
import { actedFrom, type AnyEvent } from "../../model/event.ts";
import type { ChunkSource } from "../../resolvers/chunkSource.ts";
import { persistently } from "./persistently.ts";
import type { ChunkShape } from "./shape.ts";
import { redactionOf, type SharedRendering } from "./sharing.ts";

/** Where the payloads of a subscription go, each an execution result as JSON. */
export interface Sink {
  /** So much waits for the client already that nothing more is to be sent. [EVS-13] */
  readonly full: boolean;
  send(payload: string): void;
  /** Calls back once, when what waited was taken. */
  whenDrained(callback: () => void): void;
  /** The stream is open, and is to be closed with the connection. */
  opened(close: () => void): void;
  /** The stream is over: nothing is to be called back any more. */
  ended?(): void;
}

export interface DeliveryOptions {
  source: ChunkSource;
  operation: ExecutionArgs;
  sink: Sink;
  /** Null: all chunks are rendered for this viewer alone. */
  shape: ChunkShape | null;
  /** What is rendered in this turn of the event loop. */
  sharing(): SharedRendering;
  /** Counts with. */
  sent: { chunks: number; limited: number };
  presentError(error: unknown): GraphQLError;
}

/**
 * One subscription to the event stream: takes the follower's steps as they come and writes them to the client, without
 * an iterator between. While the client doesn't take what was sent, the steps wait in the follower, in bounded memory. [EVS-13]
 */
export class Delivery {
  /** Resolves when the stream has ended; rejects with the error that ended it. */
  readonly ended: Promise<void>;
  readonly #options: DeliveryOptions;
  #shape: ChunkShape | null;
  #over = false;
  #first = true;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#shape = options.shape;
    const { follower } = options.source;
    this.ended = new Promise((resolve, reject) => {
      follower.whenEnded(() => {
        this.#over = true;
        options.sink.ended?.();
        const { failure } = follower;
        if (failure === null) resolve();
        else reject(failure);
      });
    });
    // Who stops listening has seen enough of it.
    this.ended.catch(() => {});
    if (this.#over) return;
    options.sink.opened(options.source.close);
    follower.whenReady(this.#deliver);
  }

  readonly #deliver = (): void => {
    const { source, sink } = this.#options;
    if (this.#over) return;
    if (sink.full) return sink.whenDrained(this.#deliver);
    const step = source.follower.take();
    if (step === null) return source.follower.whenReady(this.#deliver);
    if (step.limited) this.#options.sent.limited++;
    const payload = this.#payload(source.chunkOf(step));
    if (typeof payload === "string") this.#send(payload);
    else payload.then(this.#send, (error: unknown) => source.follower.end(error as Error));
  };

  readonly #send = (payload: string): void => {
    if (this.#over) return;
    this.#options.sink.send(payload);
    this.#options.sent.chunks++;
    this.#options.source.follower.whenReady(this.#deliver);
  };

  #payload(chunk: StreamChunk): string | Promise<string> {
    const shape = this.#shape;
    const { sharing } = this.#options;
    // The first chunk, which comes at once, is rendered whole: so the document is held to its limits.
    if (this.#first || shape === null || this.#isOfDevice(shape, chunk)) return this.#unshared(chunk);
    const pieces = shape.viewers === null || isPlain(shape, chunk) ? sharing().pieces(shape, chunk) : null;
    return pieces === null ? this.#steadily(chunk, () => this.#partly(shape, chunk)) : pieces.join(`"${chunk.stream}"`);
  }

  /** Whether the chunk holds what this device did itself, and shows it more of that than others. [EVS-8] */
  #isOfDevice({ fields }: ChunkShape, { events }: StreamChunk): boolean {
    if (!fields.some((field) => field.from === "events" && field.selection.ofDevice)) return false;
    const { base } = this.#options.source.follower;
    return events.some((event) => event.kind !== "EPHEMERAL" && actedFrom(event, base));
  }

  /** Renders again if an event was redacted while it was rendered: what was said before must not be sent any more. [ACT-14] */
  async #steadily(chunk: StreamChunk, render: () => Promise<string>): Promise<string> {
    for (;;) {
      const before = chunk.events.map(redactionOf);
      const payload = await render();
      if (chunk.events.every((event, index) => redactionOf(event) === before[index])) return payload;
    }
  }

  /** Fields that need the viewer are rendered for this one, the rest for all. */
  async #partly(shape: ChunkShape, chunk: StreamChunk): Promise<string> {
    const own = shape.viewers === null ? null : await this.#viewersFields(shape.viewers, chunk);
    if (own === undefined) return this.#unshared(chunk);
    const values: string[] = [];
    for (const field of shape.fields) {
      const value = await this.#value(field, chunk, own);
      if (value === null) return this.#unshared(chunk);
      values.push(`${JSON.stringify(field.key)}:${value}`);
    }
    return `{"data":{${JSON.stringify(shape.rootKey)}:{${values.join(",")}}}}`;
  }

  async #value(
    field: ChunkShape["fields"][number],
    chunk: StreamChunk,
    own: Record<string, unknown> | null,
  ): Promise<string | null> {
    if (field.from === "token") return JSON.stringify(chunk.stream);
    if (field.from === "limited") return String(chunk.limited);
    if (field.from === "typename") return '"StreamChunk"';
    if (field.from !== "events") return JSON.stringify(own?.[field.key]);
    const { selection } = field;
    const sharing = this.#options.sharing();
    const texts = await Promise.all(chunk.events.map(async (event: AnyEvent) => sharing.text(selection, event)));
    return texts.includes(null) ? null : `[${texts.join(",")}]`;
  }

  /** The fields that need the viewer; undefined when something is wrong with them. */
  async #viewersFields(
    { document, variables }: NonNullable<ChunkShape["viewers"]>,
    chunk: StreamChunk,
  ): Promise<Record<string, unknown> | undefined> {
    const { schema, contextValue } = this.#options.operation;
    const { data, errors } = await execute({
      schema,
      document,
      rootValue: chunk,
      contextValue,
      variableValues: variables,
    });
    return errors === undefined ? (data as unknown as { eventStream: Record<string, unknown> }).eventStream : undefined;
  }

  /** The whole chunk for this viewer alone, as any executor would give it. */
  #unshared(chunk: StreamChunk): string | Promise<string> {
    const first = this.#first;
    this.#first = false;
    const { presentError, operation } = this.#options;
    const { schema, document, operationName, variableValues, contextValue } = operation;
    const render = () => execute({ schema, document, operationName, variableValues, contextValue, rootValue: chunk });
    const result = render();
    if (!(result instanceof Promise) && result.errors === undefined) return JSON.stringify(result);
    let again: ReturnType<typeof render> | null = result;
    const renderAgain = (): ReturnType<typeof render> => {
      const next = again ?? render();
      again = null;
      return next;
    };
    return this.#steadily(chunk, async () => {
      const rendered = await persistently(renderAgain, presentError, () => this.#over);
      // A document that fails already with nothing in the chunk is past its limits, and will fail always.
      if (first && rendered?.errors !== undefined) this.#shape = null;
      return JSON.stringify(rendered);
    });
  }
}

/** Whether those fields of the chunk that would need the viewer are empty. */
function isPlain({ fields }: ChunkShape, chunk: StreamChunk): boolean {
  return fields.every(
    (field) => field.from !== "viewer" && (field.from !== "rarely" || chunk[field.list].length === 0),
  );
}
