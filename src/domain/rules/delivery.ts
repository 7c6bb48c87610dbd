import type { DeliveryState } from "../../model/appService.ts";

/**
 * How the delivery to one application service goes. [AS-5]
 *
 *                 failed                        due, woken
 *     ┌──────┐ ───────────────▶ ┌────────┐ ───────────────▶ ┌────────────┐ ◀─┐
 *     │  UP  │                  │  DOWN  │                  │ RECOVERING │   │ delivered, more waits
 *     └──────┘                  └────────┘ ◀─────────────── └────────────┘ ──┘
 *        ▲                                      failed            │
 *        └────────────────────────────────────────────────────────┘
 *                          delivered, nothing waits
 *
 * UP: transactions are sent as events come. DOWN: nothing is sent until the time to try again, which comes later with each
 * failure, or until somebody wakes it: an admin, or a sign of life of the service. RECOVERING: the oldest transaction, the
 * very bytes that failed, is tried again, and then what has gathered, one full transaction after the other.
 * Pausing is no state of its own: a paused service keeps the one that it has.
 */
export interface Delivery {
  state: DeliveryState;
  /** Failures since something was delivered last. */
  failures: number;
  /** When it is tried again, in milliseconds since the epoch; null unless DOWN. */
  retryAt: number | null;
}

/** What may happen; `due`: the time to try again has come. */
export type Occurrence = "delivered, more waits" | "delivered, nothing waits" | "failed" | "due" | "woken";

/** Milliseconds before it is tried again: at first, and at most. */
const firstMs = 1000;
const longestMs = 10 * 60_000;

/** What the delivery becomes. Pure; `random` from 0 to 1 spreads those that failed together. */
export function afterwards(delivery: Delivery, occurrence: Occurrence, now: number, random: number): Delivery {
  const { state, failures } = delivery;
  switch (occurrence) {
    case "failed":
      // Nothing is sent while it is DOWN.
      if (state === "DOWN") return delivery;
      return { state: "DOWN", failures: failures + 1, retryAt: now + pauseMs(failures + 1, random) };
    case "due":
    case "woken":
      return state === "DOWN" ? { state: "RECOVERING", failures, retryAt: null } : delivery;
    case "delivered, more waits":
      return state === "DOWN" ? delivery : { state, failures: 0, retryAt: null };
    case "delivered, nothing waits":
      return state === "DOWN" ? delivery : { state: "UP", failures: 0, retryAt: null };
  }
}

/** Doubles with each failure; half of it is left to chance. */
function pauseMs(failures: number, random: number): number {
  const whole = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(whole * (0.5 + random / 2));
}
