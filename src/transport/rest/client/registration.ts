import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { check } from "../../../model/check.ts";
import { HearthError } from "../../../model/errors.ts";
import { ProofNeeded, RestError } from "../errors.ts";
import { originIn, serviceOf, showsToken } from "../request.ts";
import { clientPaths, type RestContext, type Routes } from "../routes.ts";
import { deviceKeys, deviceOf, group, nothing, proof, signedInAnswer, type Proof } from "./common.ts";

const asToken = z.unknown().meta({ description: "The service's token: one that the admin stored." });
/** The domain checks what is in it. */
const serviceBody = z.looseObject({
  as_token: asToken.optional(),
  url: z.unknown().optional().meta({ description: "Where the service is called." }),
  namespaces: z
    .unknown()
    .optional()
    .meta({ description: "Lists `users`, `aliases` and `rooms` of patterns, or of `{exclusive, regex}`." }),
});
const serviceAnswer = z.object({ hs_token: z.string() });

const userBody = z.looseObject({
  type: z.string().nullish().meta({ description: "`m.login.application_service`, or nothing." }),
  username: z.string().nullish(),
  user: z.string().nullish().meta({ description: "The same in the oldest API." }),
  password: z.string().nullish(),
  auth: proof,
  inhibit_login: z.boolean().nullish(),
  ...deviceKeys,
});
type UserBody = z.output<typeof userBody>;
const userAnswer = z.object({
  user_id: z.string(),
  home_server: z.string(),
  access_token: z.string().optional(),
  device_id: z.string().optional(),
});
type UserAnswer = z.input<typeof userAnswer>;
const kindQuery = z.object({ kind: z.string().optional() });

/** Registering: people, users of application services, and services themselves. [ACC-1, AS-1, AS-2, AS-8] */
export function registrationRoutes(domain: Domain): (routes: Routes) => void {
  const { accounts, services, server, tools } = domain;

  async function registerService(body: unknown): Promise<z.input<typeof serviceAnswer>> {
    return { hs_token: (await services.registrations.register(body)).hsToken };
  }

  /** An application service makes a user of its own: without a password, and so without anything to prove. [AS-8] */
  async function registerGhost(serviceId: string, body: UserBody): Promise<UserAnswer> {
    const userId = await accounts.registerByService(serviceId, body.username ?? body.user ?? "");
    if (body.inhibit_login === true) return { user_id: userId, home_server: server.name };
    return signedInAnswer(domain, await accounts.loginByService(serviceId, userId, deviceOf(body)));
  }

  async function registerPerson(context: RestContext, body: UserBody): Promise<UserAnswer> {
    const registrationToken = proven(body.auth, body.type);
    const { deviceId, deviceName } = deviceOf(body);
    const input = {
      username: body.username ?? body.user ?? tools.ids.opaque().toLowerCase(),
      password: body.password ?? "",
      deviceId: deviceId ?? tools.ids.opaque(),
      deviceName,
      registrationToken,
    };
    const signed = await accounts.register(input, originIn(context));
    if (body.inhibit_login !== true) return signedInAnswer(domain, signed);
    await domain.devices.remove(signed.requester, { deviceId: signed.requester.deviceId });
    return { user_id: signed.requester.userId, home_server: server.name };
  }

  /** The registration token that was shown, if any. Throws what has to be shown; in the oldest API nothing had to be. */
  function proven(auth: Proof, type: string | null | undefined): string | null {
    if (server.registration === "closed") throw new HearthError("REGISTRATION_CLOSED", "Registration is closed.");
    const stage = server.registration === "token" ? "m.login.registration_token" : "m.login.dummy";
    if (auth?.type === stage) return typeof auth["token"] === "string" ? auth["token"] : null;
    if (server.registration === "open" && type === "m.login.password") return null;
    throw new ProofNeeded([[stage]], auth?.session ?? tools.ids.opaque());
  }

  async function registerUser(context: RestContext, kind: string | undefined, body: UserBody): Promise<UserAnswer> {
    if (kind === "guest") throw new RestError(403, "M_GUEST_ACCESS_FORBIDDEN", "There are no guests here.");
    // People who register have no token yet; many services leave the type away.
    const byService = body.type === "m.login.application_service" || showsToken(context);
    return byService ? registerGhost(serviceOf(domain, context).serviceId, body) : registerPerson(context, body);
  }

  return (routes) => {
    routes.call({
      ...{ method: "POST", paths: clientPaths("/register"), group: group.accounts, access: "open" },
      summary: "Registers a person, who has to prove something, or a user of the application service that asks.",
      ...{ query: kindQuery, body: userBody, answer: userAnswer },
      handle: ({ context, query, body }) => registerUser(context, query.kind, body),
    });
    routes.call({
      ...{ method: "POST", paths: "/_matrix/appservice/v1/register", group: group.services, access: "open" },
      summary: "Registers an application service, or changes its registration.",
      ...{ body: serviceBody, answer: serviceAnswer },
      handle: ({ body }) => registerService(body),
    });
    routes.call({
      ...{ method: "POST", paths: "/register", group: group.services, access: "open" },
      summary: "Registers an application service where there is a `url` or an `as_token`, else a user.",
      ...{ query: kindQuery, body: serviceBody, answer: z.union([serviceAnswer, userAnswer]) },
      handle: ({ context, query, body }) =>
        "url" in body || "as_token" in body
          ? registerService(body)
          : registerUser(context, query.kind, check(userBody, body)),
    });
    for (const paths of ["/_matrix/appservice/v1/unregister", "/unregister"]) {
      routes.call({
        ...{ method: "POST", paths, group: group.services, access: "open" },
        summary: "Ends an application service that registered itself.",
        ...{ body: z.looseObject({ as_token: asToken.optional() }), answer: nothing },
        async handle({ body }) {
          await services.registrations.unregister(body);
          return {};
        },
      });
    }
  };
}
