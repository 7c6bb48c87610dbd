import { expect, test } from "vitest";
import { deliveryStates } from "../../src/model/appService.ts";
import { afterwards, type Delivery, type Occurrence } from "../../src/domain/rules/delivery.ts";

const now = 1_000_000;
const before: Record<(typeof deliveryStates)[number], Delivery> = {
  UP: { state: "UP", failures: 0, retryAt: null },
  DOWN: { state: "DOWN", failures: 3, retryAt: now + 500 },
  RECOVERING: { state: "RECOVERING", failures: 3, retryAt: null },
};
const up = { state: "UP", failures: 0, retryAt: null };
const recovered = { state: "RECOVERING", failures: 0, retryAt: null };

/** Every state and everything that may happen in it. */
const table: Record<(typeof deliveryStates)[number], Record<Occurrence, object>> = {
  UP: {
    "delivered, more waits": up,
    "delivered, nothing waits": up,
    failed: { state: "DOWN", failures: 1, retryAt: now + 500 },
    due: up,
    woken: up,
  },
  DOWN: {
    "delivered, more waits": before.DOWN,
    "delivered, nothing waits": before.DOWN,
    failed: before.DOWN,
    due: { state: "RECOVERING", failures: 3, retryAt: null },
    woken: { state: "RECOVERING", failures: 3, retryAt: null },
  },
  RECOVERING: {
    "delivered, more waits": recovered,
    "delivered, nothing waits": up,
    failed: { state: "DOWN", failures: 4, retryAt: now + 4000 },
    due: before.RECOVERING,
    woken: before.RECOVERING,
  },
};

test.each(
  deliveryStates.flatMap((state) =>
    Object.entries(table[state]).map(([occurrence, after]) => ({ state, occurrence, after })),
  ),
)("[AS-5] delivery that is $state, then $occurrence", ({ state, occurrence, after }) => {
  expect(afterwards(before[state], occurrence as Occurrence, now, 0)).toEqual(after);
});

test("[AS-5] each failure doubles the wait, up to ten minutes, half of it by chance", () => {
  const waits = (random: number): number[] =>
    Array.from({ length: 40 }, (_each, failures) => {
      const { retryAt } = afterwards({ state: "RECOVERING", failures, retryAt: null }, "failed", now, random);
      return retryAt! - now;
    });
  expect(waits(0).slice(0, 4)).toEqual([500, 1000, 2000, 4000]);
  expect(waits(1).slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
  expect(waits(1).at(-1)).toBe(600_000);
});
