import {
  execute,
  getOperationAST,
  GraphQLError,
  type DocumentNode,
  type ExecutionResult,
  type OperationDefinitionNode,
} from "graphql";
import { LRUCache } from "lru-cache";
import { busy } from "../domain/atMost.ts";
import type { Domain } from "../domain/domain.ts";
import { HearthError, type ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { createContext } from "../resolvers/context.ts";
import { schema } from "../resolvers/schema.ts";
import type { Context } from "../schema/context.ts";
import { authenticate, countToSession, originOf, type Asking } from "./authentication.ts";
import { parseDocument, problemsOf, type Parsed } from "./documents.ts";
import { presentError, retryAfterSeconds } from "./errors.ts";
import type { Load } from "./load.ts";
import { documentNamed, type Named, type PersistedOperations } from "./persistedOperations.ts";
import type { Served } from "./watch.ts";

/** What a transport knows of an operation before it runs. */
export interface OperationSource extends Asking {
  /** The operation may outlive the request, as subscriptions do. */
  live: boolean;
  /** The request promises to change nothing, as GET does. */
  readOnly: boolean;
  served: Served;
  /** Is told, in the form of the header `Retry-After`, when what is refused may come again. */
  onRetryAfter?: (seconds: string) => void;
}

/** An operation as its client asks for it. */
export interface OperationRequest extends Named {
  operationName?: string | null | undefined;
  variables?: Record<string, unknown> | null | undefined;
}

/** A valid document and the one of its operations that is asked for: what `execute` and `subscribe` take. */
export interface Prepared {
  schema: typeof schema;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  operationName: string | null | undefined;
  variableValues: Record<string, unknown> | null | undefined;
}

/** An answer to an operation that never began. */
export interface Refused {
  errors: readonly GraphQLError[];
}

/** How every transport runs operations. */
export interface Operations {
  /** Only operations that the server knows are run: there is nothing to try out. */
  onlyPersisted: boolean;
  /** Decides whether an operation may run at all, before anything is known of who asks. */
  prepare(request: OperationRequest, source: OperationSource): Prepared | Refused;
  /** Counts a request in which no operation is to be found for where it came from; gives the answer when that is too much. */
  unreadable(source: OperationSource): Refused | null;
  /** The context that an operation runs in; throws `UNKNOWN_TOKEN` and `STALE_SESSION`. */
  context(source: OperationSource): Promise<Context>;
  /** Runs a query or a mutation; never throws. */
  run(prepared: Prepared, source: OperationSource): Promise<ExecutionResult>;
  /** What streams say last that end because the server stops; null while it doesn't. */
  farewell(): HearthError | null;
  /** Executes in a context that is there already. */
  execute(args: Omit<Prepared, "operation"> & { contextValue: Context }, served: Served): Promise<ExecutionResult>;
}

/**
 * Documents that are remembered with what parsing and validating them gave, and their characters together: less than 30 MB
 * of what anybody may send, since each character takes up to 55 bytes when it is read.
 */
const remembered = { max: 1000, maxSize: 500_000 };

/** What lies between a transport and the schema, the same for all: documents, contexts, errors. */
export function createOperations(
  domain: Domain,
  log: Log,
  load: Load,
  persisted: PersistedOperations | null = null,
): Operations {
  const documents = new LRUCache<string, Parsed>({
    ...remembered,
    sizeCalculation: (_parsed, query) => query.length + 1,
  });

  function parsed(query: string, { address }: OperationSource): Parsed {
    let known = documents.get(query);
    if (known === undefined) {
      // Reading it takes longer than most of what is asked for, and who asks is known only after it.
      domain.limits.demandPatience(address);
      known = parseDocument(query);
      documents.set(query, known);
    }
    return known;
  }

  /** Gives every error a code. */
  function presented(
    errors: readonly unknown[],
    { requestId, served }: Pick<OperationSource, "requestId" | "served">,
  ): GraphQLError[] {
    const told = errors.map((error) => presentError(error, log, requestId));
    told.forEach(({ extensions }) => served.refused(extensions["code"] as ErrorCode));
    return told;
  }

  async function executed(...[args, served]: Parameters<Operations["execute"]>): Promise<ExecutionResult> {
    const { requestId, freshSession } = args.contextValue;
    const result = await (served.traced
      ? domain.tools.tracer.span(`execute ${served.operation}`, {}, async () => execute(args))
      : execute(args));
    if (result.errors === undefined && freshSession === null) return result;
    return {
      ...result,
      ...(result.errors === undefined ? {} : { errors: presented(result.errors, { requestId, served }) }),
      ...(freshSession === null ? {} : { extensions: { ...result.extensions, session: { id: freshSession } } }),
    };
  }

  /** An operation that isn't run counts for where it came from, since it wasn't looked who asks. */
  function refused(errors: readonly unknown[], source: OperationSource): Refused {
    domain.limits.strangersRequest(source.address);
    return { errors: presented(errors, source) };
  }

  /** The document that a request brings or names, or why it isn't looked at. */
  function documentAsked(request: OperationRequest, source: OperationSource): Parsed | HearthError {
    try {
      return documentNamed(request, persisted) ?? parsed(request.query ?? "", source);
    } catch (error) {
      if (error instanceof HearthError && error.code !== "RATE_LIMITED") return error;
      throw error;
    }
  }

  /** The operation that is asked for, or what is wrong with it; throws `RATE_LIMITED`. */
  function prepared(request: OperationRequest, source: OperationSource) {
    const { operationName, variables } = request;
    const known = documentAsked(request, source);
    if (known instanceof HearthError) return refused([known], source);
    if (known.document === null) return refused(known.errors!, source);
    const { document } = known;
    const operation = getOperationAST(document, operationName);
    if (!operation) return refused([new GraphQLError("Could not determine what operation to execute.")], source);
    source.served.operation = operation.operation;
    if (source.readOnly && operation.operation === "mutation")
      return refused([new GraphQLError("Can only perform a mutation operation from a POST request.")], source);
    const problems = problemsOf(known);
    if (problems.length > 0) return refused(problems, source);
    if (known.worth > 0) domain.limits.strangersRequest(source.address, known.worth);
    return { schema, document, operation, operationName, variableValues: variables };
  }

  const operations: Operations = {
    onlyPersisted: persisted?.only ?? false,

    prepare(request, source) {
      try {
        // Before anything is done for it.
        if (load.full) throw busy();
        return prepared(request, source);
      } catch (error) {
        return tellingRetry({ errors: presented([error], source) }, source);
      }
    },

    farewell: () => domain.readiness.farewell,

    unreadable(source) {
      try {
        domain.limits.strangersRequest(source.address);
        return null;
      } catch (error) {
        return tellingRetry({ errors: presented([error], source) }, source);
      }
    },

    async context(source) {
      const requester = await authenticate(domain, source).catch((error: unknown) => {
        // Those of server-sent events are told no other way.
        if (error instanceof HearthError) tellRetry(error.details, source);
        throw error;
      });
      source.served.userId = requester?.userId ?? null;
      const freshSession = requester === null ? null : await countToSession(domain, requester, source);
      const { requestId, live } = source;
      return createContext(domain, { requester, requestId, origin: originOf(source), live, freshSession });
    },

    async run(prepared, source) {
      try {
        const ran = await load.carry(async () =>
          executed({ ...prepared, contextValue: await operations.context(source) }, source.served),
        );
        return tellingRetry(ran, source);
      } catch (error) {
        return { errors: presented([error], source) };
      }
    },

    async execute(args, served) {
      try {
        return await load.carry(() => executed(args, served));
      } catch (error) {
        return { errors: presented([error], { requestId: args.contextValue.requestId, served }) };
      }
    },
  };
  return operations;
}

/** Tells also beside the answer when the first thing in it that came too fast may come again. */
function tellingRetry<Answer extends { errors?: readonly GraphQLError[] }>(answer: Answer, source: OperationSource) {
  const refusal = answer.errors?.find(({ extensions }) => "retryAfterMs" in extensions);
  if (refusal !== undefined) tellRetry(refusal.extensions, source);
  return answer;
}

function tellRetry({ retryAfterMs }: Record<string, unknown>, { onRetryAfter }: OperationSource): void {
  if (typeof retryAfterMs === "number") onRetryAfter?.(retryAfterSeconds(retryAfterMs));
}
