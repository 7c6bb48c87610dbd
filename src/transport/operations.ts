import type { IncomingMessage } from "node:http";
import {
  execute,
  getOperationAST,
  GraphQLError,
  parse,
  validate,
  type DocumentNode,
  type ExecutionResult,
  type OperationDefinitionNode,
} from "graphql";
import { LRUCache } from "lru-cache";
import type { Domain } from "../domain/domain.ts";
import { HearthError } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import { createContext } from "../resolvers/context.ts";
import { schema } from "../resolvers/schema.ts";
import type { Context } from "../schema/context.ts";
import { presentError } from "./errors.ts";

/** What a transport knows of an operation before it runs. */
export interface OperationSource {
  req: IncomingMessage;
  requestId: string;
  /** The access token as it was shown, with or without `Bearer`; null for none. */
  authorization: string | null;
  /** The operation may outlive the request, as subscriptions do. */
  live: boolean;
  /** The request promises to change nothing, as GET does. */
  readOnly: boolean;
  /** The session that the request says it belongs to; null where it doesn't say. [SES-2] */
  sessionId: string | null;
  /** Is told which session is active, before the operation runs. */
  onSession?: (sessionId: string) => void;
}

/** An operation as its client asks for it. */
export interface OperationRequest {
  query: string;
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
  /** Decides whether an operation may run at all, before anything is known of who asks. */
  prepare(request: OperationRequest, source: OperationSource): Prepared | Refused;
  /** The context that an operation runs in; throws `UNKNOWN_TOKEN` and `STALE_SESSION`. */
  context(source: OperationSource): Promise<Context>;
  /** Runs a query or a mutation; never throws. */
  run(prepared: Prepared, source: OperationSource): Promise<ExecutionResult>;
  /** Executes in a context that is there already. */
  execute(args: Omit<Prepared, "operation"> & { contextValue: Context }): Promise<ExecutionResult>;
}

/** Tokens of one document: far more than people write, far fewer than stall the parser. */
const maxTokens = 1000;
/** Documents that are remembered with what parsing and validating them gave, and their characters together. */
const remembered = { max: 1000, maxSize: 4_000_000 };

interface Parsed {
  document: DocumentNode | null;
  /** Of parsing; those of validating are looked for when an operation of the document first may run. */
  errors: readonly unknown[] | null;
}

/** What lies between a transport and the schema, the same for all: documents, contexts, errors. */
export function createOperations(domain: Domain, log: Log): Operations {
  const documents = new LRUCache<string, Parsed>({
    ...remembered,
    sizeCalculation: (_parsed, query) => query.length + 1,
  });

  function parsed(query: string): Parsed {
    let known = documents.get(query);
    if (known === undefined) {
      known = parseDocument(query);
      documents.set(query, known);
    }
    return known;
  }

  /** Gives every error a code. */
  function presented(errors: readonly unknown[], requestId: string): GraphQLError[] {
    return errors.map((error) => presentError(error, log, requestId));
  }

  const operations: Operations = {
    prepare({ query, operationName, variables }, { requestId, readOnly }) {
      const refused = (errors: readonly unknown[]): Refused => ({ errors: presented(errors, requestId) });
      const known = parsed(query);
      if (known.document === null) return refused(known.errors!);
      const { document } = known;
      const operation = getOperationAST(document, operationName);
      if (!operation) return refused([new GraphQLError("Could not determine what operation to execute.")]);
      if (readOnly && operation.operation === "mutation")
        return refused([new GraphQLError("Can only perform a mutation operation from a POST request.")]);
      known.errors ??= validate(schema, document);
      if (known.errors.length > 0) return refused(known.errors);
      return { schema, document, operation, operationName, variableValues: variables };
    },

    async context(source) {
      const requester = await authenticate(domain, source);
      const freshSession = requester === null ? null : await countToSession(domain, requester, source);
      const { req, requestId, live } = source;
      return createContext(domain, { requester, requestId, origin: originOf(req), live, freshSession });
    },

    async run(prepared, source) {
      try {
        return await operations.execute({ ...prepared, contextValue: await operations.context(source) });
      } catch (error) {
        return { errors: presented([error], source.requestId) };
      }
    },

    async execute(args) {
      const { requestId, freshSession } = args.contextValue;
      const result = await execute(args);
      if (result.errors === undefined && freshSession === null) return result;
      return {
        ...result,
        ...(result.errors === undefined ? {} : { errors: presented(result.errors, requestId) }),
        ...(freshSession === null ? {} : { extensions: { ...result.extensions, session: { id: freshSession } } }),
      };
    },
  };
  return operations;
}

function parseDocument(query: string): Parsed {
  try {
    return { document: parse(query, { maxTokens }), errors: null };
  } catch (error) {
    return { document: null, errors: [error] };
  }
}

/** The requester behind an access token; null without one, `UNKNOWN_TOKEN` for one that doesn't hold. */
async function authenticate(domain: Domain, { req, authorization }: OperationSource): Promise<Requester | null> {
  if (authorization === null || authorization.trim() === "") return null;
  return domain.accounts.authenticate(authorization.replace(/^Bearer\s+/i, "").trim(), originOf(req));
}

/** Gives the id of a session that begins with this request, null for one that was there; throws `STALE_SESSION`. [SES-1] */
async function countToSession(
  domain: Domain,
  requester: Requester,
  { sessionId, onSession }: OperationSource,
): Promise<string | null> {
  try {
    const found = domain.sessions.request(requester, sessionId);
    // Nearly always there at once.
    const { session, fresh } = found instanceof Promise ? await found : found;
    onSession?.(session.sessionId);
    return fresh ? session.sessionId : null;
  } catch (error) {
    if (error instanceof HearthError && error.code === "STALE_SESSION") onSession?.(String(error.details["sessionId"]));
    throw error;
  }
}

function originOf(req: IncomingMessage) {
  return { ip: req.socket.remoteAddress ?? null, userAgent: req.headers["user-agent"]?.slice(0, 255) ?? null };
}
