import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/model/canonicalJson.ts";

const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\0"));
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    text,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** Keys sorted by UTF-8 bytes, which is code-point order: an independent way to the same order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return new Map(entries.map(([key, item]) => [key, sorted(item)]));
}
function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  return `{${[...value].map(([key, item]) => `${JSON.stringify(key)}:${written(item)}`).join(",")}}`;
}

test("[EV-8] canonical JSON means the same, has no white space and sorts keys by code point", () => {
  fc.assert(
    fc.property(json, (value) => {
      const canonical = canonicalJson(value, "content");
      expect(canonical).toBe(
        written(sorted(value))
          .replaceAll(":-0", ":0")
          .replaceAll("[-0", "[0")
          .replaceAll(",-0", ",0")
          .replace(/^-0$/, "0"),
      );
      expect(canonicalJson(JSON.parse(canonical), "content")).toBe(canonical);
    }),
  );
});

test.each([
  ["a fraction", { a: 1.5 }, "content.a"],
  ["an integer beyond 2^53", { a: [2 ** 53] }, "content.a.0"],
  ["infinity", { a: Infinity }, "content.a"],
  ["NUL in a value", { a: "x\0" }, "content.a"],
  ["NUL in a key", { "x\0": 1 }, "content"],
  ["a lone surrogate", { a: "\ud800" }, "content.a"],
])("[EV-8] %s is BAD_INPUT that names its place", (_name, value, field) => {
  expect(() => canonicalJson(value, "content")).toThrow(
    expect.objectContaining({ code: "BAD_INPUT", details: { field } }),
  );
});

test("[EV-8] nesting is bounded at 64, and a million levels don't exhaust the stack", () => {
  const nested = (levels: number): unknown => {
    let value: unknown = {};
    for (let level = 1; level < levels; level++) value = { a: value };
    return value;
  };
  expect(canonicalJson(nested(64), "content")).toContain("{}");
  expect(() => canonicalJson(nested(65), "content")).toThrow(expect.objectContaining({ code: "BAD_INPUT" }));
  expect(() => canonicalJson(nested(1_000_000), "content")).toThrow(expect.objectContaining({ code: "BAD_INPUT" }));
});
