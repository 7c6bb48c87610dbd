/** Opaque values by the names that the page gives them, such as `$room`. */
export type Names = Map<string, unknown>;

const name = /^\$[a-zA-Z]\w*$/;
const gap = /^…(?: (\d+) more)?$/;
const repetition = /^(.+)… (\d+) times$/s;
const invocation = /^(\w+)\((.*)\)$/s;

/** What a function of the page's JavaScript gives; undefined when the page has none of the name. */
export type Invoke = (name: string, argument: string) => unknown;

/**
 * Puts the values of names in place of them, the long text in place of `la… 40000 times`, and in place of `sign(json)` what
 * the page's function gives. Throws for a name that no answer has given.
 */
export function fill(value: unknown, names: Names, invoke: Invoke): unknown {
  if (typeof value === "string" && name.test(value)) {
    if (!names.has(value)) throw new Error(`no answer before this gives ${value}`);
    return names.get(value);
  }
  const [, part, times] = (typeof value === "string" && repetition.exec(value)) || [];
  if (part !== undefined) return part.repeat(Number(times));
  const [, called, argument] = (typeof value === "string" && invocation.exec(value)) || [];
  if (called !== undefined) return invoke(called, argument!) ?? value;
  if (Array.isArray(value)) return value.map((each) => fill(each, names, invoke));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, names, invoke)]));
}

/**
 * Where an answer first differs from what the page shows; null when it doesn't. `…` stands for any text, or for a value
 * of any other kind but null; in a list for any number of entries, and `… 28 more` for as many. A name stands for what it
 * stood for before, or from here on.
 */
export function difference(shown: unknown, actual: unknown, names: Names, path = "data"): string | null {
  const differs = `${path}: the page shows ${JSON.stringify(shown)}, the server says ${JSON.stringify(actual)}`;
  if (typeof shown === "string" && name.test(shown)) {
    if (!names.has(shown) && typeof actual === "string") names.set(shown, actual);
    return names.has(shown) && names.get(shown) === actual ? null : `${differs} (${String(names.get(shown))} before)`;
  }
  if (shown === "…") return actual === null || actual === undefined ? differs : null;
  if (typeof shown === "string" && typeof actual === "string") return isLike(shown, actual) ? null : differs;
  if (Array.isArray(shown)) return Array.isArray(actual) ? differenceOfLists(shown, actual, names, path) : differs;
  if (!isObject(shown)) return shown === actual ? null : differs;
  if (!isObject(actual) || String(Object.keys(shown).sort()) !== String(Object.keys(actual).sort())) return differs;
  return firstOf(Object.keys(shown).map((key) => () => difference(shown[key], actual[key], names, `${path}.${key}`)));
}

function differenceOfLists(shown: unknown[], actual: unknown[], names: Names, path: string): string | null {
  const at = shown.findIndex((entry) => typeof entry === "string" && gap.test(entry));
  const left = actual.length - shown.length + (at < 0 ? 0 : 1);
  const wanted = at < 0 ? 0 : Number(gap.exec(shown[at] as string)![1] ?? Math.max(0, left));
  if (left !== wanted) {
    return `${path}: the page shows ${JSON.stringify(shown)}, the server lists ${JSON.stringify(actual)}`;
  }
  const compare = (shownAt: number, actualAt: number) => () =>
    difference(shown[shownAt], actual[actualAt], names, `${path}.${actualAt}`);
  const before = at < 0 ? shown.length : at;
  return firstOf([
    ...shown.slice(0, before).map((_entry, index) => compare(index, index)),
    ...shown.slice(before + 1).map((_entry, index) => compare(before + 1 + index, before + left + index)),
  ]);
}

function isLike(shown: string, actual: string): boolean {
  const [beginning, ...parts] = shown.split("…");
  if (parts.length === 0) return shown === actual;
  const end = parts.join("…");
  return actual.length > shown.length - 1 && actual.startsWith(beginning!) && actual.endsWith(end);
}

function firstOf(comparisons: (() => string | null)[]): string | null {
  for (const compare of comparisons) {
    const found = compare();
    if (found !== null) return found;
  }
  return null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
