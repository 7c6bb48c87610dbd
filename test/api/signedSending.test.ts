import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { Follow } from "../kit/follow.ts";
import {
  countEvents,
  forms,
  newKey,
  outcome,
  prepare,
  register,
  sendPrepared,
  signed,
  verifies,
  type Json,
  type Key,
} from "../kit/signing.ts";

type Signatures = Record<string, Record<string, string>>;

let server: TestApp;
let ann: Client;
let bob: Client;
let roomId: string;
let key: Key;
const text = (body: string) => ({ content: { text: { body } } });

beforeAll(async () => {
  server = await startApp();
  ann = await server.user("ann");
  bob = await server.user("bob");
  roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  key = await newKey();
  await register(ann, key);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

// As docs/decisions/0006-signed-sending.md tells readers to do it.
function signedOfFederation(document: Json): Json {
  const dropped = ["auth_events", "depth", "hashes", "prev_events", "signatures", "unsigned"];
  return Object.fromEntries(Object.entries(document).filter(([name]) => !dropped.includes(name)));
}
function signedOfClient(document: Json): Json {
  const kept = ["content", "event_id", "origin_server_ts", "relates_to", "room_id", "sender", "type", "updates"];
  const json = Object.fromEntries(Object.entries(document).filter(([name]) => kept.includes(name)));
  const sender = String(json["sender"]);
  const type = String(json["type"]).replace(/^message:/, "");
  return { ...json, type, origin: sender.slice(sender.indexOf(":") + 1) };
}

test("[ACT-13] the event is stored as it was prepared, and readers verify it from either form", async () => {
  const prepared = await prepare(ann, roomId, { ...text("naïve \u{1f600} \u{fb33}"), mentions: [bob.userId] });
  const { json } = prepared;
  const follow = await bob.follow();
  const { event, compact } = await sendPrepared(ann, {
    prepared: prepared.prepared,
    signatures: await signed(ann, key, prepared),
  });
  expect(event.id).toBe(json["event_id"]);
  expect(Date.parse(event.sentAt)).toBe(json["origin_server_ts"]);
  expect(compact).not.toHaveProperty("signatures");
  await follow.sees(event.id);
  const read = await forms(bob, event.id);
  const signatures = read.client["signatures"] as Signatures;
  expect(signatures).toEqual(await signed(ann, key, prepared));
  expect(follow.json.at(-1)).toEqual(read.client);
  follow.stop();

  const { user } = await bob.do<{ user: { signingKeys: { keyId: string; publicKey: string }[] } }>(
    "query ($id: ID!) { user(id: $id) { signingKeys { keyId publicKey } } }",
    { id: ann.userId },
  );
  const { keyId, publicKey } = user.signingKeys[0]!;
  for (const document of [signedOfClient(read.client), signedOfFederation(read.federation)]) {
    expect(document).toEqual(json);
    expect(await verifies(document, signatures[ann.userId]![keyId]!, publicKey)).toBe(true);
    expect(await verifies({ ...document, origin_server_ts: 1 }, signatures[ann.userId]![keyId]!, publicKey)).toBe(
      false,
    );
  }
});

test("[ACT-13] the signed bytes hold what the sender knows, and neither prev_events nor depth nor an unsigned part", async () => {
  const { json, expiresAt } = await prepare(ann, roomId, text("hello"));
  expect(json).toEqual({
    event_id: expect.stringMatching(/^\$/) as string,
    type: "m.room.message",
    room_id: roomId,
    sender: ann.userId,
    origin: "localhost",
    origin_server_ts: expect.any(Number) as number,
    content: { msgtype: "m.text", body: "hello" },
  });
  expect(Date.parse(expiresAt) - Number(json["origin_server_ts"])).toBe(5 * 60_000);
});

test("[ACT-13, EV-6] federation form has the users' signatures beside the server's, which covers what it did", async () => {
  const prepared = await prepare(ann, roomId, text("both"));
  const signatures = await signed(ann, key, prepared);
  const { event } = await sendPrepared(ann, { prepared: prepared.prepared, signatures });
  const { federation } = await forms(ann, event.id);
  const found = federation["signatures"] as Signatures;
  const data = await ann.do<{ server: { signingKeys: { keyId: string; publicKey: string }[] } }>(
    "{ server { signingKeys { keyId publicKey } } }",
  );
  const { keyId, publicKey } = data.server.signingKeys[0]!;
  expect(found).toEqual({ ...signatures, localhost: { [keyId]: expect.any(String) as string } });
  const { signatures: _signatures, ...covered } = federation;
  expect(await verifies(covered, found["localhost"]![keyId]!, publicKey)).toBe(true);
});

test("[ACT-13] [UPD-1] [REL-1] updates, relations and reactions are signed and stored as such", async () => {
  const parent = await ann.send(roomId, "parent");
  const messages = [
    { ...text("edited"), updates: parent },
    { ...text("reply"), relatesTo: [{ type: "m.reference", eventId: parent }] },
    { content: { reaction: "+1" }, relatesTo: [{ type: "m.annotation", eventId: parent }] },
    {
      type: "message:org.example.poll",
      content: { custom: { ["__proto__"]: { deep: [1, null] }, "2": "b", "10": "a" } },
    },
  ];
  for (const message of messages) {
    const prepared = await prepare(ann, roomId, message);
    const { event } = await sendPrepared(ann, {
      prepared: prepared.prepared,
      signatures: await signed(ann, key, prepared),
    });
    const { client, federation } = await forms(bob, event.id);
    expect(signedOfClient(client)).toEqual(prepared.json);
    expect(signedOfFederation(federation)).toEqual(prepared.json);
  }
  const data = await bob.do<{ event: object }>(
    "query ($id: ID!) { event(id: $id) { ... on MessageEvent { current { raw } reactions { key count } replyCount } } }",
    { id: parent },
  );
  expect(data.event).toEqual({
    current: { raw: { msgtype: "m.text", body: "edited" } },
    reactions: [{ key: "+1", count: 1 }],
    replyCount: 2,
  });
});

test("[ACT-13] a prepared message that was altered, or is another's, is refused", async () => {
  const message = await prepare(ann, roomId, text("intact"));
  const { prepared } = message;
  const signatures = await signed(ann, key, message);
  const before = await countEvents(server.databaseUrl);
  const [version, keyId, payload, mac] = prepared.split(".") as [string, string, string, string];
  const put = (part: string, at: number): string =>
    part.slice(0, at) + (part[at] === "A" ? "B" : "A") + part.slice(at + 1);
  const spoken = Buffer.from(payload, "base64url").toString().replace("intact", "broken");
  const altered = [
    ["p2", keyId, payload, mac],
    [version, put(keyId, 0), payload, mac],
    ...[0, payload.length >> 1, payload.length - 1].map((at) => [version, keyId, put(payload, at), mac]),
    ...[0, mac.length - 1].map((at) => [version, keyId, payload, put(mac, at)]),
    [version, keyId, Buffer.from(spoken).toString("base64url"), mac],
    [version, keyId, payload],
    [version, keyId, payload, mac, ""],
    [version, keyId, `${payload}=`, mac],
    ["x".repeat(200_000)],
    [""],
  ];
  for (const parts of altered) expect(await outcome(ann, { prepared: parts.join("."), signatures })).toBe("BAD_TOKEN");
  for (const token of [await ann.streamToken(), await ann.filter({ types: ["m.room.message"] })]) {
    expect(await outcome(ann, { prepared: token, signatures })).toBe("BAD_TOKEN");
  }
  const laptop = await Client.login(server.address, "ann", "laptop");
  expect(await outcome(laptop, { prepared, signatures })).toBe("BAD_TOKEN");
  expect(await outcome(bob, { prepared, signatures })).toBe("BAD_TOKEN");
  expect(
    await ann.code("query ($stream: StreamToken) { initialSync(stream: $stream) { stream } }", { stream: prepared }),
  ).toBe("BAD_TOKEN");
  expect(await countEvents(server.databaseUrl)).toBe(before);
  expect(await outcome(ann, { prepared, signatures })).toBe(message.json["event_id"]);
});

test("[ACT-13] a signature by a registered key that isn't over these bytes is refused", async () => {
  const message = await prepare(ann, roomId, text("what I said"));
  const field = `BAD_INPUT signatures.${ann.userId}.${key.keyId}`;
  const refused = async (signature: string): Promise<void> => {
    const signatures = { [ann.userId]: { [key.keyId]: signature } };
    expect(await outcome(ann, { prepared: message.prepared, signatures })).toBe(field);
  };
  const changes = [{ content: { msgtype: "m.text", body: "what I said not" } }, { depth: 1 }, { unsigned: {} }];
  for (const change of changes) await refused(await key.sign({ ...message.json, ...change }));
  await refused(await (await newKey()).sign(message.json));
  const own = await signed(ann, key, message);
  // Another's key is looked at too.
  const bobs = await newKey("bobs");
  await register(bob, bobs);
  const wrong = { ...own, [bob.userId]: { [bobs.keyId]: await key.sign(message.json) } };
  expect(await outcome(ann, { prepared: message.prepared, signatures: wrong })).toBe(
    `BAD_INPUT signatures.${bob.userId}.${bobs.keyId}`,
  );
  const right = { ...own, [bob.userId]: { [bobs.keyId]: await bobs.sign(message.json) } };
  expect(await outcome(ann, { prepared: message.prepared, signatures: right })).toBe(message.json["event_id"]);
});

test("[ACT-13] signatures by keys that nobody registered are kept as they are", async () => {
  const message = await prepare(ann, roomId, text("unknown keys"));
  const foreign = await newKey("foreign");
  const signatures = {
    [ann.userId]: { "dilithium:a-b.c": "AAAA", [foreign.keyId]: await key.sign(message.json) },
    "@carol:elsewhere.example": { [key.keyId]: await foreign.sign({}) },
    "elsewhere.example": { [key.keyId]: await foreign.sign({}) },
  };
  const { event } = await sendPrepared(ann, { prepared: message.prepared, signatures });
  expect((await forms(bob, event.id)).client["signatures"]).toEqual(signatures);
});

test("[ACT-13] malformed signatures are BAD_INPUT and name their place", async () => {
  const message = await prepare(ann, roomId, text("shapes"));
  const good = await key.sign(message.json);
  const before = await countEvents(server.databaseUrl);
  const signer = `signatures.${ann.userId}`;
  const name = "n".repeat(250);
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`ed25519:k${index}`, good]));
  const cases: [signatures: unknown, field: string][] = [
    [{}, "signatures"],
    [{ [bob.userId]: { "ed25519:x": good } }, "signatures"],
    [{ [ann.userId]: {} }, signer],
    [{ [ann.userId]: good }, signer],
    [{ [ann.userId]: null }, signer],
    [{ [ann.userId]: [good] }, signer],
    [{ [ann.userId]: { [key.keyId]: good }, "no id": { [key.keyId]: good } }, "signatures.no id"],
    [{ [ann.userId]: { [key.keyId]: good }, localhost: { [key.keyId]: good } }, "signatures.localhost"],
    [{ [ann.userId]: { nocolon: good } }, signer],
    [{ [ann.userId]: { ["__proto__"]: good } }, signer],
    [{ [ann.userId]: { [`ed25519:${name}`]: good } }, signer],
    [{ [ann.userId]: { "ed25519:\n": good } }, signer],
    [{ [ann.userId]: many }, "signatures"],
    ...[1, null, "", `${good}==`, good.slice(1), `${good}A`, good.replace(/./, "-"), good.slice(0, 84)].map(
      (signature): [unknown, string] => [{ [ann.userId]: { [key.keyId]: signature } }, `${signer}.${key.keyId}`],
    ),
    [{ [ann.userId]: { "other:k": "A".repeat(9000) } }, `${signer}.other:k`],
  ];
  for (const [signatures, field] of cases) {
    expect(await outcome(ann, { prepared: message.prepared, signatures })).toBe(`BAD_INPUT ${field}`);
  }
  expect(await countEvents(server.databaseUrl)).toBe(before);
});

test("[ACT-13] [ACT-14] a redacted event shows no users' signatures", async () => {
  const message = await prepare(ann, roomId, text("gone"));
  const input = { prepared: message.prepared, signatures: await signed(ann, key, message) };
  const { event } = await sendPrepared(ann, input);
  await ann.redact(event.id);
  const { client, federation } = await forms(bob, event.id);
  expect(client).toMatchObject({ content: {} });
  expect(client).not.toHaveProperty("signatures");
  expect(Object.keys(federation["signatures"] as object)).toEqual(["localhost"]);
  expect(await outcome(ann, input)).toBe(event.id);
});

test("[ACT-13] a stream in federation form carries the signatures as queries do", async () => {
  const follow = new Follow(bob.socket, null, { filter: await bob.filter({ format: "FEDERATION" }) });
  await follow.until(({ chunks }) => chunks.length > 0);
  const message = await prepare(ann, roomId, text("streamed"));
  const { event } = await sendPrepared(ann, {
    prepared: message.prepared,
    signatures: await signed(ann, key, message),
  });
  await follow.sees(event.id);
  expect(follow.json.at(-1)).toEqual((await forms(bob, event.id)).federation);
  expect(signedOfFederation(follow.json.at(-1) as Json)).toEqual(message.json);
  follow.stop();
});
