import { getIntrospectionQuery, parse, visit } from "graphql";
import { expect, test } from "vitest";
import { weigh } from "../../src/transport/documentLimits.ts";
import { parseDocument, problemsOf } from "../../src/transport/documents.ts";
import { defaultDocument } from "../../src/transport/graphiql.ts";

const problemOf = (text: string): string | null => weigh(parse(text)).problem?.message ?? null;

test("tools may ask for the whole schema, and GraphiQL opens with what may be run", () => {
  const whole = {
    ...{ descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true },
    ...{ inputValueDeprecation: true, oneOf: true },
  };
  expect(problemOf(getIntrospectionQuery(whole))).toBeNull();
  expect(problemOf(defaultDocument)).toBeNull();
});

test("what is remembered of a document are no tokens, and errors say where they are all the same", () => {
  const parsed = parseDocument("{\n  server { name nonsense }\n}");
  const locations = new Set<unknown>();
  visit(parsed.document!, { enter: ({ loc }) => void locations.add(loc?.startToken) });
  expect([...locations]).toEqual([null]);
  expect(problemsOf(parsed)).toMatchObject([{ locations: [{ line: 2, column: 17 }] }]);
});

test("fragments count wherever they are spread, in the time that it takes to read them", () => {
  const doubling = (count: number): string => {
    const texts = Array.from({ length: count }, (_, index) => {
      const next = `...F${index + 1}`;
      return `fragment F${index} on Room { a: parent { ${next} } b: parent { ${next} } ... @include(if: true) { ${next} } }`;
    });
    return `{ node(id: "x") { ...F0 } } ${texts.join(" ")} fragment F${count} on Room { id }`;
  };
  expect(problemOf(doubling(1))).toBeNull();
  expect(problemOf(doubling(3))).toBeNull();
  expect(problemOf(doubling(6))).toBe(
    "The document's fields, those of spread fragments included, are over the limit of 400.",
  );
  expect(problemOf(doubling(500))).toBe("The document's depth is over the limit of 20.");
});

test("what makes no sense is left to validation", () => {
  expect(problemOf("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A server { name } }")).toBeNull();
  expect(problemOf("{ ...A ...Missing } fragment A on Query { server { ...A } }")).toBeNull();
  expect(problemOf("type Query { name: String }")).toBeNull();
});

test("each operation of a document is counted, and each fragment that is spread nowhere", () => {
  const deep = `{ viewer { ${"a { ".repeat(20)} b ${"} ".repeat(20)} } }`;
  expect(problemOf(`query A { server { name } } query B ${deep}`)).toBe(
    "The document's depth is over the limit of 20.",
  );
  expect(problemOf(`query A { server { name } } fragment B on Query ${deep}`)).toBe(
    "The document's depth is over the limit of 20.",
  );
});

test.each([
  ["a field", `{ a ${"@b ".repeat(11)} }`],
  ["a spread", `{ ...A ${"@b ".repeat(11)} } fragment A on Query { a }`],
  ["an inline fragment", `{ ... ${"@b ".repeat(11)} { a } }`],
  ["an operation", `query A ${"@b ".repeat(11)} { a }`],
  ["a fragment", `{ ...A } fragment A on Query ${"@b ".repeat(11)} { a }`],
  ["a variable", `query ($a: ID ${"@b ".repeat(11)}) { a }`],
])("directives are counted at %s", (_place, text) => {
  expect(problemOf(text)).toBe("The document's directives at one place are over the limit of 10.");
  expect(problemOf(text.replace("@b ", ""))).toBeNull();
});
