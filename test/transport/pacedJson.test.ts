import fc from "fast-check";
import { expect, test } from "vitest";
import { isLarge, pacedJson } from "../../src/transport/pacedJson.ts";

async function written(value: unknown): Promise<string> {
  return new Response(pacedJson(value)).text();
}

test("a result in pieces is the same JSON as in one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 6 }), async (value) => {
      expect(await written(value)).toBe(JSON.stringify(value));
    }),
  );
  const long = {
    data: { rooms: Array.from({ length: 40 }, (_, n) => ({ n, text: "é".repeat(9000) })) },
    left: undefined,
  };
  expect(await written(long)).toBe(JSON.stringify(long));
});

test("results are written in pieces when they are large, and others get their turn between the pieces", async () => {
  expect(isLarge({ data: { events: Array.from({ length: 100 }, () => ({ id: "$x", type: "m" })) } })).toBe(false);
  const rooms = Array.from({ length: 1000 }, (_, n) => ({
    n,
    events: Array.from({ length: 20 }, () => ({ body: "x".repeat(400) })),
  }));
  expect(isLarge({ rooms })).toBe(true);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  const text = await written({ rooms });
  clearInterval(timer);
  expect(text.length).toBeGreaterThan(8_000_000);
  expect(turns).toBeGreaterThan(10);
});
