import { expect, test } from "vitest";
import { changedDrafts } from "../../src/domain/policy/change.ts";
import { createPolicy } from "../../src/domain/policy/policy.ts";
import { RoomAuthority } from "../../src/domain/rules/authority.ts";
import type { EventDraft } from "../../src/model/event.ts";
import type { Requester } from "../../src/model/requester.ts";

const alice = "@alice:localhost";
const room = (): RoomAuthority =>
  new RoomAuthority(
    {
      ...{ roomId: "!r:localhost", version: 1, creator: alice, joinRule: "invite", visibility: "shared" },
      powerContent: { users: { [alice]: 50 } },
    },
    new Map([[alice, "join"]]),
  );
const message: EventDraft = { type: "m.room.message", sender: alice, content: '{"body":"x"}' };

test("[ACT-13] the policy can't change an event that its sender signed, and may change those beside it", () => {
  const signed: EventDraft = { ...message, signatures: "{}" };
  expect(() => changedDrafts([message, signed], { "1": { body: "y" } }, room(), "localhost")).toThrow("signed");
  const changed = changedDrafts([message, signed], { "0": { body: "y" } }, room(), "localhost");
  expect(changed).toEqual([{ ...message, content: '{"body":"y"}' }, signed]);
});

test("[EVS-6] what is put into the past of a room gives no power to what follows it in the same action", () => {
  const levels: EventDraft = { type: "m.room.power_levels", stateKey: "_", sender: alice, content: "{}" };
  const lowered = { "0": { users: { [alice]: 10 }, events_default: 20 } };
  const inserted: EventDraft = { ...levels, inserted: { afterId: "$1", place: { major: 1, minor: "8100" } } };
  expect(changedDrafts([inserted, message], lowered, room(), "localhost")).toHaveLength(2);
  expect(() => changedDrafts([levels, message], lowered, room(), "localhost")).toThrow("power level 20");
});

test("under the append lock the hook isn't asked, but what it said before holds", async () => {
  let asked = 0;
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const policy = createPolicy({
    settings: { url: "http://hook.example/", token: null, timeoutMs: 1000, failure: "accept" },
    serverName: "localhost",
    async fetch() {
      asked += 1;
      return Response.json({ decision: "change", contents: { "0": { body: "y" } } });
    },
    log,
  });
  const requester = { userId: alice, deviceId: "device" } as Requester;
  const judge = policy.judge({ name: "sendMessage", roomId: "!r:localhost", requester });
  await expect(judge([message], room(), false)).rejects.toMatchObject({ code: "OVERLOADED" });
  expect(asked).toBe(0);
  const changed = [{ ...message, content: '{"body":"y"}' }];
  expect(await judge([message], room(), true)).toEqual(changed);
  expect(await judge([message], room(), false)).toEqual(changed);
  expect(asked).toBe(1);
});

test("[VOIP-9] the policy may change what a call's signals say, but not what the call is judged by", () => {
  const content = { call_id: "call_1", device_id: "phone", answer: { type: "answer", sdp: "v=0" } };
  const answered: EventDraft = { type: "m.call.answer", sender: alice, content: JSON.stringify(content) };
  const change = (changed: object) => changedDrafts([answered], { "0": changed }, room(), "localhost");
  const answer = { type: "answer", sdp: "v=1" };
  expect(JSON.parse(change({ ...content, answer })[0]!.content!)).toEqual({ ...content, answer });
  expect(() => change({ ...content, device_id: "tablet" })).toThrow("contents.0.device_id");
  expect(() => change({ ...content, call_id: "call_2" })).toThrow("contents.0.call_id");
  expect(() => change({ answer, call_id: "call_1" })).toThrow("contents.0.device_id");
  expect(() => change({ ...content, answer: {} })).toThrow("contents.0.answer");
  const ack = { call_id: "call_1", device_id: "phone", accepted_user_id: alice, accepted_device_id: "a" };
  const acknowledged: EventDraft = { type: "m.call.ack", sender: alice, content: JSON.stringify(ack) };
  expect(() =>
    changedDrafts([acknowledged], { "0": { ...ack, accepted_device_id: "b" } }, room(), "localhost"),
  ).toThrow("contents.0.accepted_device_id");
});
