import fc from "fast-check";
import { expect, test } from "vitest";
import { comparePlaces, maxMinorBytes, orderText, placeBetween, type Place } from "../../src/model/order.ts";

const live = (major: number): Place => ({ major, minor: "" });

test("[SCR-3] insertions at random places keep a total order, and no key ever changes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 200 }), (choices) => {
      const places = [live(1), live(2)];
      for (const choice of choices) {
        const index = choice % (places.length - 1);
        const place = placeBetween(places[index]!, places[index + 1]!);
        expect(comparePlaces(places[index]!, place)).toBeLessThan(0);
        expect(comparePlaces(place, places[index + 1]!)).toBeLessThan(0);
        places.splice(index + 1, 0, place);
      }
      expect([...places].sort((a, b) => (orderText(a) < orderText(b) ? -1 : 1))).toEqual(places);
    }),
    { numRuns: 200 },
  );
});

test("[EVS-6] a thousand insertions at either end of a gap don't grow the keys", () => {
  let last = live(7);
  let first = placeBetween(live(7), null);
  for (let count = 0; count < 1000; count++) {
    last = placeBetween(last, live(8));
    first = placeBetween(live(7), first);
  }
  expect(last.minor.length).toBeLessThanOrEqual(8);
  expect(first.minor.length).toBeLessThanOrEqual(8);
});

test("[EVS-6] where keys would outgrow their bound, the insertion is refused", () => {
  const lower = placeBetween(live(1), null);
  let upper = placeBetween(lower, null);
  const insertOften = (): void => {
    for (let count = 0; count < 10_000; count++) upper = placeBetween(lower, upper);
  };
  expect(insertOften).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  expect(upper.minor.length).toBeLessThanOrEqual(2 * maxMinorBytes);
});
