import { z } from "zod";
import type { ServiceDevice } from "../../../domain/accounts.ts";
import type { Domain } from "../../../domain/domain.ts";
import { badInput } from "../../../model/errors.ts";
import { userIdOf } from "../../../model/ids.ts";
import { ProofNeeded } from "../errors.ts";
import { originIn, serviceOf } from "../request.ts";
import { clientPaths, type RestContext, type Routes } from "../routes.ts";
import { deviceKeys, deviceOf, group, nothing, proof, signedInAnswer } from "./common.ts";

const password = "m.login.password";
const applicationService = "m.login.application_service";

const loginBody = z.looseObject({
  type: z.enum([password, applicationService]),
  identifier: z
    .looseObject({ type: z.literal("m.id.user"), user: z.string() })
    .nullish()
    .meta({ description: "Whom to sign in, by name or user id." }),
  user: z.string().nullish().meta({ description: "The same in older versions." }),
  password: z.string().nullish(),
  ...deviceKeys,
});
const loginAnswer = z.object({
  user_id: z.string(),
  access_token: z.string(),
  device_id: z.string(),
  home_server: z.string(),
});
const deactivateBody = z.looseObject({ auth: proof, erase: z.boolean().nullish() });

/** Signing in and out, and closing an account. [ACC-1, ACC-3, AS-8] */
export function signingInRoutes(domain: Domain): (routes: Routes) => void {
  const { accounts, server, tools } = domain;

  function loginGhost(context: RestContext, user: string, device: ServiceDevice) {
    return accounts.loginByService(serviceOf(domain, context).serviceId, userIdOf(user, server.name), device);
  }

  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: clientPaths("/login"), group: group.accounts, access: "open" },
      summary: "Tells by what one can sign in.",
      answer: z.object({ flows: z.array(z.object({ type: z.string() })) }),
      handle: () => ({ flows: [{ type: password }, { type: applicationService }] }),
    });
    routes.call({
      ...{ method: "POST", paths: clientPaths("/login"), group: group.accounts, access: "open" },
      summary:
        "Signs a user in on a device: a person by their password, a user of an application service by its token.",
      ...{ body: loginBody, answer: loginAnswer },
      async handle({ context, body }) {
        const user = body.identifier?.user ?? body.user;
        if (typeof user !== "string") throw badInput("identifier", "is missing");
        const device = deviceOf(body);
        if (body.type === applicationService) return signedInAnswer(domain, await loginGhost(context, user, device));
        const { deviceId, deviceName } = device;
        const given = { username: user, password: body.password ?? "", deviceName };
        const input = { ...given, deviceId: deviceId ?? tools.ids.opaque() };
        return signedInAnswer(domain, await accounts.login(input, originIn(context)));
      },
    });
    routes.call({
      ...{ method: "POST", paths: clientPaths("/logout"), group: group.accounts, access: "user" },
      ...{ summary: "Ends the access token.", answer: nothing },
      async handle({ requester }) {
        await accounts.logout(requester);
        return {};
      },
    });
    routes.call({
      ...{ method: "POST", paths: clientPaths("/logout/all"), group: group.accounts, access: "user" },
      ...{ summary: "Ends all access tokens of the user.", answer: nothing },
      async handle({ requester }) {
        await accounts.logoutAll(requester);
        return {};
      },
    });
    routes.call({
      ...{ method: "POST", paths: clientPaths("/account/deactivate"), group: group.accounts, access: "user" },
      summary: "Closes the account for good, and leaves all its rooms. Its name is never given out again.",
      ...{ body: deactivateBody, answer: z.object({ id_server_unbind_result: z.string() }) },
      async handle({ requester, context, body: { auth, erase } }) {
        const shown = auth?.type === password && typeof auth["password"] === "string" ? auth["password"] : null;
        // A service has no password to show for its users.
        if (shown === null && requester.service?.as !== "own") {
          throw new ProofNeeded([[password]], auth?.session ?? tools.ids.opaque());
        }
        await domain.deleteAccount(requester, { password: shown, erase: erase ?? false }, originIn(context));
        return { id_server_unbind_result: "no-support" };
      },
    });
  };
}
