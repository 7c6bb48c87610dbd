/** Every subscription, by every way in: it ends when it is no longer wanted, allowed or served, and says why. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { schema } from "../../../src/resolvers/schema.ts";
import { startApp, type TestApp } from "../../kit/app.ts";
import { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
import { RawSocket } from "./support/rawSocket.ts";

let server: TestApp;
let elsewhere: TestApp;
let root: Client;
let number = 0;
beforeAll(async () => {
  server = await startApp({ mirrors: false });
  elsewhere = await startApp({ mirrors: false, databaseUrl: server.databaseUrl, config: { admins: ["root"] } });
  root = await elsewhere.user("root");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await elsewhere.close();
  await server.close();
});

const documents: Record<string, string> = {
  eventStream: "subscription { eventStream { stream } }",
  typing: "subscription { typing { room { id } users { id } } }",
  presence: "subscription { presence { user { id } state } }",
  callSignals: "subscription { callSignals { event { id } } }",
};

/** An open subscription; `text` is what came of it, `over` that nothing more will. */
interface Opened {
  text(): string;
  over(): boolean;
  stop(): void;
}
type Way = (to: TestApp, client: Client, query: string) => Promise<Opened>;

/** Opens a subscription, and waits until the server follows the stream for it. */
async function opened(to: TestApp, open: Promise<Opened>): Promise<Opened> {
  const found = await open;
  await until(() => to.app.domain.stream.count() > 0);
  return found;
}

async function bySocket(_to: TestApp, client: Client, query: string): Promise<Opened> {
  const socket = await RawSocket.open(client);
  const operation = socket.start("1", query);
  return {
    text: () => operation.payloads.join() + JSON.stringify(operation.errors),
    over: () => operation.completed || operation.errors !== null || socket.closed !== null,
    stop: () => socket.complete("1"),
  };
}

async function byEvents(address: string, { token }: Client, query: string, method: "GET" | "POST"): Promise<Opened> {
  const controller = new AbortController();
  const headers = { accept: "text/event-stream", authorization: `Bearer ${token}` };
  const response =
    method === "GET"
      ? await fetch(`${address}/graphql?query=${encodeURIComponent(query)}`, { headers, signal: controller.signal })
      : await fetch(`${address}/graphql`, {
          method,
          headers: { ...headers, "content-type": "application/json" },
          body: JSON.stringify({ query }),
          signal: controller.signal,
        });
  let text = "";
  let over = false;
  const reading = (async () => {
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) text += piece;
  })();
  reading.catch(() => undefined).finally(() => (over = true));
  return { text: () => text, over: () => over, stop: () => controller.abort() };
}

const ways: Record<string, Way> = {
  WebSocket: bySocket,
  "server-sent events": (to, client, query) => byEvents(to.address, client, query, "POST"),
  "server-sent events by yoga": (to, client, query) => byEvents(to.address, client, query, "GET"),
};
const cases = Object.keys(ways).flatMap((way) => Object.keys(documents).map((name) => [name, way] as const));

test("there are no other subscriptions", () => {
  expect(Object.keys(documents).sort()).toEqual(Object.keys(schema.getSubscriptionType()!.getFields()).sort());
});

test.each(cases)("%s by %s ends when its client wants no more", async (name, way) => {
  const client = await server.user(`client${++number}`);
  const { stop } = await opened(server, ways[way]!(server, client, documents[name]!));
  stop();
  await until(() => server.app.domain.stream.count() === 0);
});

/** Ways to end a token; `root` is an admin at another process. */
const endings: Record<string, (client: Client, root: Client) => Promise<unknown>> = {
  "by itself": (client) =>
    new Client(server.address, client.token, client.userId, client.deviceId).do("mutation { logout { deviceId } }"),
  "by an admin elsewhere": async ({ userId }, root) => {
    const { devices } = await root.do<{ devices: { accessTokens: { id: string }[] }[] }>(
      "query ($userId: ID!) { devices(userId: $userId) { accessTokens { id } } }",
      { userId },
    );
    const tokenId = devices[0]!.accessTokens[0]!.id;
    const document = "mutation ($input: RevokeAccessTokenInput!) { revokeAccessToken(input: $input) { tokenId } }";
    await root.do(document, { input: { userId, tokenId } });
  },
  "with its device": ({ userId, deviceId }, root) =>
    root.do("mutation ($input: RemoveDeviceInput!) { removeDevice(input: $input) { deviceId } }", {
      input: { userId, deviceId },
    }),
};

test.each(cases)("[ACC-2] %s by %s ends when its token is revoked, and says why", async (name, way) => {
  for (const end of Object.values(endings)) {
    const client = await server.user(`client${++number}`);
    const { text, over } = await opened(server, ways[way]!(server, client, documents[name]!));
    await end(client, root);
    await until(over, text, 1000);
    expect(text()).toContain("UNKNOWN_TOKEN");
    await until(() => server.app.domain.stream.count() === 0);
  }
});

test.each(Object.keys(ways))("a server that stops ends all subscriptions by %s", async (way) => {
  const other = await startApp({ mirrors: false });
  const client = await other.user("client");
  const all: Opened[] = [];
  for (const query of Object.values(documents)) all.push(await ways[way]!(other, client, query));
  await until(() => other.app.domain.stream.count() === all.length);
  await other.close();
  await until(() => all.every(({ over }) => over()));
  expect(other.app.domain.stream.count()).toBe(0);
});
