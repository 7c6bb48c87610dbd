import { expect, test } from "vitest";
import { logOutput } from "../../src/commands/logOutput.ts";
import { until } from "../kit/until.ts";

/** A file that takes so many bytes at once: 0 is EAGAIN, less an error of another kind. */
function scripted(takes: number[]): { written(): string; write(fileDescriptor: number, bytes: Buffer): number } {
  let text = "";
  return {
    written: () => text,
    write(_fileDescriptor, bytes) {
      const take = takes.shift() ?? Infinity;
      if (take <= 0) throw Object.assign(new Error("no"), { code: take === 0 ? "EAGAIN" : "ENOSPC" });
      const part = bytes.subarray(0, Math.min(take, bytes.length));
      text += part.toString();
      return part.length;
    },
  };
}

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => (line.includes('"lost"') ? `lost ${(JSON.parse(line) as { lost: number }).lost}` : line));

test("lines that can't be written are lost, and the next that can be says how many", () => {
  const file = scripted([Infinity, -1, -1, -1, Infinity]);
  const log = logOutput(2, file.write);
  for (const line of ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"]) log.write(line);
  expect(linesOf(file.written())).toEqual(["one", "lost 3", "five", "six", ""]);
});

test("half a line that the disk had room for isn't the beginning of another", () => {
  const file = scripted([2, -1, -1, 30, -1]);
  const log = logOutput(2, file.write);
  for (const line of ["one\n", "two\n", "three\n", "four\n", "five\n"]) log.write(line);
  expect(file.written().slice(0, 3)).toBe("on\n");
  // The line that said how many was torn as well: they are counted again.
  expect(file.written()).toMatch(/^on\n.*\n\{.*"lost":[34].*\nfive\n$/s);
});

test("what a full pipe doesn't take is written when it does, in order and whole", async () => {
  const file = scripted([Infinity, 2, 0, 0]);
  const log = logOutput(2, file.write);
  const lines = Array.from({ length: 50 }, (_, number) => `line ${number}\n`);
  for (const line of lines) log.write(line);
  await until(() => file.written().length >= lines.join("").length);
  expect(file.written()).toBe(lines.join(""));
});

test("what waits is bounded", async () => {
  const file = scripted([0]);
  const log = logOutput(2, file.write);
  const line = `${"x".repeat(99_999)}\n`;
  for (let n = 0; n < 20; n++) log.write(line);
  await until(() => file.written().length > 0);
  log.write("last\n");
  const written = linesOf(file.written()).map((each) => each.slice(0, 6));
  const kept = written.filter((each) => each.startsWith("x")).length;
  expect(kept).toBeLessThan(14);
  expect(written).toContain(`lost ${20 - kept}`);
  expect(written.slice(-2)).toEqual(["last", ""]);
});
