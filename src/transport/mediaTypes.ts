export type AnswerType = "application/json" | "application/graphql-response+json";

/**
 * The form of a plain answer by the request's Accept: of those it lists the first that there is; null where none is, and
 * where it may ask for another form, such as a stream of events.
 */
export function plainAnswerType(accept: string | undefined): AnswerType | null {
  switch (accept) {
    case undefined:
    case "":
    case "*/*":
    case "application/json":
      return "application/json";
    case "application/graphql-response+json":
      return accept;
  }
  if (/event-stream|multipart/i.test(accept)) return null;
  for (const listed of accept.replace(/\s/g, "").toLowerCase().split(",")) {
    const [type, ...parameters] = listed.split(";");
    const charset = parameters.find((parameter) => parameter.includes("charset="));
    if (charset !== undefined && charset !== "charset=utf-8") continue;
    if (/^(\*|application)\/(\*|json)$/.test(type!)) return "application/json";
    if (/^(\*|application)\/graphql-response\+json$/.test(type!)) return "application/graphql-response+json";
  }
  return null;
}

/** Whether a body is said to be JSON, as far as that can be told without a doubt. */
export function isJson(contentType: string | undefined): boolean {
  return contentType === "application/json" || (contentType?.startsWith("application/json;") ?? false);
}
