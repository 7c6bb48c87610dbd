import { parse, validate, type DocumentNode } from "graphql";
import { schema } from "../resolvers/schema.ts";
import { tooComplex } from "./documentLimits.ts";

/** Tokens of one document: far more than people write, far fewer than stall the parser. */
const maxTokens = 1000;
/** What is wrong with a document is said so often at most, so that the answer doesn't grow with it. */
const maxErrors = 10;

/** A document as it was read: parsed, or what kept it from that. */
export interface Parsed {
  document: DocumentNode | null;
  /** Of parsing, or which limit it is over; those of validating are looked for when an operation of the document first may run. */
  errors: readonly unknown[] | null;
}

export function parseDocument(query: string): Parsed {
  try {
    const document = parse(query, { maxTokens });
    const problem = tooComplex(document);
    return problem === null ? { document, errors: null } : { document: null, errors: [problem] };
  } catch (error) {
    return { document: null, errors: [error] };
  }
}

/** What is wrong with a document; looked for once. */
export function problemsOf(parsed: Parsed): readonly unknown[] {
  parsed.errors ??= validate(schema, parsed.document!, undefined, { maxErrors });
  return parsed.errors;
}
