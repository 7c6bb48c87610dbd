import { readFileSync } from "node:fs";
import { ConfigError, type Config } from "./config.ts";
import { prepareOperations, type PersistedOperations } from "./transport/persistedOperations.ts";

/**
 * Reads the file of persisted operations that the settings name, null for none: JSON that maps ids to documents, as code
 * generators write it. Throws `ConfigError` for one that can't be used.
 */
export function readPersistedOperations(settings: Config["persistedOperations"]): PersistedOperations | null {
  if (settings === null) return null;
  const { file, only } = settings;
  try {
    const texts: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (!isRecordOfTexts(texts)) throw new Error("it is no object of documents by their ids");
    return { only, documents: prepareOperations(texts) };
  } catch (error) {
    throw new ConfigError(`HEARTH_PERSISTED_OPERATIONS_FILE: ${file} can't be used: ${(error as Error).message}`);
  }
}

function isRecordOfTexts(value: unknown): value is Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === "string");
}
