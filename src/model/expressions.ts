import { RE2JS } from "re2js";
import { badInput } from "./errors.ts";

/** A regular expression that takes time linear in the text, whatever it is. [AS-1] */
export interface Expression {
  /** As it was written. */
  source: string;
  /** Instructions that it is compiled to: matching takes time by these, and by the length of the text. */
  size: number;
  /** Whether a text begins with what it describes. */
  begins(text: string): boolean;
}

/** Characters of an expression, and instructions of what it is compiled to. */
const maxLength = 1000;
const maxProgram = 10_000;

/**
 * Compiles an expression. Bridges expect that it need only fit the beginning of an id. Throws `BAD_INPUT` for what is no
 * expression, and for lookaround and back references, which no engine matches in linear time.
 */
export function compiled(source: string, field: string): Expression {
  if (source.length > maxLength) throw badInput(field, `is longer than ${maxLength} characters`);
  try {
    const expression = RE2JS.compile(source);
    const size = expression.programSize();
    if (size > maxProgram) throw badInput(field, "describes too much");
    return { source, size, begins: (text) => expression.matcher(text).lookingAt() };
  } catch (error) {
    if (error instanceof Error && error.name.startsWith("RE2JS")) {
      throw badInput(field, `is no regular expression that can be used: ${error.message}`);
    }
    throw error;
  }
}
