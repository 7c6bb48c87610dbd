import { badInput } from "./errors.ts";

/** A pattern in which `*` stands for any run of characters: the pieces between the stars, at least one. */
export type Glob = readonly string[];

/** What a list of patterns lets pass: exclusion wins over inclusion. [FIL-3] */
export interface Patterns {
  /** Null: everything. Empty: nothing. */
  included: readonly Glob[] | null;
  excluded: readonly Glob[];
}

/** Entries of a list, and the bytes of one. */
const maxEntries = 100;
const maxEntryBytes = 300;

/**
 * The canonical form of a list of patterns: sorted, without doubles, runs of stars made one. [FIL-1]
 * Throws `BAD_INPUT` for too many entries, and for empty, overlong or unprintable ones.
 */
export function canonicalPatterns(list: readonly string[], field: string): string[] {
  if (list.length > maxEntries) throw badInput(field, `holds more than ${maxEntries} entries`);
  for (const [index, entry] of list.entries()) {
    const pattern = entry.replace(/^-/, "");
    const odd = /[\u0000-\u001f\u007f]/.test(pattern) || !pattern.isWellFormed();
    if (pattern === "" || odd || Buffer.byteLength(pattern) > maxEntryBytes) {
      throw badInput(`${field}.${index}`, `is empty, longer than ${maxEntryBytes} bytes or holds control characters`);
    }
  }
  return [...new Set(list.map((entry) => entry.replace(/\*+/g, "*")))].sort();
}

/** Splits a list into what it includes and what it excludes. A list of negatives only means all but these. [FIL-3] */
export function patternsOf(list: readonly string[] | null): Patterns {
  if (list === null) return { included: null, excluded: [] };
  const included = list.filter((entry) => !entry.startsWith("-"));
  const excluded = list.filter((entry) => entry.startsWith("-")).map((entry) => globOf(entry.slice(1)));
  const allBut = included.includes("*") || (included.length === 0 && excluded.length > 0);
  return { included: allBut ? null : included.map(globOf), excluded };
}

/** Whether a text passes. */
export function passes({ included, excluded }: Patterns, text: string): boolean {
  if (included !== null && !included.some((glob) => globMatches(glob, text))) return false;
  return !excluded.some((glob) => globMatches(glob, text));
}

/** The texts themselves when the patterns name them one by one, else null. */
export function exactTexts({ included }: Patterns): string[] | null {
  if (included === null || included.some((glob) => glob.length > 1)) return null;
  return [...new Set(included.map(([text]) => text ?? ""))];
}

function globOf(pattern: string): Glob {
  return pattern.split(/\*+/);
}

/** Linear in the text: each piece is looked for once, after the one before it. */
function globMatches(glob: Glob, text: string): boolean {
  const first = glob[0] ?? "";
  if (glob.length === 1) return text === first;
  const last = glob.at(-1) ?? "";
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const piece of glob.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return at <= end;
}
