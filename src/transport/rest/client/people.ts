import type { Domain } from "../../../domain/domain.ts";
import type { AddRoutes } from "../routes.ts";
import { accountDataRoutes } from "./accountData.ts";
import { deviceRoutes } from "./devices.ts";
import { directoryRoutes } from "./directory.ts";
import { filterRoutes } from "./filters.ts";
import { oldFollowingRoutes } from "./oldFollowing.ts";
import { presenceRoutes } from "./presence.ts";
import { profileRoutes } from "./profiles.ts";
import { publicRoomsRoutes } from "./publicRooms.ts";
import { registrationRoutes } from "./registration.ts";
import { serverRoutes } from "./server.ts";
import { signingInRoutes } from "./signingIn.ts";
import { syncRoutes } from "./sync.ts";

/** All calls of the client API that aren't about what happens in rooms. [AS-13] */
export function peopleRoutes(domain: Domain): AddRoutes[] {
  const areas = [
    ...[serverRoutes, registrationRoutes, signingInRoutes, profileRoutes, presenceRoutes],
    ...[directoryRoutes, publicRoomsRoutes, accountDataRoutes, deviceRoutes],
    ...[filterRoutes, syncRoutes, oldFollowingRoutes],
  ];
  return areas.map((area) => area(domain));
}
