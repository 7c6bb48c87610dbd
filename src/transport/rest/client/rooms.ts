import type { Domain } from "../../../domain/domain.ts";
import type { AddRoutes } from "../routes.ts";
import { liveRoutes } from "./live.ts";
import { membershipRoutes } from "./memberships.ts";
import { readingRoutes } from "./reading.ts";
import { sendingRoutes } from "./sending.ts";

/** All calls of the client API about what happens in rooms. [AS-13] */
export function roomRoutes(domain: Domain): AddRoutes[] {
  return [membershipRoutes(domain), sendingRoutes(domain), readingRoutes(domain), liveRoutes(domain)];
}
