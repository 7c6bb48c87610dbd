import { z } from "zod";
import type { ServiceDevice, SignedIn } from "../../../domain/accounts.ts";
import type { Domain } from "../../../domain/domain.ts";

/** The groups that calls are documented in. */
export const group = {
  server: "The server",
  accounts: "Accounts and devices",
  users: "Profiles and presence",
  directory: "Aliases and published rooms",
  data: "Account data and filters",
  sync: "Following",
  services: "Application services",
} as const;

/** An answer that says no more than that it was done. */
export const nothing = z.object({});

/** By what a user proves who they are, within a request that needs it. */
export const proof = z.looseObject({ type: z.string().optional(), session: z.string().max(255).optional() }).nullish();
export type Proof = z.output<typeof proof>;

/** The device that a request is to sign in on. */
export const deviceKeys = {
  device_id: z.string().nullish(),
  initial_device_display_name: z.string().nullish(),
};

/** The same in the domain's words. */
export function deviceOf(body: z.output<z.ZodObject<typeof deviceKeys>>): ServiceDevice {
  return { deviceId: body.device_id, deviceName: body.initial_device_display_name };
}

/** What says who signed in, and by what token they go on. */
export function signedInAnswer({ server }: Domain, { requester, accessToken }: SignedIn) {
  const { userId, deviceId } = requester;
  return { user_id: userId, access_token: accessToken, device_id: deviceId, home_server: server.name };
}
