/** A server that is told to stop while all sorts of things are under way. */
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { holdAppendLock } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let databaseUrl: string;
let server: ServerProcess;
let alice: Client;
let room: string;
beforeAll(async () => {
  databaseUrl = await freshDatabase();
  server = await startServer({ DATABASE_URL: databaseUrl });
  alice = await Client.register(server.address, "alice");
  room = await alice.createRoom({});
});
afterAll(async () => {
  await alice?.close();
  if (server?.ended === false) await server.kill();
});

const stream = "subscription { eventStream { stream events { id } } }";
const send = `mutation ($room: ID!) { sendMessage(input: { roomId: $room, message: { content: { text: { body: "last" } } } }) { event { id } } }`;
const authorization = (): string => `Bearer ${alice.token}`;

/** Server-sent events of a subscription, by either way to GraphQL. */
async function events(accept: string): Promise<{ text: () => string; ended: Promise<void> }> {
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept, authorization: authorization() },
    body: JSON.stringify({ query: stream }),
  });
  let text = "";
  const reading = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of response.body!) text += decoder.decode(piece as Uint8Array);
  };
  return { text: () => text, ended: reading() };
}

/** A WebSocket as a client sees it, with all that came and how it ended. */
async function socket(): Promise<{ said: string[]; closed: Promise<number>; say(message: object): void }> {
  const webSocket = new WebSocket(`${server.address.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const said: string[] = [];
  webSocket.on("message", (message) => said.push((message as Buffer).toString()));
  const closed = new Promise<number>((resolve) => webSocket.on("close", resolve));
  const say = (message: object): void => webSocket.send(JSON.stringify(message));
  await new Promise((resolve) => webSocket.once("open", resolve));
  say({ type: "connection_init", payload: { authorization: authorization() } });
  await until(() => said.length > 0);
  return { said, closed, say };
}

test("within ten seconds: what is under way is answered, streams are told to come back, who dawdles is cut off", async () => {
  const follower = await socket();
  follower.say({ id: "1", type: "subscribe", payload: { query: stream } });
  const lean = await events("text/event-stream");
  const yoga = await events("text/event-stream, application/json;q=0.5");
  await until(() => follower.said.length > 1 && lean.text().includes("next") && yoga.text().includes("next"));
  const synced = await fetch(`${server.address}/_matrix/client/v3/sync`, {
    headers: { authorization: authorization() },
  });
  const { next_batch: since } = (await synced.json()) as { next_batch: string };
  const poll = fetch(`${server.address}/_matrix/client/v3/sync?timeout=60000&since=${since}`, {
    headers: { authorization: authorization() },
  });
  // Half an upload, of which nothing more comes.
  const upload = request(`${server.address}/_matrix/media/v3/upload`, {
    method: "POST",
    headers: { authorization: authorization(), "content-type": "text/plain", "content-length": 1000 },
  });
  const cutOff = new Promise((resolve) => upload.once("error", resolve));
  upload.write("half");

  const lock = await holdAppendLock(databaseUrl);
  const overHttp = alice.ask(send, { room });
  follower.say({ id: "2", type: "subscribe", payload: { query: send, variables: { room } } });
  await until(async () => (await lock.waiting()) > 0);
  const begun = performance.now();
  const stopped = server.stop();
  await until(() =>
    fetch(`${server.address}/health`).then(
      () => false,
      () => true,
    ),
  );
  await delay(300);
  await lock.release();

  expect((await overHttp).errors).toBeUndefined();
  expect(await follower.closed).toBe(1012);
  const answered = follower.said.map(
    (message) => JSON.parse(message) as { id?: string; type: string; payload?: object },
  );
  expect(answered.find(({ id, type }) => id === "2" && type === "next")?.payload).toMatchObject({
    data: { sendMessage: { event: {} } },
  });
  expect(answered.some(({ id, type }) => id === "1" && type === "complete")).toBe(false);
  for (const { text, ended } of [lean, yoga]) {
    await ended;
    const last = text()
      .trim()
      .split("\n\n")
      .filter((event) => event.startsWith("event: next"))
      .at(-1)!;
    expect(JSON.parse(last.slice(last.indexOf("{")))).toEqual({
      errors: [
        {
          message: "The server restarts: come back with the last token.",
          extensions: { code: "OVERLOADED", retryAfterMs: 1000 },
        },
      ],
    });
  }
  expect((await poll).status).toBe(200);
  await cutOff;
  expect(await stopped).toBe(0);
  expect(performance.now() - begun).toBeLessThan(10_000);
}, 60_000);
