import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { answer, askSignal, callOf, codeOf, offer, place, roomOfTwo, signal } from "../kit/calls.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { newKey, prepare, signed } from "../kit/signing.ts";

let server: TestApp;
/** The caller's two devices. */
let alice: Client;
let tablet: Client;
/** The callee's. */
let bob: Client;
let laptop: Client;
/** In no room of theirs. */
let carol: Client;

beforeAll(async () => {
  server = await startApp({ config: { admins: ["alice"] } });
  alice = await server.user("alice", "phone");
  tablet = await Client.login(server.address, "alice", "tablet");
  bob = await server.user("bob", "mobile");
  laptop = await Client.login(server.address, "bob", "laptop");
  carol = await server.user("carol");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const candidate = { candidate: "candidate:1 1 UDP 1 127.0.0.1 9 typ host", sdpMLineIndex: 0, sdpMid: "0" };
const of = (client: Client) => ({ userId: client.userId, deviceId: client.deviceId });

/** Sends a signal as a plain message; gives the code of what refused it, or null. */
function raw(client: Client, roomId: string, type: string, custom: object, updates: string | null = null) {
  return client.code(`mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }`, {
    input: { roomId, message: { type, content: { custom }, ...(updates === null ? {} : { updates }) } },
  });
}

const inviteOf = (callId: string): string => callId.replace("call_", "$");

describe("a whole call", () => {
  test("[VOIP-1] [VOIP-2] [VOIP-4] [VOIP-9] two devices answer, one is chosen, candidates flow, it is hung up", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const { call, event } = await signal(alice, "placeCall", { roomId, offer });
    expect(call).toMatchObject({ state: "RINGING", parties: [], acceptedBy: null, endedReason: null });
    expect(event).toMatchObject({ type: "m.call.invite", updatesId: null });
    expect(event.content).toEqual({ call_id: call.id, device_id: "phone", offer, lifetime: 60_000 });
    const first = await signal(bob, "answerCall", { callId: call.id, answer });
    expect(first.event.content).toEqual({ call_id: call.id, device_id: "mobile", answer });
    expect(first.event.updatesId).toBe(event.id);
    expect(first.call).toMatchObject({ state: "ANSWERED", acceptedBy: null });
    const rejected = await signal(laptop, "rejectCall", { callId: call.id, reason: "busy" });
    expect(rejected.event.content).toEqual({ call_id: call.id, device_id: "laptop", reason: "busy" });
    expect(rejected.call.parties).toEqual([
      { user: { id: bob.userId }, deviceId: "mobile", rejected: false, answer },
      { user: { id: bob.userId }, deviceId: "laptop", rejected: true, answer: null },
    ]);
    const early = { callId: call.id, candidates: [candidate], toUserId: bob.userId, toDeviceId: "mobile" };
    expect((await signal(alice, "sendCallCandidates", early)).event.content).toEqual({
      ...{ call_id: call.id, device_id: "phone", candidates: [candidate] },
      ...{ to_user_id: bob.userId, to_device_id: "mobile" },
    });
    const { call: connected, event: ack } = await signal(alice, "acknowledgeCall", { callId: call.id, ...of(bob) });
    expect(connected).toMatchObject({ state: "CONNECTED", acceptedBy: { deviceId: "mobile" }, expiresAt: null });
    expect(ack.content).toEqual({
      ...{ call_id: call.id, device_id: "phone" },
      ...{ accepted_user_id: bob.userId, accepted_device_id: "mobile" },
    });
    await signal(bob, "sendCallCandidates", { callId: call.id, candidates: [candidate] });
    const { call: over, event: hangup } = await signal(bob, "hangupCall", { callId: call.id });
    expect(hangup.content).toEqual({ call_id: call.id, device_id: "mobile", reason: "hangup" });
    expect(over).toMatchObject({ state: "ENDED", endedReason: "HANGUP" });
  });

  test("[VOIP-6] stands in the timeline as one entry with its whole story, and counts as one message", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    await signal(bob, "answerCall", { callId, answer });
    await signal(alice, "acknowledgeCall", { callId, ...of(bob) });
    await signal(alice, "hangupCall", { callId });
    const shown = await bob.do<{
      scrollback: {
        events: { nodes: { type: string; updatedBy?: { type: string }[]; current?: object; editedAt?: null }[] };
        room: { unread: { count: number } };
      };
      call: { signals: { type: string }[]; invite: { id: string }; offer: object; caller: object; callee: object };
    }>(
      `query ($roomId: ID!, $callId: ID!) {
         scrollback(roomId: $roomId) {
           events { nodes { type ... on MessageEvent { updatedBy { type } editedAt current { __typename } } } }
           room { unread { count } }
         }
         call(id: $callId) { signals { type } invite { id } offer { type sdp } caller { id } callee { id } }
       }`,
      { roomId, callId },
    );
    const story = ["m.call.answer", "m.call.ack", "m.call.hangup"].map((type) => ({ type }));
    const listed = shown.scrollback.events.nodes.filter(({ type }) => type.startsWith("m.call"));
    expect(listed).toEqual([
      { type: "m.call.invite", updatedBy: story, editedAt: null, current: { __typename: "CallInviteContent" } },
    ]);
    expect(shown.scrollback.room.unread.count).toBe(1);
    expect(shown.call).toEqual({
      ...{ signals: story, invite: { id: inviteOf(callId) }, offer },
      ...{ caller: { id: alice.userId }, callee: { id: bob.userId } },
    });
  });

  test("[VOIP-2] acknowledging a device that rejects ends the call", async () => {
    const callId = await place(alice, await roomOfTwo(alice, bob));
    await signal(laptop, "rejectCall", { callId });
    const { call } = await signal(alice, "acknowledgeCall", { callId, ...of(laptop) });
    expect(call).toMatchObject({ state: "ENDED", endedReason: "REJECTED", acceptedBy: { deviceId: "laptop" } });
    expect(await codeOf(bob, "answerCall", { callId, answer })).toBe("CALL_ENDED");
  });
});

describe("what is refused", () => {
  test("[VOIP-2] [VOIP-3] a second acknowledgement, other devices after the first, anything after the end", async () => {
    const callId = await place(alice, await roomOfTwo(alice, bob));
    await signal(bob, "answerCall", { callId, answer });
    await signal(laptop, "answerCall", { callId, answer });
    expect(await codeOf(tablet, "acknowledgeCall", { callId, ...of(bob) })).toBe("FORBIDDEN");
    expect(await codeOf(alice, "acknowledgeCall", { callId, userId: bob.userId, deviceId: "none" })).toBe("NOT_FOUND");
    expect(await codeOf(alice, "acknowledgeCall", { callId, userId: carol.userId, deviceId: "mobile" })).toBe(
      "NOT_FOUND",
    );
    await signal(alice, "acknowledgeCall", { callId, ...of(laptop) });
    for (const device of [bob, laptop]) {
      expect(await codeOf(alice, "acknowledgeCall", { callId, ...of(device) })).toBe("CALL_TAKEN");
    }
    expect(await codeOf(bob, "rejectCall", { callId })).toBe("CALL_TAKEN");
    for (const device of [tablet, bob]) {
      expect(await codeOf(device, "sendCallCandidates", { callId, candidates: [candidate] })).toBe("FORBIDDEN");
      expect(await codeOf(device, "hangupCall", { callId })).toBe("FORBIDDEN");
    }
    await signal(laptop, "hangupCall", { callId });
    expect(await codeOf(laptop, "hangupCall", { callId })).toBe("CALL_ENDED");
    expect(await codeOf(alice, "sendCallCandidates", { callId, candidates: [candidate] })).toBe("CALL_ENDED");
  });

  test("[VOIP-1] a call in a room that isn't of two", async () => {
    const alone = await alice.createRoom({ joinRule: "PUBLIC" });
    expect(await codeOf(alice, "placeCall", { roomId: alone, offer })).toBe("BAD_INPUT");
    const crowd = await roomOfTwo(alice, bob);
    await carol.join(crowd);
    expect(await codeOf(alice, "placeCall", { roomId: crowd, offer })).toBe("BAD_INPUT");
    await carol.leave(crowd);
    expect(await codeOf(alice, "placeCall", { roomId: crowd, offer })).toBe(null);
    await alice.membership("invite", alone, bob.userId);
    expect(await codeOf(alice, "placeCall", { roomId: alone, offer })).toBe(null);
  });

  test("[EV-9] whoever doesn't see a call learns nothing of it: it looks as if there were none", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    const message = (await alice.send(roomId, "no call")).replace("$", "call_");
    const asked = (id: string) => [
      askSignal(carol, "answerCall", { callId: id, answer }),
      askSignal(carol, "rejectCall", { callId: id }),
      askSignal(carol, "acknowledgeCall", { callId: id, ...of(bob) }),
      askSignal(carol, "sendCallCandidates", { callId: id, candidates: [candidate] }),
      askSignal(carol, "hangupCall", { callId: id }),
      carol.ask("query ($id: ID!) { call(id: $id) { state } }", { id }),
    ];
    const none = await Promise.all(asked("call_nowhere"));
    expect(none.map(({ errors }) => errors?.[0]?.extensions?.["code"])).toEqual(Array(6).fill("NOT_FOUND"));
    for (const id of [callId, message, inviteOf(callId)]) expect(await Promise.all(asked(id))).toEqual(none);
    expect(await codeOf(bob, "hangupCall", { callId: message })).toBe("NOT_FOUND");
    const node = (client: Client) => client.do("query ($id: ID!) { node(id: $id) { id __typename } }", { id: callId });
    expect(await node(carol)).toEqual({ node: null });
    expect(await node(bob)).toEqual({ node: { id: callId, __typename: "Call" } });
  });

  test("[EV-9] a third one who joins the room sees the call, and has no part in it", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    await carol.join(roomId);
    expect((await callOf(carol, callId)).state).toBe("RINGING");
    expect(await codeOf(carol, "answerCall", { callId, answer })).toBe("FORBIDDEN");
    expect(await codeOf(carol, "hangupCall", { callId })).toBe("FORBIDDEN");
  });

  test("[EV-8] a description that is too large, or none", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const huge = "v=0 ".repeat(20_000);
    expect(await codeOf(alice, "placeCall", { roomId, offer: { ...offer, sdp: huge } })).toBe("TOO_LARGE");
    const callId = await place(alice, roomId);
    expect(await codeOf(bob, "answerCall", { callId, answer: { ...answer, sdp: huge } })).toBe("TOO_LARGE");
    const many = Array.from({ length: 100 }, () => ({ candidate: "x".repeat(1000) }));
    expect(await codeOf(alice, "sendCallCandidates", { callId, candidates: many })).toBe("TOO_LARGE");
    expect(await callOf(alice, callId)).toMatchObject({ state: "RINGING", parties: [] });
    for (const bad of [
      { roomId, offer: answer },
      { roomId, offer: { ...offer, sdp: "" } },
      { roomId, offer, lifetimeMs: 0 },
      { roomId, offer, lifetimeMs: 3_600_001 },
    ]) {
      expect(await codeOf(alice, "placeCall", bad)).toBe("BAD_INPUT");
    }
    expect(await codeOf(bob, "answerCall", { callId, answer: offer })).toBe("BAD_INPUT");
    expect(await codeOf(alice, "sendCallCandidates", { callId, candidates: [] })).toBe("BAD_INPUT");
    for (const reason of ["rejected", "expired", "session_ended", "glare"]) {
      expect(await codeOf(alice, "hangupCall", { callId, reason })).toBe("BAD_INPUT");
    }
  });
});

describe("signals sent as plain messages", () => {
  test("[VOIP-9] do what the mutations do, and carry the call and the device", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const invite = await alice.message(roomId, {
      type: "m.call.invite",
      content: { custom: { offer, lifetime: 30_000, version: 1 } },
    });
    const callId = invite.replace("$", "call_");
    const send = (client: Client, type: string, custom: object) =>
      client.message(roomId, { type, content: { custom }, updates: invite });
    await send(bob, "m.call.answer", { answer });
    await send(laptop, "m.call.reject", {});
    expect((await callOf(alice, callId)).parties).toMatchObject([
      { deviceId: "mobile", rejected: false },
      { deviceId: "laptop", rejected: true },
    ]);
    await send(alice, "m.call.ack", { accepted_user_id: bob.userId, accepted_device_id: "mobile" });
    await alice.message(roomId, {
      type: "m.call.candidates",
      content: { custom: { call_id: callId, candidates: [candidate] } },
    });
    const hangup = await send(bob, "m.call.hangup", { device_id: "mobile" });
    expect(await callOf(alice, callId)).toMatchObject({ state: "ENDED", endedReason: "HANGUP" });
    const { events } = await alice.do<{ events: { typed: object; content: object; updatesId: string }[] }>(
      `query ($ids: [ID!]!) { events: nodes(ids: $ids) { ... on MessageEvent {
         content typed { __typename ... on CallInviteContent { callId senderDeviceId lifetimeMs offer { sdp } } } } } }`,
      { ids: [invite, hangup] },
    );
    expect(events).toEqual([
      {
        content: { call_id: callId, device_id: "phone", offer, lifetime: 30_000, version: 1 },
        typed: {
          ...{ __typename: "CallInviteContent", callId, senderDeviceId: "phone" },
          ...{ lifetimeMs: 30_000, offer: { sdp: offer.sdp } },
        },
      },
      { content: { call_id: callId, device_id: "mobile" }, typed: { __typename: "CallHangupContent" } },
    ]);
  });

  test("[VOIP-9] obey the same rules", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    const invite = inviteOf(callId);
    expect(await raw(tablet, roomId, "m.call.hangup", {}, invite)).toBe("FORBIDDEN");
    expect(await raw(alice, roomId, "m.call.answer", { answer }, invite)).toBe("FORBIDDEN");
    expect(await raw(bob, roomId, "m.call.answer", {}, invite)).toBe("BAD_INPUT");
    expect(await raw(bob, roomId, "m.call.answer", { answer, device_id: "laptop" }, invite)).toBe("FORBIDDEN");
    expect(await raw(bob, roomId, "m.call.answer", { answer, call_id: "call_other" }, invite)).toBe("BAD_INPUT");
    expect(await raw(bob, roomId, "m.call.answer", { answer })).toBe("BAD_INPUT");
    expect(await raw(bob, roomId, "m.call.answer", { answer }, await bob.send(roomId, "no call"))).toBe("BAD_INPUT");
    expect(await raw(bob, roomId, "m.call.answer", { answer }, await alice.send(roomId, "no call"))).toBe("FORBIDDEN");
    expect(await raw(alice, roomId, "m.call.invite", { offer, lifetime: 1000 }, invite)).toBe("BAD_INPUT");
    expect(await raw(alice, roomId, "m.call.invite", { offer, lifetime: 1000, call_id: callId })).toBe("BAD_INPUT");
    expect(await raw(alice, roomId, "m.call.invite", { offer })).toBe("BAD_INPUT");
    expect(await raw(bob, roomId, "m.call.negotiate", {}, invite)).toBe("FORBIDDEN");
    const elsewhere = await roomOfTwo(alice, bob);
    expect(await raw(bob, elsewhere, "m.call.answer", { answer }, invite)).toBe("BAD_INPUT");
    expect(await callOf(alice, callId)).toMatchObject({ state: "RINGING", parties: [] });
    await signal(alice, "hangupCall", { callId });
    expect(await raw(bob, roomId, "m.call.answer", { answer }, invite)).toBe("CALL_ENDED");
  });

  test("[ACT-8] [VOIP-9] of a batch go one after the other, all or nothing", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    const updates = inviteOf(callId);
    const batch = (messages: object[]) =>
      bob.ask("mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { type } } }", {
        input: { roomId, messages },
      });
    const answered = { type: "m.call.answer", content: { custom: { answer } }, updates };
    const found = { type: "m.call.candidates", content: { custom: { candidates: [candidate] } }, updates };
    const early = await batch([found, answered]);
    expect(early.errors?.[0]?.extensions).toMatchObject({ code: "FORBIDDEN" });
    expect((await callOf(alice, callId)).parties).toEqual([]);
    const { data } = await batch([answered, found, { content: { text: { body: "hello" } } }]);
    expect(data!["sendMessages"]).toEqual({
      events: [{ type: "m.call.answer" }, { type: "m.call.candidates" }, { type: "m.room.message" }],
    });
    expect((await callOf(alice, callId)).parties).toMatchObject([{ deviceId: "mobile", rejected: false }]);
  });
});

test("[ACT-13] [VOIP-9] a signed signal is one like all others", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const sign = async (client: Client, message: object) => {
    const prepared = await prepare(client, roomId, message);
    const signatures = await signed(client, await newKey(), prepared);
    const input = { prepared: prepared.prepared, signatures };
    const { sendPreparedMessage } = await client.do<{
      sendPreparedMessage: { event: { id: string; content: object } };
    }>(`mutation ($input: SendPreparedMessageInput!) { sendPreparedMessage(input: $input) { event { id content } } }`, {
      input,
    });
    expect(sendPreparedMessage.event.content).toEqual(prepared.json["content"]);
    return sendPreparedMessage.event.id;
  };
  const invite = await sign(alice, { type: "m.call.invite", content: { custom: { offer, lifetime: 60_000 } } });
  const callId = invite.replace("$", "call_");
  expect(await callOf(bob, callId)).toMatchObject({ state: "RINGING" });
  await sign(bob, { type: "m.call.answer", content: { custom: { answer } }, updates: invite });
  expect(await callOf(bob, callId)).toMatchObject({ state: "ANSWERED", parties: [{ deviceId: "mobile", answer }] });
});

test("[VOIP-3] however much was signalled, whoever is in a call can hang up", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId);
  const updates = inviteOf(callId);
  const found = { type: "m.call.candidates", content: { custom: { candidates: [candidate] } }, updates };
  for (let n = 0; n < 10; n++) {
    await alice.do("mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }", {
      input: { roomId, messages: Array(100).fill(found) },
    });
  }
  expect(await codeOf(alice, "sendCallCandidates", { callId, candidates: [candidate] })).toBe("BAD_INPUT");
  expect((await signal(alice, "hangupCall", { callId })).call.state).toBe("ENDED");
});

describe("[VOIP-7] glare", () => {
  test("of two invites that cross the first in the room survives, and the other side learns so at once", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const first = await place(alice, roomId);
    const follow = await alice.follow();
    const { call, event } = await signal(bob, "placeCall", { roomId, offer });
    expect(call).toMatchObject({ state: "ENDED", endedReason: "GLARE" });
    expect((await callOf(bob, first)).state).toBe("RINGING");
    await follow.until(({ events }) => events.some(({ type }) => type === "m.call.hangup"));
    expect(follow.events).toMatchObject([
      { id: event.id, senderId: bob.userId, type: "m.call.invite" },
      { senderId: "localhost", content: { call_id: call.id, reason: "glare" } },
    ]);
    follow.stop();
    await signal(bob, "answerCall", { callId: first, answer });
    expect(await place(bob, roomId).then((id) => callOf(bob, id))).toMatchObject({ endedReason: "GLARE" });
    await signal(alice, "acknowledgeCall", { callId: first, ...of(bob) });
    // Both are in a call by now: another one is no glare.
    expect(await place(laptop, roomId).then((id) => callOf(bob, id))).toMatchObject({ state: "RINGING" });
  });

  test("many invites at once from both sides leave those of one side", async () => {
    const roomId = await roomOfTwo(alice, bob);
    const placed = await Promise.all(
      Array.from({ length: 10 }, (_, n) => place([alice, bob, tablet, laptop][n % 4]!, roomId)),
    );
    const rows = await sql<{ caller: string; ended_reason: string | null }>(
      server.databaseUrl,
      "SELECT DISTINCT caller, ended_reason FROM call WHERE call_id = ANY ($1::text[]) ORDER BY caller",
      [placed],
    );
    expect(rows).toHaveLength(2);
    expect(rows.map((row) => row.ended_reason).sort()).toEqual(["GLARE", null]);
  });
});

describe("lists of calls", () => {
  interface Listed {
    viewer: { activeCalls: { id: string }[] };
    room: { activeCalls: { id: string }[] };
  }
  const lists = async (client: Client, roomId: string): Promise<string[][]> => {
    const { viewer, room } = await client.do<Listed>(
      "query ($roomId: ID!) { viewer { activeCalls { id } } room(id: $roomId) { activeCalls { id } } }",
      { roomId },
    );
    return [viewer, room].map(({ activeCalls }) => activeCalls.map(({ id }) => id));
  };

  test("[VOIP-1] show what goes on, to those who may see it", async () => {
    const [dora, emil, fred] = await Promise.all(["dora", "emil", "fred"].map((name) => server.user(name)));
    const rooms = [await roomOfTwo(dora!, emil!), await roomOfTwo(dora!, fred!)];
    const first = await place(dora!, rooms[0]!);
    const second = await place(fred!, rooms[1]!);
    const over = await place(dora!, rooms[0]!);
    await signal(dora!, "hangupCall", { callId: over });
    expect(await lists(dora!, rooms[0]!)).toEqual([[first, second], [first]]);
    expect(await lists(emil!, rooms[0]!)).toEqual([[first], [first]]);
    expect(await lists(fred!, rooms[1]!)).toEqual([[second], [second]]);
    const before = server.database.statements();
    await dora!.do("{ viewer { rooms { nodes { activeCalls { id offer { sdp } caller { id } } } } } }");
    const ten = server.database.statements() - before;
    for (let n = 0; n < 5; n++) await place(dora!, await roomOfTwo(dora!, emil!));
    const between = server.database.statements();
    await dora!.do("{ viewer { rooms { nodes { activeCalls { id offer { sdp } caller { id } } } } } }");
    expect(server.database.statements() - between).toBe(ten);
  });
});
