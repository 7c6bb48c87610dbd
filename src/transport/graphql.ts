import type { ExecutionResult, GraphQLError } from "graphql";
import { createYoga, isAsyncIterable, type Plugin, type YogaServerInstance } from "graphql-yoga";
import type { ErrorCode, HearthError } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { Pulled } from "../resolvers/pulled.ts";
import { schema } from "../resolvers/schema.ts";
import { presentError } from "./errors.ts";
import { comesLater } from "./live/persistently.ts";
import { plainAnswerType } from "./mediaTypes.ts";
import type { OperationRequest, Operations, OperationSource } from "./operations.ts";
import { idNamed, type Named } from "./persistedOperations.ts";
import { isLarge, pacedJson } from "./pacedJson.ts";

export type GraphQL = YogaServerInstance<OperationSource, object>;

/** GraphQL over HTTP and server-sent events: all of the protocol, over the operations of all transports. */
export function createGraphQL(operations: Operations, log: Log, endpoint: string): GraphQL {
  const graphql: GraphQL = createYoga<OperationSource>({
    schema,
    graphqlEndpoint: endpoint,
    logging: false,
    batching: false,
    multipart: false,
    landingPage: false,
    cors: false,
    // Documents are remembered by the operations, and errors presented with the request's id below.
    parserAndValidationCache: false,
    maskedErrors: false,
    plugins: [
      runOperations(operations, log, () => graphql),
      presentErrors(log),
      endUnwantedStreams(),
      paceLargeResults(),
    ],
    extraParamNames: ["documentId"],
    // A page of its own.
    graphiql: false,
  });
  return graphql;
}

/** What yoga made of a request goes the way of all transports. */
function runOperations(operations: Operations, log: Log, graphql: () => GraphQL): Plugin<object, OperationSource> {
  return {
    onParams({ params, request, setParams, setParamsHandler }) {
      const named = documentIdOf(params, request);
      // Yoga wants a text; where there is none, the operations say what is wrong with that.
      if (named !== null || operations.onlyPersisted) {
        setParams({
          ...params,
          ...(named === null ? {} : { documentId: named }),
          query: params.query ?? "",
        } as typeof params);
      }
      setParamsHandler(async ({ params, request, context: source }) => {
        // Checked by yoga before it calls this.
        const prepared = operations.prepare(params as OperationRequest, source);
        if ("errors" in prepared) return prepared;
        if (prepared.operation.operation !== "subscription") return operations.run(prepared, source);
        const contextValue = await operations.context(source);
        // By the request in the context, yoga knows a subscription again when it chooses the form of the answer.
        const result = await graphql()
          .getEnveloped(source)
          .subscribe({ ...prepared, contextValue: Object.assign(contextValue, { request }) });
        if (!isAsyncIterable<ExecutionResult>(result)) return result;
        const present = (error: unknown): GraphQLError => presentError(error, log, source.requestId);
        return presentedStream(result, present, operations.farewell);
      });
    },
  };
}

/** The id of the document that a request names, in its body or in its address; null for none. */
function documentIdOf(params: Named, { method, url }: Request): string | null {
  const inAddress = method === "GET" ? new URL(url, "http://localhost").searchParams.get("documentId") : null;
  return idNamed(inAddress === null ? params : { ...params, documentId: inAddress });
}

/** Gives every error a code, those of reading the request included. */
function presentErrors(log: Log): Plugin<object, OperationSource> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      if (Array.isArray(result) || !("errors" in result) || !result.errors) return;
      const errors = result.errors.map((error) => presentError(error, log, serverContext.requestId));
      errors.forEach(({ extensions }) => serverContext.served.refused(extensions["code"] as ErrorCode));
      setResult({ ...result, errors });
    },
  };
}

/** The same for what comes down a stream. What ends it is its last result: yoga would leave the client waiting. */
function presentedStream(
  results: AsyncIterable<ExecutionResult>,
  present: (error: unknown) => GraphQLError,
  farewell: () => HearthError | null,
): Pulled<ExecutionResult> {
  const iterator = results[Symbol.asyncIterator]();
  let over = false;
  return new Pulled(
    async () => {
      if (over) return null;
      try {
        const { done, value } = await iterator.next();
        if (done) {
          over = true;
          const reason = farewell();
          return reason && { errors: [present(reason)] };
        }
        if (value.errors === undefined) return value;
        const errors = value.errors.map(present);
        if (!comesLater(errors)) return { ...value, errors };
        // What is missing would be missing for good: who comes back with the last token has all of it. [EVS-3]
        over = true;
        void iterator.return?.();
        return { errors };
      } catch (error) {
        over = true;
        return { errors: [present(error)] };
      }
    },
    () => void iterator.return?.(),
  );
}

/** A stream that no form of answer was accepted for would stay open for ever. */
function endUnwantedStreams(): Plugin {
  return {
    onResultProcess({ result, resultProcessor }) {
      if (resultProcessor === undefined && isAsyncIterable(result)) void result[Symbol.asyncIterator]().return?.();
    },
  };
}

/** A sync of a thousand rooms is megabytes: written in one go it would hold up everybody. */
function paceLargeResults(): Plugin {
  const paced: Plugin = {
    onResultProcess({ request, result, setResultProcessor }) {
      if (Array.isArray(result) || !("data" in result)) return;
      const type = plainAnswerType(request.headers.get("accept") ?? undefined);
      if (type === null || !isLarge(result.data)) return;
      const { data, errors, extensions } = result;
      const body = { ...(errors ? { errors } : {}), data, ...(extensions ? { extensions } : {}) };
      setResultProcessor(
        (_result, fetchAPI) =>
          new fetchAPI.Response(pacedJson(body), { headers: { "Content-Type": `${type}; charset=utf-8` } }),
        type,
      );
    },
  };
  // Added last, since the last processor that is set is the one that counts.
  return { onPluginInit: ({ addPlugin }) => addPlugin(paced) };
}
