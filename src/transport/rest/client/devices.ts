import { z } from "zod";
import { deviceNotFound } from "../../../domain/devices.ts";
import type { Domain } from "../../../domain/domain.ts";
import type { DeviceShape } from "../../../model/account.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group, nothing } from "./common.ts";

const device = z.object({
  device_id: z.string(),
  display_name: z.string().optional(),
  last_seen_ip: z.string().optional(),
  last_seen_ts: z.number().optional(),
});

/** The user's own devices. [ACC-2] */
export function deviceRoutes({ devices }: Domain): (routes: Routes) => void {
  const shared = { group: group.accounts, access: "user" } as const;
  const one = clientPaths("/devices/:deviceId");

  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: clientPaths("/devices"), ...shared, summary: "One's devices, the oldest first." },
      answer: z.object({ devices: z.array(device) }),
      handle: async ({ requester }) => ({ devices: (await devices.list(requester, null)).map(deviceJson) }),
    });
    routes.call({
      ...{ method: "GET", paths: one, ...shared, summary: "One of one's devices.", answer: device },
      async handle({ requester, params }) {
        const named = (await devices.list(requester, null)).find(({ deviceId }) => deviceId === params["deviceId"]);
        if (named === undefined) throw deviceNotFound();
        return deviceJson(named);
      },
    });
    routes.call({
      ...{ method: "PUT", paths: one, ...shared, summary: "Names one of one's devices.", answer: nothing },
      body: z.looseObject({ display_name: z.string().nullish() }),
      async handle({ requester, params, body }) {
        await devices.rename(requester, { deviceId: params["deviceId"], name: body.display_name || null });
        return {};
      },
    });
    routes.call({
      ...{ method: "DELETE", paths: one, ...shared, answer: nothing },
      summary: "Deletes one of one's devices, with its token.",
      async handle({ requester, params }) {
        await devices.remove(requester, { deviceId: params["deviceId"] });
        return {};
      },
    });
  };
}

function deviceJson({ deviceId, name, lastSeenIp, lastSeenAt }: DeviceShape): z.input<typeof device> {
  return {
    device_id: deviceId,
    ...(name === null ? {} : { display_name: name }),
    ...(lastSeenIp === null ? {} : { last_seen_ip: lastSeenIp }),
    ...(lastSeenAt === null ? {} : { last_seen_ts: lastSeenAt.getTime() }),
  };
}
