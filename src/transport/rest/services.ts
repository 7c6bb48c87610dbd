import { z } from "zod";
import type { Domain } from "../../domain/domain.ts";
import { HearthError } from "../../model/errors.ts";
import { RestError } from "./errors.ts";
import { clientPaths, type Routes } from "./routes.ts";

const group = "Application services";
const found = z.array(z.looseObject({}));
const protocol = z.looseObject({ instances: z.array(z.looseObject({})) });

/** What application services and clients ask about other networks, and the call by which a service has itself called. */
export function serviceRoutes({ services }: Domain): (routes: Routes) => void {
  const { lookups } = services;
  return (routes) => {
    routes.call({
      ...{ method: "POST", paths: clientPaths("/appservice/:serviceId/ping"), group, access: "service" },
      summary: "Calls the application service back, to show that the server reaches it.",
      body: z.looseObject({ transaction_id: z.string().optional() }),
      answer: z.object({ duration_ms: z.number() }),
      async handle({ requester: { serviceId }, params, body }) {
        const pinged = await services.ping(serviceId, params["serviceId"]!, body.transaction_id ?? null);
        switch (pinged.outcome) {
          case "answered":
            return { duration_ms: pinged.durationMs };
          case "refused":
            throw new RestError(502, "M_BAD_STATUS", `The application service answered with status ${pinged.status}.`, {
              status: pinged.status,
              body: pinged.body,
            });
          case "unreachable":
            throw pinged.late
              ? new RestError(504, "M_CONNECTION_TIMEOUT", "The application service doesn't answer.")
              : new RestError(
                  502,
                  "M_CONNECTION_FAILED",
                  `The application service can't be called: ${pinged.problem}.`,
                );
        }
      },
    });
    for (const [name, lookUp] of Object.entries({ user: lookups.userByUri, alias: lookups.aliasByUri })) {
      routes.call({
        ...{ method: "GET", paths: `/_matrix/app/v1/${name}`, group, access: "user" },
        summary: `The ${name} of this server that an address of another network stands for. [AS-12]`,
        query: z.looseObject({ uri: z.string() }),
        answer: z.object({ user_id: z.string().optional(), alias: z.string().optional() }),
        async handle({ query: { uri } }) {
          const id = await lookUp(uri);
          if (id === null) throw new HearthError("NOT_FOUND", "The address stands for nothing here.", { field: "uri" });
          return name === "user" ? { user_id: id } : { alias: id };
        },
      });
    }
    thirdPartyRoutes(routes, lookups);
  };
}

function thirdPartyRoutes(routes: Routes, lookups: Domain["services"]["lookups"]): void {
  routes.call({
    ...{ method: "GET", paths: clientPaths("/thirdparty/protocols"), group, access: "user" },
    summary: "The protocols of other networks that application services know.",
    answer: z.record(z.string(), protocol),
    handle: () => lookups.protocols(),
  });
  routes.call({
    ...{ method: "GET", paths: clientPaths("/thirdparty/protocol/:protocol"), group, access: "user" },
    summary: "What there is to know of a protocol, from all application services that know it.",
    answer: protocol,
    handle: ({ params }) => lookups.protocol(params["protocol"]!),
  });
  for (const kind of ["user", "location"] as const) {
    const [what, name] = kind === "user" ? ["Users", "userid"] : ["Places", "alias"];
    routes.call({
      ...{ method: "GET", paths: clientPaths(`/thirdparty/${kind}/:protocol`), group, access: "user" },
      summary: `${what} of another network, by the fields that its protocol names.`,
      query: z.record(z.string(), z.string()),
      answer: found,
      handle: ({ params, query }) => lookups.find(kind, params["protocol"]!, fieldsOf(query)),
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths(`/thirdparty/${kind}`), group, access: "user" },
      summary: `What a ${kind === "user" ? "user" : "room alias"} of this server is on other networks.`,
      query: z.looseObject({ [name]: z.string() }),
      answer: found,
      handle: ({ query }) => lookups.reverse(kind, String(query[name])),
    });
  }
}

/** Tokens are for this server alone. */
function fieldsOf({ access_token: _token, user_id: _acting, user_token: _linked, ...fields }: Record<string, string>) {
  return fields;
}
