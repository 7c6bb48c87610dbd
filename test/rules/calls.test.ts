import { describe, expect, test } from "vitest";
import { advance, ended, metInGlare, withoutParty, type Signal } from "../../src/domain/rules/calls.ts";
import type { Call, CallDevice, CallEndReason } from "../../src/model/call.ts";
import { HearthError } from "../../src/model/errors.ts";

const now = 1000;
const [alice, bob, carol] = ["@alice:localhost", "@bob:localhost", "@carol:localhost"];

/** Everybody who may signal, by what they are to the call. */
const devices = {
  "the calling device": { userId: alice, deviceId: "phone" },
  "another device of the caller": { userId: alice, deviceId: "tablet" },
  "a callee device that answered": { userId: bob, deviceId: "answers" },
  "another that answered": { userId: bob, deviceId: "answers-too" },
  "a callee device that rejected": { userId: bob, deviceId: "rejects" },
  "a callee device that is silent": { userId: bob, deviceId: "silent" },
  "an outsider": { userId: carol, deviceId: "answers" },
} satisfies Record<string, CallDevice>;
type Sender = keyof typeof devices;

const ringing: Call = {
  callId: "call_2",
  roomId: "!room:localhost",
  caller: alice,
  callerDevice: "phone",
  callee: bob,
  state: "RINGING",
  parties: [],
  acceptedBy: null,
  createdAt: 0,
  expiresAt: 2000,
  endedReason: null,
  revision: 1,
};
const party = (sender: Sender, rejected: boolean) => ({ ...devices[sender], rejected, eventId: `$${sender}` });
const answers = party("a callee device that answered", false);
const answersToo = party("another that answered", false);
const rejects = party("a callee device that rejected", true);
const answered: Call = { ...ringing, state: "ANSWERED", parties: [answers, answersToo, rejects] };
const connected: Call = {
  ...answered,
  state: "CONNECTED",
  acceptedBy: devices["a callee device that answered"],
  expiresAt: null,
};

const states: Record<string, Call> = {
  ringing: { ...ringing, parties: [rejects] },
  answered,
  connected,
  "ended, hung up": ended(connected, "HANGUP"),
  "ended, rejected": {
    ...ended(answered, "REJECTED"),
    acceptedBy: devices["a callee device that rejected"],
  },
  "ended, expired": ended(ringing, "EXPIRED"),
  lapsed: { ...answered, expiresAt: now },
};

const to = (deviceId: string | null, userId: string | null = null) => ({ userId, deviceId });
const signals = {
  answer: { type: "m.call.answer", eventId: "$new" },
  reject: { type: "m.call.reject", eventId: "$new" },
  "ack of one that answered": { type: "m.call.ack", accepted: devices["a callee device that answered"] },
  "ack of another": { type: "m.call.ack", accepted: devices["another that answered"] },
  "ack of one that rejected": { type: "m.call.ack", accepted: devices["a callee device that rejected"] },
  "ack of a silent one": { type: "m.call.ack", accepted: devices["a callee device that is silent"] },
  "ack of the caller's own": { type: "m.call.ack", accepted: devices["the calling device"] },
  candidates: { type: "m.call.candidates", to: to(null) },
  hangup: { type: "m.call.hangup" },
} satisfies Record<string, Signal>;
type Name = keyof typeof signals;

/** The state that follows, `same` where nothing changes, or the code of the refusal. */
type Outcome = string;
const all = (outcome: Outcome): Record<Name, Outcome> =>
  Object.fromEntries(Object.keys(signals).map((name) => [name, outcome])) as Record<Name, Outcome>;
const acks = (outcomes: [Outcome, Outcome, Outcome, Outcome, Outcome]): Partial<Record<Name, Outcome>> => ({
  "ack of one that answered": outcomes[0],
  "ack of another": outcomes[1],
  "ack of one that rejected": outcomes[2],
  "ack of a silent one": outcomes[3],
  "ack of the caller's own": outcomes[4],
});
const no = all("FORBIDDEN");
const over = all("CALL_ENDED");
const taken = { answer: "CALL_TAKEN", reject: "CALL_TAKEN" };
const calls = { candidates: "same", hangup: "ENDED" };
const unknown = "NOT_FOUND";

const afterTheEnd: Record<Sender, Record<Name, Outcome>> = {
  "the calling device": over,
  "another device of the caller": no,
  "a callee device that answered": over,
  "another that answered": over,
  "a callee device that rejected": over,
  "a callee device that is silent": over,
  "an outsider": no,
};

/** What becomes of every signal of every sender in every state. */
const table: Record<string, Record<Sender, Record<Name, Outcome>>> = {
  ringing: {
    "the calling device": { ...no, ...calls, ...acks([unknown, unknown, "ENDED", unknown, unknown]) },
    "another device of the caller": no,
    "a callee device that answered": { ...no, answer: "ANSWERED", reject: "RINGING" },
    "another that answered": { ...no, answer: "ANSWERED", reject: "RINGING" },
    "a callee device that rejected": no,
    "a callee device that is silent": { ...no, answer: "ANSWERED", reject: "RINGING" },
    "an outsider": no,
  },
  answered: {
    "the calling device": { ...no, ...calls, ...acks(["CONNECTED", "CONNECTED", "ENDED", unknown, unknown]) },
    "another device of the caller": no,
    "a callee device that answered": { ...no, ...calls, reject: "ANSWERED" },
    "another that answered": { ...no, ...calls, reject: "ANSWERED" },
    "a callee device that rejected": no,
    "a callee device that is silent": { ...no, answer: "ANSWERED", reject: "ANSWERED" },
    "an outsider": no,
  },
  connected: {
    "the calling device": {
      ...{ ...no, ...calls },
      ...acks(["CALL_TAKEN", "CALL_TAKEN", "CALL_TAKEN", "CALL_TAKEN", "CALL_TAKEN"]),
    },
    "another device of the caller": no,
    "a callee device that answered": { ...no, ...calls, ...taken },
    "another that answered": { ...no, ...taken },
    "a callee device that rejected": { ...no, ...taken },
    "a callee device that is silent": { ...no, ...taken },
    "an outsider": no,
  },
  "ended, hung up": afterTheEnd,
  "ended, rejected": afterTheEnd,
  "ended, expired": afterTheEnd,
  lapsed: afterTheEnd,
};

function outcomeOf(call: Call, from: CallDevice, signal: Signal): Outcome {
  try {
    const next = advance(call, from, signal, now);
    return next === call ? "same" : next.state;
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    return error.code;
  }
}

describe.each(Object.keys(states))("[VOIP-2] [VOIP-3] a call that is %s", (state) => {
  test.each(Object.keys(devices) as Sender[])("takes of %s what is its to say", (sender) => {
    const outcomes = Object.entries(signals).map(([name, signal]) => [
      name,
      outcomeOf(states[state]!, devices[sender], signal),
    ]);
    expect(Object.fromEntries(outcomes)).toEqual(table[state]![sender]);
  });
});

test("[VOIP-2] parties are kept by what they said last, and with what", () => {
  const device = devices["a callee device that answered"];
  const first = advance(ringing, device, { type: "m.call.answer", eventId: "$answer" }, now);
  expect(first.parties).toEqual([{ ...device, rejected: false, eventId: "$answer" }]);
  const second = advance(first, device, { type: "m.call.reject", eventId: "$reject" }, now);
  expect(second).toEqual({ ...ringing, parties: [{ ...device, rejected: true, eventId: "$reject" }] });
  expect(ringing.parties).toEqual([]);
});

test("[VOIP-2] an acknowledgement names the device, and nothing lapses any more; of a rejecting one it ends the call", () => {
  const device = devices["a callee device that rejected"];
  expect(advance(answered, devices["the calling device"], signals["ack of another"], now)).toEqual({
    ...answered,
    state: "CONNECTED",
    acceptedBy: devices["another that answered"],
    expiresAt: null,
  });
  expect(advance(answered, devices["the calling device"], signals["ack of one that rejected"], now)).toEqual({
    ...answered,
    state: "ENDED",
    acceptedBy: device,
    expiresAt: null,
    endedReason: "REJECTED" satisfies CallEndReason,
  });
});

test.each([
  ["the calling device", answered, to("answers"), "same"],
  ["the calling device", answered, to("answers-too", bob), "same"],
  ["the calling device", answered, to(null, bob), "same"],
  ["the calling device", answered, to("rejects", bob), "NOT_FOUND"],
  ["the calling device", answered, to("silent"), "NOT_FOUND"],
  ["the calling device", answered, to("answers", alice), "NOT_FOUND"],
  ["the calling device", answered, to(null, carol), "NOT_FOUND"],
  ["the calling device", connected, to("answers", bob), "same"],
  ["the calling device", connected, to("answers-too", bob), "NOT_FOUND"],
  ["a callee device that answered", answered, to("phone", alice), "same"],
  ["a callee device that answered", connected, to("phone"), "same"],
  ["a callee device that answered", connected, to("tablet", alice), "NOT_FOUND"],
  ["a callee device that answered", connected, to(null, bob), "NOT_FOUND"],
] as const)("[VOIP-4] candidates of %s may name whom they are for (%#)", (sender, call, addressee, outcome) => {
  expect(outcomeOf(call, devices[sender], { type: "m.call.candidates", to: addressee })).toBe(outcome);
});

test("[VOIP-5] an invite holds until the moment that it lapses", () => {
  const answer = { type: "m.call.answer", eventId: "$new" } as const;
  const from = devices["a callee device that is silent"];
  expect(advance(ringing, from, answer, 1999).state).toBe("ANSWERED");
  expect(() => advance(ringing, from, answer, 2000)).toThrow("ended");
});

test("[VOIP-5] a device that is gone isn't to be chosen any more", () => {
  const left = withoutParty(answered, devices["another that answered"]);
  expect(left).toEqual({ ...answered, parties: [answers, rejects] });
  expect(withoutParty(left, devices["a callee device that answered"])).toEqual({
    ...ringing,
    parties: [rejects],
  });
});

test("[VOIP-7] a call meets those from the other side that nobody was acknowledged in, and no others", () => {
  const calls: Call[] = [
    { ...ringing, callId: "call_ringing" },
    { ...answered, callId: "call_answered" },
    { ...connected, callId: "call_connected" },
    { ...ended(ringing, "HANGUP"), callId: "call_ended" },
    { ...ringing, callId: "call_lapsed", expiresAt: now },
    { ...ringing, callId: "call_same-side", caller: bob, callee: alice },
  ];
  expect(metInGlare(bob, calls, now).map(({ callId }) => callId)).toEqual(["call_ringing", "call_answered"]);
  expect(metInGlare(alice, calls, now).map(({ callId }) => callId)).toEqual(["call_same-side"]);
});
