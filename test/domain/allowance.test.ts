import { describe, expect, test } from "vitest";
import { Allowance } from "../../src/domain/limits/allowance.ts";
import { networkOf } from "../../src/model/addresses.ts";

let now = 1_000_000;
const clock = { now: () => now };

function allowance(keys = 1000): Allowance {
  return new Allowance({ perSecond: 2, atOnce: 10, keys, clock });
}

/** How often it may be done at once. */
function takeAll(of: Allowance, key: string): number {
  let taken = 0;
  while (of.wait(key) === 0 && taken < 1000) {
    of.take(key);
    taken++;
  }
  return taken;
}

describe("an allowance", () => {
  test("gives so much at once, then so much with time", () => {
    const each = allowance();
    expect(takeAll(each, "a")).toBe(10);
    expect(each.wait("a")).toBe(500);
    now += 499;
    expect(each.wait("a")).toBe(1);
    now += 1;
    expect(takeAll(each, "a")).toBe(1);
    now += 60_000;
    expect(takeAll(each, "a")).toBe(10);
  });

  test("gives what it says where it doesn't come out even", () => {
    for (const perSecond of [3, 7, 11, 13]) {
      const each = new Allowance({ perSecond, atOnce: perSecond * 10, keys: 10, clock });
      expect(takeAll(each, "a")).toBe(perSecond * 10);
    }
  });

  test("is each one's own", () => {
    const each = allowance();
    takeAll(each, "a");
    expect(takeAll(each, "b")).toBe(10);
  });

  test("has what was too much waited for after", () => {
    const each = allowance();
    expect(each.wait("a", 10)).toBe(0);
    expect(each.wait("a", 11)).toBe(500);
    each.take("a", 100);
    expect(each.wait("a")).toBe(45_500);
    now += 45_500;
    expect(takeAll(each, "a")).toBe(1);
  });

  test("remembers no more than so many, and who was lately there longest", () => {
    const each = allowance(1000);
    for (let key = 0; key < 100_000; key++) each.take(`${key}`, 10);
    expect(each.size).toBeLessThanOrEqual(1000);
    expect(each.wait("99999")).toBeGreaterThan(0);
    expect(each.wait("0")).toBe(0);
  });

  test("forgets who hasn't come for a while", () => {
    const each = allowance();
    for (let key = 0; key < 500; key++) each.take(`${key}`);
    now += 120_000;
    each.take("a");
    now += 120_000;
    each.take("a");
    expect(each.size).toBeLessThanOrEqual(2);
  });

  test("doesn't make anybody wait for a clock that was put back", () => {
    const each = allowance();
    takeAll(each, "a");
    now -= 86_400_000;
    expect(takeAll(each, "a")).toBe(10);
  });
});

test("addresses of one network of IPv6 count as one", () => {
  expect(networkOf("203.0.113.7")).toBe("203.0.113.7");
  expect(networkOf("2001:db8:1:2::1")).toBe(networkOf("2001:db8:1:2:ffff::9"));
  expect(networkOf("2001:db8:1:2::1")).not.toBe(networkOf("2001:db8:1:3::1"));
});
