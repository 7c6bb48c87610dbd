import { passes, patternsOf, type Patterns } from "./patterns.ts";

type Json = Record<string, unknown>;

/**
 * Only the named keys of an event document, `content.body` naming a nested one, with `*` and exclusions as in all lists
 * of patterns. [FIL-2, FIL-3] The content of an encrypted event stays whole, whatever is named. [FIL-5]
 */
export function pickFields(json: Json, fields: readonly string[]): Json {
  const encrypted = /(^|:)m\.room\.encrypted$/.test(String(json["type"]));
  const picked = pick(json, "", compiled(fields));
  if (encrypted && json["content"] !== undefined) picked["content"] = json["content"];
  return picked;
}

/** Lists are those of filters and arguments, and the same for all events of a page. */
const known = new WeakMap<readonly string[], Patterns>();

function compiled(fields: readonly string[]): Patterns {
  const patterns = known.get(fields) ?? patternsOf(fields);
  known.set(fields, patterns);
  return patterns;
}

function pick(json: Json, path: string, patterns: Patterns): Json {
  const picked: Json = {};
  for (const [key, value] of Object.entries(json)) {
    const kept = keep(value, `${path}${key}`, patterns);
    // Content may hold keys such as `__proto__`, which an assignment would lose.
    if (kept !== undefined)
      Object.defineProperty(picked, key, { value: kept, enumerable: true, configurable: true, writable: true });
  }
  return picked;
}

/** What is kept of a value: it whole, some of its keys, or nothing. */
function keep(value: unknown, path: string, patterns: Patterns): unknown {
  const { included, excluded } = patterns;
  if (!passes({ included: null, excluded }, path)) return undefined;
  const whole = passes({ included, excluded: [] }, path);
  if (whole && excluded.length === 0) return value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return whole ? value : undefined;
  const inner = pick(value as Json, `${path}.`, whole ? { included: null, excluded } : patterns);
  return whole || Object.keys(inner).length > 0 ? inner : undefined;
}
