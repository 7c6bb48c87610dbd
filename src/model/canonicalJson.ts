import { badInput } from "./errors.ts";

/** Objects and lists may nest this deep. [EV-8] */
export const maxDepth = 64;

/**
 * Canonical JSON: no white space, keys in code-point order, integers within ±(2^53−1) only. [EV-8]
 * Throws `BAD_INPUT` naming the place below `field` ("": the input itself) for anything else: fractions, NUL, lone surrogates, depth over 64.
 * Keys whose value is undefined are left out. It keeps its own stack, so hostile nesting can't exhaust the real one.
 */
export function canonicalJson(value: unknown, field: string, depthLimit = maxDepth): string {
  let text = "";
  // What remains to be written: pieces of punctuation as they stand, values with their place.
  const rest: (string | { value: unknown; path: string; depth: number })[] = [{ value, path: field, depth: 1 }];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next === "string") {
      text += next;
      continue;
    }
    const { value, path, depth } = next;
    if (typeof value !== "object" || value === null) {
      text += scalar(value, path);
      continue;
    }
    if (depth > depthLimit) throw badInput(field || "input", `is nested deeper than ${depthLimit} levels`);
    const entries: [prefix: string, value: unknown, path: string][] = Array.isArray(value)
      ? value.map((item, index) => ["", item, below(path, String(index))])
      : sortedEntries(value, path);
    const [open, close] = Array.isArray(value) ? "[]" : "{}";
    text += open;
    rest.push(close ?? "");
    for (let index = entries.length - 1; index >= 0; index--) {
      const [prefix, item, itemPath] = entries[index]!;
      rest.push({ value: item, path: itemPath, depth: depth + 1 });
      rest.push((index > 0 ? "," : "") + prefix);
    }
  }
  return text;
}

function sortedEntries(object: object, path: string): [string, unknown, string][] {
  return Object.entries(object)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([key, item]) => [`${text(key, path)}:`, item, below(path, key)]);
}

function below(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function scalar(value: unknown, path: string): string {
  switch (typeof value) {
    case "string":
      return text(value, path);
    case "number":
      if (!Number.isSafeInteger(value)) throw badInput(path, "is no integer within ±(2^53−1)");
      return String(value === 0 ? 0 : value);
    case "boolean":
      return String(value);
    default:
      if (value === null) return "null";
      throw badInput(path, "is no JSON value");
  }
}

function text(value: string, path: string): string {
  if (value.includes("\0")) throw badInput(path, "holds a NUL character");
  if (!value.isWellFormed()) throw badInput(path, "holds a lone surrogate");
  return JSON.stringify(value);
}

/** Code-point order. UTF-16's own order, that of `<`, puts U+E000 to U+FFFF after the characters beyond them. */
function compareCodePoints(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Lifts surrogates above the rest of the basic plane. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
