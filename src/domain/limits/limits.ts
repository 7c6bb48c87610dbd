import { networkOf } from "../../model/addresses.ts";
import type { AppService } from "../../model/appService.ts";
import { HearthError } from "../../model/errors.ts";
import type { Clock } from "../../model/ports.ts";
import type { Rates } from "../../model/rates.ts";
import type { Requester } from "../../model/requester.ts";
import type { Registry } from "../appservice/registry.ts";
import { Allowance } from "./allowance.ts";

/**
 * How often anybody may ask. Every function counts and throws `RATE_LIMITED` with `retryAfterMs` for what is too much; that
 * isn't counted. All is in the memory of this process: others count for themselves. Application services, and the users
 * that they act as, may do as much as they like unless their registration says otherwise; a person who lends a service
 * their token may not.
 */
export interface Limits {
  /** A request of somebody, on their device. */
  request(requester: Requester): void;
  /** A request of a service as such. */
  serviceRequest(service: AppService): void;
  /** A request of nobody that is known, or one that is worth several. Where an address isn't known either, all such are one. */
  strangersRequest(address: string | null, worth?: number): void;
  /** Counts nothing: whether an address may go on at all. For what takes long before it is known who asks. */
  demandPatience(address: string | null): void;
  /** What a request changes: an action, or each part of one that does many. */
  changes(requester: Requester, count?: number): void;
}

/** Seconds whose worth may come at once. */
const burstSeconds = 10;
/** A person's devices work at once now and then, but not all of them for long. */
const devicesAtOnce = 3;
/** Keys that are remembered of a kind. */
const keys = 100_000;

/** `rates`: null for no limits. */
export function createLimits({
  rates,
  registry,
  clock,
}: {
  rates: Rates | null;
  registry: Registry;
  clock: Clock;
}): Limits {
  if (rates === null) return unlimited;
  const allowance = (perSecond: number): Allowance =>
    new Allowance({ perSecond, atOnce: perSecond * burstSeconds, keys, clock });
  const addresses = allowance(rates.requests);
  const devices = allowance(rates.requests);
  const users = allowance(rates.requests * devicesAtOnce);
  const changers = allowance(rates.actions);

  /** Whether it is a service that asks, for itself or a user of its own, whom nothing limits. */
  function isExempt({ service }: Requester): boolean {
    if (service?.as !== "own") return false;
    return registry.current().withId(service.id)?.rateLimited === false;
  }

  function patient(waitMs: number): void {
    if (waitMs > 0) throw tooMuch(waitMs);
  }

  return {
    request(requester) {
      if (isExempt(requester)) return;
      const { userId, deviceId } = requester;
      const device = `${userId} ${deviceId}`;
      patient(Math.max(users.wait(userId), devices.wait(device)));
      users.take(userId);
      devices.take(device);
    },

    serviceRequest({ id, rateLimited }) {
      if (!rateLimited) return;
      const name = `service ${id}`;
      patient(users.wait(name));
      users.take(name);
    },

    strangersRequest(address, worth = 1) {
      const network = networkOf(address ?? "");
      // What is worth more than may come at once must get through some time.
      const count = Math.min(worth, rates.requests * burstSeconds);
      patient(addresses.wait(network, count));
      addresses.take(network, count);
    },

    demandPatience(address) {
      patient(addresses.wait(networkOf(address ?? "")));
    },

    changes(requester, count = 1) {
      if (count === 0 || isExempt(requester)) return;
      // The request with a batch was counted, so that all can't be there; and the largest batch must get through some time.
      patient(changers.wait(requester.userId, Math.min(count, rates.actions * burstSeconds - 1)));
      changers.take(requester.userId, count);
    },
  };
}

/** The one error about what comes too fast; `retryAfterMs` says when it may come. */
export function tooMuch(retryAfterMs: number): HearthError {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return new HearthError("RATE_LIMITED", `That was too much at once: try again in ${seconds} s.`, { retryAfterMs });
}

const unlimited: Limits = {
  request: () => undefined,
  serviceRequest: () => undefined,
  strangersRequest: () => undefined,
  demandPatience: () => undefined,
  changes: () => undefined,
};
