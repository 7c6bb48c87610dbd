import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { createPasswords } from "../../src/domain/passwords.ts";

test("[ACC-1] a name that nobody has takes as long to refuse as a wrong password", async () => {
  const passwords = createPasswords();
  const kept = await passwords.hash("correct horse battery");
  const took = async (hash: string | null): Promise<number> => {
    const begun = performance.now();
    expect(await passwords.verify(hash, "wrong password")).toBe(false);
    return performance.now() - begun;
  };
  // The first one makes what unknown names are compared with.
  await took(null);
  const times: { known: number; unknown: number }[] = [];
  for (let n = 0; n < 9; n++) times.push({ known: await took(kept), unknown: await took(null) });
  const [known, unknown] = [fastest(times.map((each) => each.known)), fastest(times.map((each) => each.unknown))];
  expect(unknown / known).toBeGreaterThan(0.6);
  expect(unknown / known).toBeLessThan(1.7);
});

/** What the machine does besides only ever adds to a time. */
function fastest(times: readonly number[]): number {
  return Math.min(...times);
}
