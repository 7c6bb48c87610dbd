import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
/** The device that acts, the user's other one, and somebody else. */
let phone: Client;
let tablet: Client;
let bob: Client;
/** Where each of them stood before the phone acted. */
const tokens = new Map<Client, string>();
let asked: Record<string, unknown>;

/** Every action id of the phone's begins so, and nothing else does. */
const secret = "secret-action";

beforeAll(async () => {
  server = await startApp();
  [phone, bob] = [await server.user("alice", "phone"), await server.user("bob")];
  tablet = await Client.login(server.address, "alice", "tablet");
  const roomId = await phone.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  const send = (name: string, message: object): Promise<string> =>
    phone.message(roomId, { content: { text: { body: name } }, actionId: `${secret}-${name}`, ...message });
  const old = await send("old", {});
  const redacted = await phone.send(roomId, "to be redacted");
  for (const client of [phone, tablet, bob]) {
    const { initialSync } = await client.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
    tokens.set(client, initialSync.stream);
  }
  await send("edit", { updates: old });
  await send("reply", { relatesTo: [{ type: "m.reference", eventId: old }] });
  await send("reaction", { content: { reaction: "+1" }, relatesTo: [{ type: "m.annotation", eventId: old }] });
  await phone.do("mutation ($input: RedactEventInput!) { redactEvent(input: $input) { event { id } } }", {
    input: { eventId: redacted, actionId: `${secret}-redaction` },
  });
  const topic = { roomId, type: "m.room.topic", content: { topic: "tea" } };
  await phone.do("mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }", {
    input: { ...topic, actionId: `${secret}-topic` },
  });
  await phone.mark(old, { actionId: `${secret}-marker` });
  const bundling = await phone.filter({ bundleUpdates: true, bundleRelations: 10 });
  const flat = await phone.filter({ bundleUpdates: false });
  const federation = await phone.filter({ bundleUpdates: true, bundleRelations: 10, format: "FEDERATION" });
  asked = { roomId, old, redacted, bundling, flat, federation };
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([phone, tablet, bob].map((client) => client.close()));
  await server.close();
});

const event = "id actionId json";
const inSync = (selection: string, args: string): string =>
  `initialSync(stream: $stream, limit: 50 ${args}) { rooms { nodes { ${selection} } } }`;

/** A way to read, and of which of the phone's actions it tells the phone. */
const reads: Record<string, { selection: string; tells: string[] }> = {
  relations: {
    selection: `relations(eventId: $old, filter: $flat) { nodes { ${event} } edges { json } }`,
    tells: ["reaction", "reply"],
  },
  "bundled replies": {
    selection: `event(id: $old) { ... on MessageEvent { replies(last: 10) { nodes { ${event} } edges { json } } } }`,
    tells: ["reaction", "reply"],
  },
  updates: {
    selection: `event(id: $old) { ... on MessageEvent { updatedBy { ${event} } } }`,
    tells: ["edit"],
  },
  "what an event updates": {
    selection: `relations(eventId: $old, filter: $flat) { nodes { ... on MessageEvent { relatesTo { event { ${event} } } } } }`,
    tells: ["old"],
  },
  "who redacted": {
    selection: `event(id: $redacted) { ... on MessageEvent { redactedBy { ${event} } } }`,
    tells: ["redaction"],
  },
  "scrollback with bundles": {
    selection: `scrollback(roomId: $roomId, last: 50, filter: $bundling) { events { edges { json } } }`,
    tells: ["edit", "old", "reaction", "redaction", "reply", "topic"],
  },
  "scrollback without bundles": {
    selection: `scrollback(roomId: $roomId, last: 50, filter: $flat) { events { edges { json } } }`,
    tells: ["edit", "old", "reaction", "redaction", "reply", "topic"],
  },
  "compact sync": {
    selection: inSync(`compact { events { ${event} } }`, "filter: $flat"),
    tells: ["edit", "marker", "old", "reaction", "redaction", "reply", "topic"],
  },
  "changed in sync": {
    selection: inSync(`changed { nodes { ${event} } edges { json } }`, ""),
    tells: ["edit", "old"],
  },
  "changed in scrollback": {
    selection: `scrollback(roomId: $roomId, last: 50, stream: $stream) { changed { nodes { ${event} } edges { json } } }`,
    tells: ["edit", "old"],
  },
  "last message": {
    selection: `room(id: $roomId) { lastMessage { ${event} } }`,
    tells: ["reaction"],
  },
  state: {
    selection: `room(id: $roomId) { state(first: 100) { nodes { ${event} } edges { json } } }`,
    tells: ["marker", "topic"],
  },
  "federation form": {
    selection: `event(id: $old) { json(format: FEDERATION) ... on MessageEvent { updatedBy { json(format: FEDERATION) } } }
      scrollback(roomId: $roomId, last: 50, filter: $federation) { events { edges { json } } }`,
    tells: [],
  },
};

/** The names of the actions whose ids a text holds, in order. */
function toldBy(text: string): string[] {
  return [...new Set([...text.matchAll(new RegExp(`${secret}-(\\w+)`, "g"))].map((match) => match[1]!))].sort();
}

async function read(client: Client, selection: string): Promise<string> {
  const types: Record<string, string> = {
    ...{ roomId: "ID!", old: "ID!", redacted: "ID!", stream: "StreamToken" },
    ...{ bundling: "FilterToken", flat: "FilterToken", federation: "FilterToken" },
  };
  const used = Object.keys(types).filter((name) => selection.includes(`$${name}`));
  const variables = { ...asked, stream: selection.includes("changed") ? tokens.get(client) : null };
  const query = `query (${used.map((name) => `$${name}: ${types[name]}`).join(", ")}) { ${selection} }`;
  return JSON.stringify(await client.do(query, variables));
}

describe("[EVS-8] only the device that acted reads its action ids", () => {
  test.each(Object.entries(reads))("%s", async (_way, { selection, tells }) => {
    expect(toldBy(await read(phone, selection))).toEqual(tells);
    for (const client of [tablet, bob]) {
      const text = await read(client, selection);
      expect(toldBy(text)).toEqual([]);
      // They were shown something.
      expect(text).toContain(phone.userId);
    }
  });

  test("a marker's move in federation form", async () => {
    const { room } = await phone.do<{ room: { state: { nodes: { id: string; type: string }[] } } }>(
      "query ($roomId: ID!) { room(id: $roomId) { state(first: 100) { nodes { id type } } } }",
      { roomId: asked["roomId"] },
    );
    const { id } = room.state.nodes.find(({ type }) => type === "m.room.marker.read")!;
    const query = "query ($id: ID!) { event(id: $id) { json(format: FEDERATION) } }";
    for (const client of [phone, tablet, bob])
      expect(toldBy(JSON.stringify(await client.ask(query, { id })))).toEqual([]);
  });

  test("the stream by server-sent events, live and replayed, with bundles", async () => {
    const query = `subscription ($stream: StreamToken, $bundling: FilterToken) {
      eventStream(stream: $stream, filter: $bundling) { events { ${event} } json } }`;
    const streams = await Promise.all([phone, tablet, bob].map((client) => followByHttp(client, query)));
    const end = await phone.send(String(asked["roomId"]), "the end", `${secret}-live`);
    for (const { text, stop } of streams) {
      await until(() => text().includes(end), text);
      stop();
    }
    const [own, ...others] = streams.map(({ text }) => toldBy(text()));
    expect(own).toEqual(expect.arrayContaining(["edit", "live", "marker", "reaction", "redaction", "reply", "topic"]));
    expect(others).toEqual([[], []]);
  });
});

async function followByHttp(client: Client, query: string): Promise<{ text(): string; stop(): void }> {
  const controller = new AbortController();
  const response = await fetch(`${server.address}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "text/event-stream",
      authorization: `Bearer ${client.token}`,
    },
    body: JSON.stringify({ query, variables: { stream: tokens.get(client), bundling: asked["bundling"] } }),
    signal: controller.signal,
  });
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const part of response.body!) text += decoder.decode(part as Uint8Array);
  })().catch(() => undefined);
  return { text: () => text, stop: () => controller.abort() };
}
