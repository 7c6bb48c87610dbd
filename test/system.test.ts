import { expect, test } from "vitest";
import { randomIds } from "../src/system.ts";

test("event ids of one moment begin alike, and no two are the same", () => {
  const made = Array.from({ length: 10_000 }, () => randomIds.eventId(1_800_000_000_000));
  expect(new Set(made).size).toBe(made.length);
  // Nor do neighbours share anything but the time: each draws bytes of its own.
  expect(new Set(made.map((eventId) => eventId.slice(9, 17))).size).toBe(made.length);
  expect(new Set(made.map((eventId) => eventId.slice(0, 9))).size).toBe(1);
  expect(made.every((eventId) => /^\$[\w-]{24}$/.test(eventId))).toBe(true);
});
