import { readFileSync } from "node:fs";
import { parse, Kind } from "graphql";
import { expect, test } from "vitest";
import { defaultDocument } from "../../src/transport/graphiql.ts";
import { startApp } from "../kit/app.ts";
import { until } from "../kit/until.ts";

/** Each operation of a document, by name, as text. */
function operations(document: string): { name: string; kind: string; text: string }[] {
  return parse(document).definitions.map((definition) => {
    if (definition.kind !== Kind.OPERATION_DEFINITION) throw new Error("only operations are expected");
    const { start, end } = definition.loc!;
    return { name: definition.name!.value, kind: definition.operation, text: document.slice(start, end) };
  });
}

const readme = [...readFileSync("README.md", "utf8").matchAll(/^```graphql\n(.*?)^```$/gms)].map((match) => match[1]!);

test.each([
  ["README.md", readme.join("\n")],
  ["the document that GraphiQL opens with", defaultDocument],
])("the first conversation works as it stands in %s", async (_name, document) => {
  const server = await startApp();
  const client = server.stranger();
  const variables: Record<string, string> = { password: "a long password" };
  const streamed: unknown[] = [];
  for (const { name, kind, text } of operations(document)) {
    if (kind === "subscription") {
      client.socket.subscribe(
        { query: text },
        { next: (result) => streamed.push(result), error: () => undefined, complete: () => undefined },
      );
      await until(() => streamed.length > 0);
      continue;
    }
    const data = await client.do<Record<string, Record<string, unknown>>>(text, variables);
    if (name === "Register") client.token = String(data["register"]!["accessToken"]);
    if (name === "CreateRoom") variables["room"] = (data["createRoom"]!["room"] as { id: string }).id;
    if (name === "Read") expect(JSON.stringify(data)).toContain("Hello!");
  }
  await until(
    () => JSON.stringify(streamed).includes("Hello!"),
    () => JSON.stringify(streamed),
  );
  await client.close();
  await server.close();
});
