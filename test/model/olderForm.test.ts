import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../src/model/canonicalJson.ts";
import type { HearthError } from "../../src/model/errors.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { olderForm, type OlderContext } from "../../src/model/olderForm.ts";
import { hasOlderKey, newerKey, olderKey } from "../../src/model/olderKeys.ts";
import { relatedBy } from "../../src/model/olderRelations.ts";

const serverName = "own.example";
const context: OlderContext = {
  serverName,
  now: 5000,
  replaced: null,
  redaction: null,
  profile: null,
  before: { profile: null, shownBy: null },
};

function stored(part: Partial<StoredEvent>): StoredEvent {
  return {
    kind: part.stateKey === undefined ? "MESSAGE" : "STATE",
    ...{ position: 7, eventId: "$event", roomId: "!room:own.example", place: { major: 7, minor: "" } },
    ...{ type: "m.room.message", stateKey: null, sender: "@ann:own.example", sentAt: 2000, content: "{}" },
    ...{ replacesId: null, updatesId: null, relatesTo: [], redactsId: null, redactedById: null, insertedAfterId: null },
    ...{ action: null, suppressed: false, signatures: null, authVersion: null, marker: null, updated: null },
    ...part,
  };
}

/** What becomes of content that comes in the older form, as an event that is stored and told in that form. */
function thereAndBack(content: Record<string, unknown>, part: Partial<StoredEvent> = {}): unknown {
  const event = stored({ ...relatedBy(content), content: canonicalJson(content, "content"), ...part });
  return olderForm(event, context)["content"];
}

describe("[AS-13] state keys", () => {
  const pieces = ["", "_", "@", "own.example", "/", ":", "ann", "other.example", "@ann:own.example", "a/b", "é", "#"];
  const key = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 4 }).map((parts) => parts.join("")),
    fc.string(),
  );

  test("what the older form says comes back as it was, or is refused", () => {
    fc.assert(
      fc.property(key, (older) => {
        let newer: string;
        try {
          newer = newerKey(older, serverName);
        } catch (error) {
          expect((error as HearthError).code).toBe("BAD_STATE_KEY");
          expect(older.startsWith("@")).toBe(true);
          return;
        }
        expect(hasOlderKey(newer, serverName)).toBe(true);
        expect(olderKey(newer, serverName)).toBe(older);
      }),
      { numRuns: 2000 },
    );
  });

  test("no two keys that have an older form have the same one", () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        // Keys that begin with nothing of the kind are no keys: see EV-2.
        const keys = [one, other].map((text) =>
          text.startsWith("@") || text.startsWith("own.example/") ? text : `_${text}`,
        );
        fc.pre(keys[0] !== keys[1] && keys.every((each) => hasOlderKey(each, serverName)));
        expect(olderKey(keys[0]!, serverName)).not.toBe(olderKey(keys[1]!, serverName));
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["_", ""],
    ["_key", "key"],
    ["__", "_"],
    ["@ann:own.example", "@ann:own.example"],
    ["@ann:own.example/nick", "@ann:own.example/nick"],
    ["own.example", "own.example"],
    ["own.example/path", "own.example/path"],
    ["_own.examples", "own.examples"],
    ["_other.example", "other.example"],
  ])("%s is %j in the older form", (newer, older) => {
    expect(olderKey(newer, serverName)).toBe(older);
    expect(newerKey(older, serverName)).toBe(newer);
  });

  test.each(["_@ann:own.example", "_@", "_own.example", "_own.example/path"])("%s has no older form", (newer) => {
    expect(hasOlderKey(newer, serverName)).toBe(false);
    expect(olderKey(newer, serverName)).toBe(newer);
  });

  test.each(["@", "@ann", "@:own.example", "@ann:"])("%s stands for no key", (older) => {
    expect(() => newerKey(older, serverName)).toThrow(expect.objectContaining({ code: "BAD_STATE_KEY" }));
  });
});

describe("[AS-13] content", () => {
  const relation = fc.record(
    {
      rel_type: fc.constantFrom("m.replace", "m.annotation", "m.thread", "m.in_reply_to", "", 7, null),
      event_id: fc.constantFrom("$a", "$b", "", 7, { a: 1 }),
      key: fc.constantFrom("👍", "", 7),
      is_falling_back: fc.boolean(),
      "m.in_reply_to": fc.constantFrom({ event_id: "$b" }, { event_id: 7 }, "$b", null, []),
      "": fc.constant("anything"),
    },
    { requiredKeys: [] },
  );
  const value = fc.jsonValue({ noUnicodeString: false }).filter(isCanonical);
  const content = fc
    .tuple(
      fc.dictionary(fc.constantFrom("body", "external_url", "m.new_content", "__proto__", "redacts", "age"), value),
      fc.option(fc.oneof(relation, value), { nil: undefined }),
    )
    .map(([keys, about]) => (about === undefined ? keys : { ...keys, "m.relates_to": about }));

  function isCanonical(value: unknown): boolean {
    try {
      canonicalJson(value, "value");
      return true;
    } catch {
      return false;
    }
  }

  test("of messages comes back as it was, whatever it says that it is about", () => {
    fc.assert(
      fc.property(
        content,
        fc.constantFrom("m.room.message", "m.reaction", "m.call.answer", "org.example"),
        (given, type) => {
          expect(JSON.stringify(thereAndBack(given, { type }))).toBe(canonicalJson(given, "content"));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("of state comes back as it was", () => {
    fc.assert(
      fc.property(content, (given) => {
        const back = thereAndBack(given, { stateKey: "_", relatesTo: [], updatesId: null });
        expect(JSON.stringify(back)).toBe(canonicalJson(given, "content"));
      }),
    );
  });

  test.each([
    ["an edit", { rel_type: "m.replace", event_id: "$a" }, { updatesId: "$a", relatesTo: [] }],
    [
      "a reaction",
      { rel_type: "m.annotation", event_id: "$a", key: "👍" },
      { updatesId: null, relatesTo: [{ type: "m.annotation", eventId: "$a", key: "👍" }] },
    ],
    [
      "an answer",
      { "m.in_reply_to": { event_id: "$a" } },
      { updatesId: null, relatesTo: [{ type: "m.in_reply_to", eventId: "$a", key: null }] },
    ],
    [
      "a thread, whose answer is there for others",
      { rel_type: "m.thread", event_id: "$a", is_falling_back: true, "m.in_reply_to": { event_id: "$b" } },
      { updatesId: null, relatesTo: [{ type: "m.thread", eventId: "$a", key: null }] },
    ],
    ["no event", { rel_type: "m.thread", event_id: "a" }, { updatesId: null, relatesTo: [] }],
    ["nothing in the right form", [], { updatesId: null, relatesTo: [] }],
  ])("about %s says so", (_name, relatesTo, related) => {
    expect(relatedBy({ "m.relates_to": relatesTo })).toEqual(related);
  });

  test("that doesn't say what it is about is completed", () => {
    const edit = stored({ updatesId: "$a", content: '{"body":"new","msgtype":"m.text"}' });
    expect(olderForm(edit, context)["content"]).toEqual({
      ...{ body: "* new", msgtype: "m.text", "m.new_content": { body: "new", msgtype: "m.text" } },
      "m.relates_to": { rel_type: "m.replace", event_id: "$a" },
    });
    const all = [
      { type: "m.thread", eventId: "$a", key: null },
      { type: "m.in_reply_to", eventId: "$b", key: null },
    ];
    const answer = olderForm(stored({ relatesTo: all }), context)["content"];
    expect(answer).toEqual({
      "m.relates_to": { rel_type: "m.thread", event_id: "$a", "m.in_reply_to": { event_id: "$b" } },
    });
    const more = [...all, { type: "m.reference", eventId: "$c", key: "x" }];
    expect(olderForm(stored({ relatesTo: more }), context)["content"]).toMatchObject({
      "m.relates_to": {
        "hearth.relates_to": [
          { type: "m.thread", event_id: "$a" },
          { type: "m.in_reply_to", event_id: "$b" },
          { type: "m.reference", event_id: "$c", key: "x" },
        ],
      },
    });
  });
});

test("[AS-13] an event says what bridges read", () => {
  expect(olderForm(stored({}), context)).toEqual({
    ...{ type: "m.room.message", room_id: "!room:own.example", event_id: "$event", sender: "@ann:own.example" },
    ...{ user_id: "@ann:own.example", content: {}, origin_server_ts: 2000, age: 3000, unsigned: { age: 3000 } },
  });
  const replaced = stored({ eventId: "$before", stateKey: "_", sender: "@bob:own.example", content: '{"name":"x"}' });
  expect(olderForm(stored({ stateKey: "_", content: null }), { ...context, replaced })).toMatchObject({
    ...{ state_key: "", content: {}, prev_content: { name: "x" } },
    unsigned: { prev_content: { name: "x" }, replaces_state: "$before", prev_sender: "@bob:own.example" },
  });
  const redaction = stored({
    eventId: "$gone",
    type: "m.room.redaction",
    redactsId: "$event",
    content: '{"reason":"r"}',
  });
  const redacted = stored({
    redactedById: "$gone",
    updatesId: "$a",
    relatesTo: [{ type: "x", eventId: "$b", key: null }],
  });
  expect(olderForm(redacted, { ...context, redaction })).toMatchObject({
    content: {},
    unsigned: {
      redacted_because: { event_id: "$gone", redacts: "$event", content: { reason: "r", redacts: "$event" } },
    },
  });
});

test("[AS-13] a membership tells the member's profile, which takes nothing of it", () => {
  const member = { type: "m.room.member", stateKey: "@ann:own.example" };
  const profile = { displayname: "Ann", membership: "ban", "hearth.room_keys": ["displayname"], pronouns: "she" };
  const content = '{"membership":"join"}';
  expect(olderForm(stored({ ...member, content }), { ...context, profile })["content"]).toEqual({
    membership: "join",
    displayname: "Ann",
    pronouns: "she",
  });
  expect(olderForm(stored({ ...member, content: null }), context)["content"]).toEqual({ membership: "leave" });
  const changed = stored({ ...member, type: "m.room.member.profile", content: JSON.stringify(profile) });
  expect(olderForm(changed, context)).toMatchObject({
    ...{ type: "m.room.member", state_key: "@ann:own.example" },
    content: { membership: "join", displayname: "Ann", pronouns: "she" },
  });
});
