import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const repository = resolve(import.meta.dirname, "../..");

/** What the rules in .dependency-cruiser.cjs find wrong in a folder's src, as `rule: from -> to`. */
async function violations(folder: string): Promise<string[]> {
  const program = join(repository, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const args = [program, "--config", join(repository, ".dependency-cruiser.cjs"), "--output-type", "json", "src"];
  const output = await new Promise<string>((done, fail) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 28 }, (_error, stdout, stderr) =>
      stdout ? done(stdout) : fail(new Error(stderr)),
    );
  });
  const { summary } = JSON.parse(output) as {
    summary: { totalCruised: number; violations: { from: string; to: string; rule: { name: string } }[] };
  };
  expect(summary.totalCruised).toBeGreaterThan(0);
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

/** Pairs of a file and what it imports. */
const allowed = [
  ["src/main.ts", "src/commands/start.ts"],
  ["src/commands/start.ts", "src/app.ts"],
  ["src/commands/start.ts", "src/config.ts"],
  ["src/commands/start.ts", "src/domain/rooms.ts"],
  ["src/commands/start.ts", "src/store/rooms.ts"],
  ["src/app.ts", "src/config.ts"],
  ["src/app.ts", "src/transport/http.ts"],
  ["src/app.ts", "src/store/rooms.ts"],
  ["src/config.ts", "src/model/ids.ts"],
  ["src/transport/http.ts", "src/config.ts"],
  ["src/transport/http.ts", "src/domain/rooms.ts"],
  ["src/resolvers/rooms.ts", "src/schema/room.ts"],
  ["src/resolvers/rooms.ts", "src/domain/rooms.ts"],
  ["src/resolvers/rooms.ts", "graphql"],
  ["src/schema/room.ts", "@pothos/core"],
  ["src/domain/rooms.ts", "src/domain/rules/power.ts"],
  ["src/domain/rooms.ts", "src/store/rooms.ts"],
  ["src/store/rooms.ts", "generated/prisma/client.ts"],
  ["src/store/rooms.ts", "@prisma/client"],
  ["src/store/rooms.ts", "pg"],
  ["src/model/ids.ts", "node:crypto"],
  ["src/model/ids.ts", "zod"],
  // The other half of the cycle below, which is reported once.
  ["src/domain/cycleB.ts", "src/domain/cycleA.ts"],
] as const;

/** The same, with the rule that must refuse it. */
const forbidden = [
  ["src/main.ts", "src/domain/rooms.ts", "layer src/main.ts"],
  ["src/main.ts", "src/config.ts", "layer src/main.ts"],
  ["src/commands/bad.ts", "src/resolvers/rooms.ts", "layer src/commands/"],
  ["src/app.ts", "test/kit.ts", "layer src/app.ts"],
  ["src/config.ts", "src/domain/rooms.ts", "layer src/config.ts"],
  ["src/transport/bad.ts", "src/app.ts", "layer src/transport/"],
  ["src/transport/bad.ts", "src/store/rooms.ts", "layer src/transport/"],
  ["src/resolvers/bad.ts", "src/store/rooms.ts", "layer src/resolvers/"],
  ["src/resolvers/bad.ts", "src/transport/http.ts", "layer src/resolvers/"],
  ["src/resolvers/bad.ts", "generated/prisma/client.ts", "layer src/resolvers/"],
  ["src/schema/bad.ts", "src/domain/rooms.ts", "layer src/schema/"],
  ["src/domain/bad.ts", "src/schema/room.ts", "layer src/domain/"],
  ["src/domain/bad.ts", "src/config.ts", "layer src/domain/"],
  ["src/domain/bad.ts", "generated/prisma/client.ts", "layer src/domain/"],
  ["src/domain/bad.ts", "bench/load.ts", "layer src/domain/"],
  ["src/domain/bad.ts", "graphql", "no API or database packages"],
  ["src/domain/bad.ts", "graphql-yoga", "no API or database packages"],
  ["src/domain/bad.ts", "@pothos/core", "no API or database packages"],
  ["src/domain/bad.ts", "@prisma/client", "no API or database packages"],
  ["src/domain/bad.ts", "pg", "no API or database packages"],
  ["src/store/bad.ts", "src/domain/rooms.ts", "layer src/store/"],
  ["src/store/bad.ts", "examples/client.ts", "layer src/store/"],
  ["src/model/bad.ts", "src/store/rooms.ts", "layer src/model/"],
  ["src/model/bad.ts", "@prisma/client", "no API or database packages"],
  ["src/model/bad.ts", "node:fs", "model without I/O"],
  ["src/model/bad.ts", "node:fs/promises", "model without I/O"],
  ["src/model/bad.ts", "node:net", "model without I/O"],
  ["src/model/bad.ts", "node:http", "model without I/O"],
  ["src/model/bad.ts", "node:child_process", "model without I/O"],
  ["src/helpers/stray.ts", "src/model/ids.ts", "every file has a layer"],
  ["src/domain/cycleA.ts", "src/domain/cycleB.ts", "no-cycles"],
  ["src/store/bad.ts", "src/model/missing.ts", "imports resolve"],
] as const;

function specifier(from: string, target: string): string {
  if (!target.endsWith(".ts")) return target;
  const path = relative(dirname(from), target);
  return path.startsWith(".") ? path : `./${path}`;
}

describe("a source tree with forbidden imports", () => {
  let folder: string;
  let found: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-layers-"));
    const files = new Map<string, string>();
    for (const [from, target] of [...allowed, ...forbidden]) {
      // Type-only, since those count as well.
      const line = `import type * as _${files.get(from)?.length ?? 0} from "${specifier(from, target)}";\n`;
      files.set(from, (files.get(from) ?? "export {};\n") + line);
      if (target.endsWith(".ts") && !files.has(target) && !target.includes("missing"))
        files.set(target, "export {};\n");
    }
    for (const [path, text] of files) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    await writeFile(join(folder, "package.json"), `{ "type": "module" }`);
    await writeFile(join(folder, "tsconfig.json"), `{ "extends": "${join(repository, "tsconfig.json")}" }`);
    await symlink(join(repository, "node_modules"), join(folder, "node_modules"));
    found = await violations(folder);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(forbidden)("%s must not import %s: %s", (from, target, rule) => {
    const imported = target.replace("node:", "");
    const matching = found.filter((violation) => violation.startsWith(`${rule}: ${from} -> `));
    expect(matching.some((violation) => violation.includes(imported) || rule === "imports resolve")).toBe(true);
  });

  test("nothing else is reported", () => {
    const expected = forbidden.map(([from, , rule]) => `${rule}: ${from} -> `);
    expect(found.filter((violation) => !expected.some((start) => violation.startsWith(start)))).toEqual([]);
  });
});

test("src keeps to its layers", async () => {
  expect(await violations(repository)).toEqual([]);
});
