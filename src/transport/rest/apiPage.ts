import { html } from "hono/html";
import { z } from "zod";
import { groupBy } from "../../model/groupBy.ts";
import { openApi, pathsOf } from "./openApi.ts";
import type { Documented, Routes } from "./routes.ts";

/** Whom calls answer, in words. */
const access = { open: "anybody", user: "users, and application services", service: "application services" } as const;

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin-top:2.5rem}details{border-top:1px solid #ccc;padding:.4rem 0}summary{cursor:pointer}
code{font:14px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}b{display:inline-block;min-width:4.5rem}
pre{background:#f4f4f4;padding:.6rem;overflow:auto}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}pre{background:#2a2a2a}a{color:#9cf}}`;

/** The description of the API: for programs, and for people. [AS-13] */
export function apiRoutes(calls: () => readonly Documented[]): (routes: Routes) => void {
  // They never change once the server has begun.
  let document: ReturnType<typeof openApi> | null = null;
  let shown: ReturnType<typeof page> | null = null;
  return (routes) => {
    routes.on("GET", "/openapi.json", (context) => context.json((document ??= openApi(calls()))));
    routes.on("GET", "/api", (context) => {
      // There is nothing on it but text.
      context.header(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      );
      return context.html((shown ??= page(calls())));
    });
  };
}

function page(calls: readonly Documented[]) {
  const groups = [...groupBy(calls, ({ group }) => group)];
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>The REST API of hearth</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <h1>The REST API of hearth</h1>
        <p>
          Calls of the Matrix API that bridges and older clients use. The same as an
          <a href="/openapi.json">OpenAPI document</a>. Everything, and more, is in <a href="/graphql">GraphQL</a>.
        </p>
        <p>
          Below <code>/_matrix/client/</code>, <code>v3</code>, <code>r0</code>, <code>v1</code>, <code>api/v1</code>,
          <code>v2_alpha</code> and <code>unstable</code> stand for each other. An access token is shown as
          <code>Authorization: Bearer …</code> or as <code>?access_token=</code>; an application service acts as one of
          its users with <code>?user_id=</code>.
        </p>
        <ul>
          ${groups.map(([name], index) => html`<li><a href="#group-${index}">${name}</a></li>`)}
        </ul>
        ${groups.map(
          ([name, list], index) =>
            html`<h2 id="group-${index}">${name}</h2>
              ${list.map(entry)}`,
        )}
      </body>
    </html>`;
}

function entry(call: Documented) {
  const path = pathsOf(call).at(-1)!.path;
  return html`<details>
    <summary><b>${call.method}</b> <code>${path}</code></summary>
    <p>${call.summary}</p>
    <p>For ${access[call.access]}.</p>
    ${part("In the address", call.query)} ${part("The body", call.body)} ${part("The answer", call.answer)}
  </details>`;
}

function part(name: string, what: z.ZodType | "bytes" | undefined) {
  if (what === undefined) return "";
  if (what === "bytes") return html`<p>${name}: bytes of any type.</p>`;
  const { $schema: _dialect, ...schema } = z.toJSONSchema(what, { io: "input", unrepresentable: "any" });
  return html`<p>${name}:</p>
    <pre><code>${JSON.stringify(schema, null, 2)}</code></pre>`;
}
