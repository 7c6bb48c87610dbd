import { createHash } from "node:crypto";
import { verifyAsync } from "@noble/ed25519";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/model/canonicalJson.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { authorisingSlots, federationJson } from "../../src/model/federation.ts";
import { createSigner, type Signer } from "../../src/model/signing.ts";

const signer = createSigner(new Uint8Array(32).fill(7), "example.org");
const context = { prevEvents: ["$before"], authEvents: ["$create", "$powers", "$member"] };
const message: StoredEvent = {
  ...{ kind: "MESSAGE", position: 12, eventId: "$e", roomId: "!r:example.org", place: { major: 12, minor: "" } },
  ...{ type: "m.room.message", stateKey: null, sender: "@a:example.org", sentAt: 1_700_000_000_123 },
  ...{ content: '{"body":"hello","msgtype":"m.text"}', replacesId: null, updatesId: null, relatesTo: [] },
  ...{
    redactsId: null,
    redactedById: null,
    insertedAfterId: null,
    suppressed: false,
    signatures: null,
    authVersion: null,
    marker: null,
    updated: false,
  },
  action: { userId: "@alice:localhost", deviceId: "phone", actionId: "a1" },
};
const state: StoredEvent = { ...message, kind: "STATE", type: "m.room.topic", stateKey: "_", replacesId: "$older" };

/** Checks hash and signature as a stranger would, who has the document, the key and the specification. */
async function verifies(given: Record<string, unknown>, { serverName, keyId, publicKey }: Signer): Promise<boolean> {
  const document = JSON.parse(JSON.stringify(given)) as Record<string, unknown>;
  const { signatures, unsigned: _unsigned, ...signed } = document;
  const { hashes, ...hashed } = signed;
  const sha256 = createHash("sha256").update(canonicalize(hashed)!).digest("base64").replace(/=+$/, "");
  const signature = (signatures as Record<string, Record<string, string>>)[serverName]![keyId]!;
  expect(signature).toMatch(/^[A-Za-z0-9+/]{86}$/);
  const bytes = [signature, publicKey].map((text) => new Uint8Array(Buffer.from(text, "base64")));
  const valid = await verifyAsync(bytes[0]!, new TextEncoder().encode(canonicalize(signed)), bytes[1]!);
  return valid && (hashes as { sha256: string }).sha256 === sha256;
}

test("[EV-6] keys and signatures are those of the examples in Matrix's specification", () => {
  // https://spec.matrix.org/v1.11/appendices/#json-signing
  const { publicKey, sign } = createSigner(
    Buffer.from("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", "base64"),
    "domain",
  );
  expect(publicKey).toBe("XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
  expect(sign(canonicalJson({}, "json"))).toBe(
    "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
  );
  expect(sign(Buffer.from(canonicalJson({ two: "Two", one: 1 }, "json")))).toBe(
    "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
  );
});

test("[EV-6] the key id follows from the key and holds letters and digits only", () => {
  for (let number = 0; number < 200; number++) {
    const { keyId, publicKey } = createSigner(createHash("sha256").update(`${number}`).digest(), "example.org");
    const hash = createHash("sha256").update(Buffer.from(publicKey, "base64")).digest("base64");
    expect(keyId).toBe(`ed25519:${hash.slice(0, 6).replaceAll("+", "a").replaceAll("/", "a")}`);
  }
});

test.each([31, 33])("[EV-6] a seed of %i bytes is refused", (length) => {
  expect(() => createSigner(new Uint8Array(length), "example.org")).toThrow(RangeError);
});

test("[EV-6] a message has a plain type, its context, and neither action id nor unsigned part", () => {
  expect(federationJson(message, context, signer)).toEqual({
    ...{ event_id: "$e", type: "m.room.message", room_id: "!r:example.org", sender: "@a:example.org" },
    ...{ origin: "example.org", origin_server_ts: 1_700_000_000_123, content: { body: "hello", msgtype: "m.text" } },
    ...{ prev_events: ["$before"], auth_events: ["$create", "$powers", "$member"], depth: 12 },
    hashes: { sha256: expect.stringMatching(/^[A-Za-z0-9+/]{43}$/) as string },
    signatures: { "example.org": { [signer.keyId]: expect.stringMatching(/^[A-Za-z0-9+/]{86}$/) as string } },
  });
});

test("[EV-6] the origin is this server, whoever the sender is", () => {
  const json = federationJson({ ...message, sender: "@b:elsewhere.org" }, context, signer);
  expect(json).toMatchObject({ sender: "@b:elsewhere.org", origin: "example.org" });
});

test("[EV-6] state has its key, without what it replaces; deleted state has no content", async () => {
  const json = federationJson(state, context, signer);
  expect(json).toMatchObject({ type: "m.room.topic", state_key: "_", content: { body: "hello" } });
  expect(json).not.toHaveProperty("replaces_state");
  expect(json).not.toHaveProperty("prev_content");
  const deleted = federationJson({ ...state, content: null }, context, signer);
  expect(deleted).not.toHaveProperty("content");
  expect(await verifies(deleted, signer)).toBe(true);
});

test("[EV-6] redactions, updates and relations are part of what is signed", async () => {
  const relatesTo = [
    { type: "m.reference", eventId: "$parent", key: null },
    { type: "m.annotation", eventId: "$parent", key: "👍" },
  ];
  const json = federationJson({ ...message, redactsId: "$bad", updatesId: "$old", relatesTo }, context, signer);
  expect(json).toMatchObject({
    ...{ redacts: "$bad", updates: "$old" },
    relates_to: [
      { type: "m.reference", event_id: "$parent" },
      { type: "m.annotation", event_id: "$parent", key: "👍" },
    ],
  });
  expect(await verifies(json, signer)).toBe(true);
});

test("[EV-6] [ACT-14] who redacted the event and what it was inserted after are not signed", async () => {
  const plain = federationJson(message, context, signer);
  const json = federationJson({ ...message, redactedById: "$redaction", insertedAfterId: "$before" }, context, signer);
  expect(json).toEqual({ ...plain, unsigned: { redacted_by: "$redaction", inserted_after: "$before" } });
  expect(await verifies(json, signer)).toBe(true);
});

/** Canonicalize sorts keys by UTF-16's units as RFC 8785 says, we by code points as Matrix does: equal but for these. */
const text = fc.string({ unit: "binary" }).filter((value) => !/[\0\uE000-\uFFFF]/.test(value));
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    ...[fc.maxSafeInteger(), fc.boolean(), fc.constant(null), text],
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const anyEvent = fc.record({
  content: fc.dictionary(text, json, { maxKeys: 4, noNullPrototype: true }),
  stateKey: fc.option(text),
  position: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  redactedById: fc.option(fc.constant("$redaction")),
});

test("[EV-6] whatever the content, hash and signature verify with an independent implementation", async () => {
  await fc.assert(
    fc.asyncProperty(anyEvent, fc.uint8Array({ minLength: 32, maxLength: 32 }), async ({ content, ...rest }, seed) => {
      const own = createSigner(seed, "[::1]:8448");
      const document = federationJson(
        { ...message, ...rest, content: canonicalJson(content, "content") },
        context,
        own,
      );
      expect(await verifies(document, own)).toBe(true);
    }),
  );
});

test("[EV-6] a document that was altered anywhere, or signed by another key, doesn't verify", async () => {
  const document = federationJson({ ...state, redactsId: "$x", updatesId: "$y" }, context, signer);
  const covered = Object.keys(document).filter((key) => key !== "signatures" && key !== "hashes");
  expect(covered).toHaveLength(13);
  for (const key of covered) expect(await verifies({ ...document, [key]: "other" }, signer)).toBe(false);
  expect(await verifies({ ...document, hashes: { sha256: "other" } }, signer)).toBe(false);
  const other = { ...createSigner(new Uint8Array(32).fill(8), "example.org"), keyId: signer.keyId };
  expect(await verifies(document, other)).toBe(false);
});

test("[EV-6] keys are sorted by code point, where RFC 8785 would sort by UTF-16's units", () => {
  const content = '{"\uFFFD":1,"😀":2}';
  const document = federationJson({ ...message, content }, context, signer);
  const { signatures: _signatures, hashes, ...hashed } = document;
  const written = canonicalize({ ...hashed, content: "?" })!.replace('"content":"?"', `"content":${content}`);
  const sha256 = createHash("sha256").update(written).digest("base64").replace("=", "");
  expect(hashes).toEqual({ sha256 });
});

test("[EV-6] [EV-8] content that is as deep as content may be is hashed and signed", async () => {
  const content = '{"a":'.repeat(63) + "{}" + "}".repeat(63);
  expect(await verifies(federationJson({ ...message, content }, context, signer), signer)).toBe(true);
});

const [create, powers, rules] = ["m.room.create", "m.room.power_levels", "m.room.join_rules"].map((type) => ({
  type,
  stateKey: "_",
}));
const member = (stateKey: string): object => ({ type: "m.room.member", stateKey });

test.each([
  ["a message", "m.room.message", null, [create, powers, member("@a:x")]],
  ["state", "m.room.topic", "_", [create, powers, member("@a:x")]],
  ["one's own membership", "m.room.member", "@a:x", [create, powers, member("@a:x"), rules]],
  ["another's membership", "m.room.member", "@b:x", [create, powers, member("@a:x"), rules, member("@b:x")]],
  ["the first event", "m.room.create", "_", []],
  ["a message that is named as a membership", "m.room.member", null, [create, powers, member("@a:x")]],
  ["a message that is named as a first event", "m.room.create", null, [create, powers, member("@a:x")]],
])("[EV-6] the slots that authorise %s", (_name, type, stateKey, slots) => {
  expect(authorisingSlots({ type, stateKey, sender: "@a:x" })).toEqual(slots);
});
