import { expect, test } from "vitest";
import { Pace } from "../../src/model/pace.ts";

function work(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

test("pieces of work are done in order, and others get their turn between them", async () => {
  const pace = new Pace();
  const done: number[] = [];
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  const pieces = Array.from({ length: 100 }, async (_, n) => {
    await pace.turn();
    work(2);
    done.push(n);
  });
  await Promise.all(pieces);
  clearInterval(timer);
  expect(done).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(turns).toBeGreaterThan(5);
});

test("what waits for the end of all pieces also waits for those that they lead to", async () => {
  const pace = new Pace();
  const steps: string[] = [];
  const piece = pace.turn().then(async () => {
    steps.push("first");
    await pace.turn();
    steps.push("second");
  });
  const idle = new Promise<void>((resolve) => pace.whenIdle(resolve)).then(() => steps.push("idle"));
  await Promise.all([piece, idle]);
  expect(steps).toEqual(["first", "second", "idle"]);
  // Where nothing is paced, nothing waits.
  pace.whenIdle(() => steps.push("at once"));
  expect(steps.at(-1)).toBe("at once");
});
