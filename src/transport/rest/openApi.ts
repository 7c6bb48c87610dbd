import { z } from "zod";
import { version } from "../../model/version.ts";
import type { Documented } from "./routes.ts";

type Json = Record<string, unknown>;

/** A path as the document has it, with the names of its parameters. */
interface DocumentedPath {
  path: string;
  parameters: string[];
}

const description = `Calls of the Matrix client and application-service APIs that hearth serves for bridges and older clients.
Below \`/_matrix/client/\`, \`v3\`, \`r0\`, \`v1\`, \`api/v1\`, \`v2_alpha\` and \`unstable\` stand for each other; so do \`v3\`, \`r0\` and \`v1\` below \`/_matrix/media/\`.
An access token is shown as \`Authorization: Bearer …\` or as \`?access_token=\`. Paths hold with a slash at the end, too.`;

const reference = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

/** The OpenAPI 3.1 document of calls, made from what checks them. [AS-13] */
export function openApi(calls: readonly Documented[]): Json {
  const paths: Record<string, Json> = {};
  for (const call of calls) {
    for (const { path, parameters } of pathsOf(call)) {
      (paths[path] ??= {})[call.method.toLowerCase()] = operation(call, path, parameters);
    }
  }
  return {
    openapi: "3.1.0",
    info: { title: "hearth", version, description },
    servers: [{ url: "/" }],
    tags: [...new Set(calls.map(({ group }) => group))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        inAddress: { type: "apiKey", in: "query", name: "access_token" },
      },
      parameters: {
        actsAs: {
          ...{ in: "query", name: "user_id", schema: { type: "string" } },
          description: "For application services: the user of their namespaces that they act as.",
        },
        actsFor: {
          ...{ in: "query", name: "user_token", schema: { type: "string" } },
          description: "For application services: the access token of the user that they act for.",
        },
      },
      responses: {
        refused: { description: "It is refused, or failed.", content: json(errorSchema) },
      },
    },
  };
}

const errorSchema = {
  type: "object",
  required: ["errcode", "error"],
  properties: {
    errcode: { type: "string", description: "Such as `M_FORBIDDEN`." },
    error: { type: "string", description: "For people." },
    code: { type: "string", description: "The same in the words of GraphQL's `ErrorCode`." },
    field: { type: "string", description: "What was wrong." },
  },
};

function operation(call: Documented, path: string, parameters: readonly string[]): Json {
  const { method, access, query, body, answer } = call;
  const needsToken = access !== "open";
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+/g, "_").replace(/_$/, "")}`,
    summary: call.summary,
    tags: [call.group],
    parameters: [
      ...parameters.map((name) => ({ in: "path", name, required: true, schema: { type: "string" } })),
      ...(query === undefined ? [] : queryParameters(query)),
      ...(access === "user" ? [reference("parameters", "actsAs"), reference("parameters", "actsFor")] : []),
    ],
    ...(body === undefined ? {} : { requestBody: { content: contentOf(body) } }),
    responses: {
      200: { description: "It is done.", content: contentOf(answer) },
      default: reference("responses", "refused"),
    },
    security: needsToken ? [{ bearer: [] }, { inAddress: [] }] : [],
  };
}

function contentOf(what: z.ZodType | "bytes"): Json {
  return what === "bytes" ? { "*/*": {} } : json(schemaOf(what, "input"));
}

function json(schema: Json): Json {
  return { "application/json": { schema } };
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}

/** What is read of the text of a parameter is what it has to be; what has a default needn't be there. */
function queryParameters(query: z.ZodType): Json[] {
  const [read, given] = [schemaOf(query, "output"), schemaOf(query, "input")];
  const properties = read["properties"] as Record<string, Json> | undefined;
  if (properties === undefined) return [{ in: "query", name: "fields", style: "form", explode: true, schema: read }];
  const required = new Set((given["required"] as string[] | undefined) ?? []);
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    ...{ in: "query", name, required: required.has(name), schema },
    ...(description === undefined ? {} : { description }),
  }));
}

/** The first path of a call, and where its last part may be missing, both forms. */
export function pathsOf({ paths }: Pick<Documented, "paths">): DocumentedPath[] {
  const first = typeof paths === "string" ? paths : (paths[0] ?? "");
  const parameters: string[] = [];
  // A parameter of a few values stands for the first of them.
  const path = first.replace(
    /:(\w+)(\{([^|}]*)[^}]*\})?/g,
    (_part, name: string, choice: string | undefined, value: string) => {
      if (choice !== undefined) return value;
      parameters.push(name);
      return `{${name}}`;
    },
  );
  if (!path.endsWith("?")) return [{ path, parameters }];
  return [
    { path: path.slice(0, path.lastIndexOf("/")), parameters: parameters.slice(0, -1) },
    { path: path.slice(0, -1), parameters },
  ];
}
