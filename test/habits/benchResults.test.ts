import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { comparison } from "../../bench/compare.ts";
import type { Report } from "../../bench/report.ts";
import { writeResults, type Results } from "../../bench/results.ts";

const rows = [
  { case: "one room", server: "hearth", "events/s": 400, "p99 ms": 10 },
  { case: "one room", server: "A", "events/s": 20, "p99 ms": 100 },
  { case: "one room", server: "B", "events/s": 8, "p99 ms": 300 },
  { case: "by socket", server: "hearth", "events/s": 800, "p99 ms": 5 },
];

function compared(better: "higher" | "lower", figure: string, goal: number): object {
  return comparison(rows, [{ case: "one room", figure, better, goal }])[0]!.rows[0]!;
}

test("a goal counts against the better of the others, whichever way is better", () => {
  const rates = { hearth: 400, A: 20, "A: times": 20, B: 8, "B: times": 50 };
  expect(compared("higher", "events/s", 20)).toMatchObject({ ...rates, "goal times": 20, met: "yes" });
  expect(compared("higher", "events/s", 21)).toMatchObject({ met: "NO" });
  expect(compared("lower", "p99 ms", 10)).toMatchObject({ "A: times": 10, "B: times": 30, met: "yes" });
  expect(compared("lower", "p99 ms", 11)).toMatchObject({ met: "NO" });
});

test("a case that the others can't do is compared with the one that they can", () => {
  const [table] = comparison(rows, [
    { case: "by socket", against: "one room", figure: "events/s", better: "higher" },
    { case: "not measured", figure: "events/s", better: "higher" },
  ]);
  expect(table!.rows).toEqual([
    { case: "by socket", figure: "events/s", hearth: 800, A: 20, "A: times": 40, B: 8, "B: times": 100 },
  ]);
});

test("one server alone is compared with none", () => {
  const alone = rows.filter((row) => row.server === "hearth");
  expect(comparison(alone, [{ case: "one room", figure: "events/s", better: "higher" }])).toEqual([]);
});

test("the results hold every table, and say what failed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hearth-test-results-"));
  const path = join(directory, "RESULTS.md");
  const results: Results = new Map<string, Report | Error>([
    ["send", { server: "the build in dist", rows: [rows[0]!, { case: "rate" }], tables: [{ title: "Other", rows }] }],
    ["sync", new Error("the server ended\nand more")],
  ]);
  writeResults(path, results, { peer: "synapse", quick: false });
  const text = await readFile(path, "utf8");
  await rm(directory, { recursive: true });
  expect(text).toContain(
    "| case | server | events/s | p99 ms |\n| --- | --- | --- | --- |\n| one room | hearth | 400 | 10 |\n| rate |  |  |  |\n",
  );
  expect(text).toContain("Other:\n\n| case |");
  expect(text).toMatch(/## sync\n\n[^#]*It failed: the server ended\n$/);
  expect(text).toContain("Beside it: Synapse 1.");
  expect(text).toContain("- hearth 0.1.0, from the build in dist.");
});
