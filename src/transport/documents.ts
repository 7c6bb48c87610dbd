import { parse, validate, visit, type DocumentNode } from "graphql";
import { schema } from "../resolvers/schema.ts";
import { weigh } from "./documentLimits.ts";

/** Tokens of one document: far more than people write, far fewer than stall the parser. */
const maxTokens = 1000;
/** What is wrong with a document is said so often at most, so that the answer doesn't grow with it. */
const maxErrors = 10;

/** A document as it was read: parsed, or what kept it from that. */
export interface Parsed {
  document: DocumentNode | null;
  /** Of parsing, or which limit it is over; those of validating are looked for when an operation of the document first may run. */
  errors: readonly unknown[] | null;
  /** How many requests it counts for where it came from, beside the one that it is: for what it asks of the schema itself. */
  worth: number;
}

export function parseDocument(query: string): Parsed {
  try {
    const document = parse(query, { maxTokens });
    const { problem, worth } = weigh(document);
    if (problem !== null) return { document: null, errors: [problem], worth };
    forgetTokens(document);
    return { document, errors: null, worth };
  } catch (error) {
    return { document: null, errors: [error], worth: 0 };
  }
}

/** Lets go of the tokens, which take more memory than all the rest. Where something stands is known without them. */
function forgetTokens(document: DocumentNode): void {
  visit(document, {
    enter({ loc }) {
      if (loc !== undefined) Object.assign(loc, { startToken: null, endToken: null });
    },
  });
}

/** What is wrong with a document; looked for once. */
export function problemsOf(parsed: Parsed): readonly unknown[] {
  parsed.errors ??= validate(schema, parsed.document!, undefined, { maxErrors });
  return parsed.errors;
}
