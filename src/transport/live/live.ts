import { createSourceEventStream, type ExecutionArgs, type ExecutionResult, type GraphQLError } from "graphql";
import type { Domain } from "../../domain/domain.ts";
import { ChunkSource } from "../../resolvers/chunkSource.ts";
import { createSharedContext } from "../../resolvers/context.ts";
import { schema } from "../../resolvers/schema.ts";
import { Delivery, type Sink } from "./delivery.ts";
import { shapeReader } from "./shape.ts";
import { writeEach } from "./values.ts";
import { SharedRendering } from "./sharing.ts";

/** What was written to event streams since the start. */
export interface SentChunks {
  chunks: number;
  /** Those that left events out, of consumers that were too slow or came too late. [EVS-2, EVS-13] */
  limited: number;
}

/** Subscriptions whose payloads go straight to sockets. */
export interface Live {
  readonly sent: SentChunks;
  /**
   * Opens the subscription and writes its payloads to the sink. Gives the errors that kept it from opening, or an iterator
   * that gives nothing: it ends with the stream, and ends the stream when it is returned.
   */
  subscribe(
    operation: ExecutionArgs,
    sink: Sink,
    presentError: (error: unknown) => GraphQLError,
  ): Promise<ExecutionResult | AsyncIterableIterator<never>>;
}

export function createLive(domain: Domain): Live {
  const shapeOf = shapeReader(schema);
  const sent: SentChunks = { chunks: 0, limited: 0 };
  let shared: SharedRendering | null = null;
  const sharing = (): SharedRendering => {
    if (shared === null) {
      shared = new SharedRendering(schema, () => createSharedContext(domain));
      setImmediate(() => (shared = null));
    }
    return shared;
  };
  return {
    sent,
    async subscribe(operation, sink, presentError) {
      const source = await createSourceEventStream(operation);
      if (!(Symbol.asyncIterator in source))
        return { errors: source.errors?.map((error) => presentError(error)) ?? [] };
      if (!(source instanceof ChunkSource)) {
        const values = source[Symbol.asyncIterator]() as AsyncIterator<unknown>;
        return writeEach(values, operation, sink, presentError);
      }
      const shape = shapeOf(operation, source.follower.wish.filter);
      return endOf(new Delivery({ source, operation, sink, shape, sharing, sent, presentError }), source);
    },
  };
}

function endOf({ ended }: Delivery, source: ChunkSource): AsyncIterableIterator<never> {
  const done = { done: true as const, value: undefined };
  return {
    async next() {
      try {
        await ended;
      } finally {
        source.close();
      }
      return done;
    },
    return() {
      source.close();
      return Promise.resolve(done);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
