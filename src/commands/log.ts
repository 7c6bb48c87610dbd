import { pino, type DestinationStream } from "pino";
import type { Config } from "../config.ts";
import type { Log } from "../model/ports.ts";
import { served, type Serving } from "../model/serving.ts";
import { logOutput } from "./logOutput.ts";

type Named = Partial<Serving>;

/**
 * The log of a server process: JSON, a line each, on the standard error unless it is to go elsewhere. What is written while
 * a request is served names it, and its trace.
 */
export function createLog({ logLevel }: Pick<Config, "logLevel">, to: DestinationStream = logOutput(2)): Log {
  return pino(
    {
      level: logLevel,
      redact: ["*.password", "*.accessToken"],
      serializers: { error: shown },
      mixin: () => served() ?? {},
      // A line that names a request itself knows best.
      mixinMergeStrategy: (line: Named, { requestId, traceId }: Named) =>
        Object.assign(line, { requestId: line.requestId ?? requestId, traceId }),
    },
    to,
  );
}

/** Causes of causes that are shown. */
const maxDepth = 4;

/**
 * An error as the log has it. Whatever else hangs on it is left out: the database adds the row that it refused, with all that
 * people wrote into it.
 */
function shown(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === "object" ? "an object that is no error" : error;
  const { name, message, stack, cause } = error;
  const { code, meta } = error as {
    code?: unknown;
    meta?: { driverAdapterError?: { cause?: { originalCode?: unknown } } };
  };
  const deeper = cause instanceof Error && depth < maxDepth ? shown(cause, depth + 1) : undefined;
  return { type: name, message, stack, code, sqlState: meta?.driverAdapterError?.cause?.originalCode, cause: deeper };
}
