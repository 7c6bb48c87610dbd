import { createHash } from "node:crypto";
import { verifyAsync } from "@noble/ed25519";
import canonicalize from "canonicalize";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { Follow } from "../kit/follow.ts";

let server: TestApp;
let ann: Client;
let keys: { keyId: string; publicKey: string }[];

beforeAll(async () => {
  server = await startApp();
  ann = await server.user("ann");
  const data = await server
    .stranger()
    .do<{ server: { signingKeys: typeof keys } }>("{ server { signingKeys { keyId publicKey } } }");
  keys = data.server.signingKeys;
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

interface Document extends Record<string, unknown> {
  hashes: { sha256: string };
  signatures: Record<string, Record<string, string>>;
  prev_events: string[];
  depth: number;
}

/** Checks hash and signature as another server would, with nothing of hearth's own. */
async function verifies(document: Document): Promise<boolean> {
  const { signatures, unsigned: _unsigned, ...signed } = document;
  const { hashes, ...content } = signed;
  const hash = createHash("sha256").update(canonicalize(content)!).digest("base64").replace(/=+$/, "");
  const { keyId, publicKey } = keys[0]!;
  const signature = Buffer.from(signatures["localhost"]![keyId]!, "base64");
  const message = Buffer.from(canonicalize(signed)!);
  return hash === hashes.sha256 && (await verifyAsync(signature, message, Buffer.from(publicKey, "base64")));
}

test("[EV-6] every event of a room verifies, hangs on the one before it, and lies deeper", async () => {
  const roomId = await ann.createRoom({ name: "Café ☕", invite: [(await server.user("bob")).userId] });
  const message = await ann.send(roomId, "naïve \u{1f600}");
  await ann.reply(roomId, message, "reply");
  await ann.setState(roomId, "m.room.topic", { topic: "t" });
  await ann.redact(message);
  const filter = await ann.filter({ format: "FEDERATION" });
  const data = await ann.do<{ scrollback: { events: { edges: { node: { id: string }; json: Document }[] } } }>(
    "query ($roomId: ID!, $filter: FilterToken) { scrollback(roomId: $roomId, filter: $filter, last: 50) { events { edges { node { id } json } } } }",
    { roomId, filter },
  );
  const { edges } = data.scrollback.events;
  expect(edges.length).toBeGreaterThan(9);
  for (const [index, { node, json }] of edges.entries()) {
    expect(json).toMatchObject({ event_id: node.id, room_id: roomId, origin: "localhost" });
    expect(await verifies(json)).toBe(true);
    expect(await verifies({ ...json, depth: json.depth + 1 })).toBe(false);
    expect(json.prev_events).toEqual(index === 0 ? [] : [edges[index - 1]!.node.id]);
    if (index > 0) expect(json.depth).toBeGreaterThan(edges[index - 1]!.json.depth);
  }
});

test("[EV-6, EV-1] comes by the field's own argument and by the stream's filter, with plain types and chosen fields", async () => {
  const roomId = await ann.createRoom();
  const follow = new Follow(ann.socket, null, { filter: await ann.filter({ format: "FEDERATION" }) });
  await follow.until(({ chunks }) => chunks.length > 0);
  const eventId = await ann.send(roomId, "hello", "my action");
  await follow.sees(eventId);
  const data = await ann.do<{ event: { json: Document; some: object; client: object } }>(
    'query ($id: ID!) { event(id: $id) { json(format: FEDERATION) some: json(format: FEDERATION, fields: ["type", "depth"]) client: json } }',
    { id: eventId },
  );
  const { json, some, client } = data.event;
  expect(json).toEqual(follow.json.at(-1));
  expect(await verifies(json)).toBe(true);
  expect(json).not.toHaveProperty("action_id");
  expect(some).toEqual({ type: "m.room.message", depth: json.depth });
  expect(client).toMatchObject({ type: "message:m.room.message", action_id: "my action" });
  follow.stop();
});

test("[EV-6] the key stays the same over restarts and processes", async () => {
  const second = await startApp({ databaseUrl: server.databaseUrl });
  const data = await second
    .stranger()
    .do<{ server: { signingKeys: typeof keys } }>("{ server { signingKeys { keyId publicKey } } }");
  expect(data.server.signingKeys).toEqual(keys);
  await second.close();
});
