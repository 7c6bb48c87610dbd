import type { Requester } from "../../model/requester.ts";

/**
 * An application service as a user, on a device that it is for all of them. Admin rights never pass to it, whoever it acts
 * as. The token is the service's own, or that of the user who lent theirs. [AS-6]
 */
export function serviceAs(
  serviceId: string,
  userId: string,
  as: "own" | "linked" = "own",
  tokenId = serviceTokenId(serviceId),
): Requester {
  return { userId, deviceId: `service:${serviceId}`, admin: false, tokenId, service: { id: serviceId, as } };
}

/** By which what a service opened by its own token is known. */
export function serviceTokenId(serviceId: string): string {
  return `service:${serviceId}`;
}
