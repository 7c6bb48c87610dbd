import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { endCallsOf } from "../../src/domain/actions/endCalls.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { answer, callOf, codeOf, offer, place, roomOfTwo, signal } from "../kit/calls.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let laptop: Client;

beforeAll(async () => {
  server = await startApp({ config: { admins: ["admin"] } });
  alice = await server.user("alice", "phone");
  bob = await server.user("bob", "mobile");
  laptop = await Client.login(server.address, "bob", "laptop");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const of = ({ userId, deviceId }: Client) => ({ userId, deviceId });

/** The server's hangups of a call. */
async function hangups(callId: string): Promise<{ reason: string }[]> {
  const rows = await sql<{ content: string }>(
    server.databaseUrl,
    "SELECT content FROM event WHERE type = 'm.call.hangup' AND sender = 'localhost' AND updates_id = $1",
    [callId.replace("call_", "$")],
  );
  return rows.map(({ content }) => JSON.parse(content) as { reason: string });
}

async function untilEnded(callId: string, reason: string): Promise<void> {
  await until(async () => (await callOf(alice, callId)).state === "ENDED");
  expect(await callOf(alice, callId)).toMatchObject({ endedReason: reason.toUpperCase(), expiresAt: null });
  expect(await hangups(callId)).toEqual([{ call_id: callId, reason }]);
}

test("[VOIP-5] an invite lapses after its lifetime, answered or not, and the stream says why", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const follow = await bob.follow();
  const [ringing, answered] = [
    await place(alice, roomId, { lifetimeMs: 300 }),
    await place(alice, roomId, { lifetimeMs: 400 }),
  ];
  await signal(bob, "answerCall", { callId: answered, answer });
  await untilEnded(ringing, "expired");
  await untilEnded(answered, "expired");
  const told = follow.events.filter(({ senderId }) => senderId === "localhost");
  expect(told.map(({ content }) => content)).toEqual([
    { call_id: ringing, reason: "expired" },
    { call_id: answered, reason: "expired" },
  ]);
  expect(await codeOf(alice, "acknowledgeCall", { callId: answered, ...of(bob) })).toBe("CALL_ENDED");
  follow.stop();
});

test("[VOIP-5] what was acknowledged in time goes on", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId, { lifetimeMs: 500 });
  await signal(bob, "answerCall", { callId, answer });
  await signal(alice, "acknowledgeCall", { callId, ...of(bob) });
  await untilEnded(await place(alice, roomId, { lifetimeMs: 700 }), "expired");
  expect((await callOf(alice, callId)).state).toBe("CONNECTED");
});

test("[VOIP-5] an invite that lapsed while no server ran is ended by the next start; of two at once by one", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId, { lifetimeMs: 3_000_000 });
  const clock = { now: () => Date.now() + 3_000_000 };
  const options = { databaseUrl: server.databaseUrl, clock, mirrors: false };
  const later = await Promise.all([startApp(options), startApp(options), startApp(options)]);
  await untilEnded(callId, "expired");
  await Promise.all(later.map((each) => each.close()));
  expect(await hangups(callId)).toHaveLength(1);
});

test("[VOIP-5] several servers that watch the same invites end each once", async () => {
  const others = await Promise.all([1, 2].map(() => startApp({ databaseUrl: server.databaseUrl, mirrors: false })));
  const roomId = await roomOfTwo(alice, bob);
  const placed = await Promise.all([100, 150, 150, 200].map((lifetimeMs) => place(alice, roomId, { lifetimeMs })));
  for (const callId of placed) await untilEnded(callId, "expired");
  await Promise.all(others.map((each) => each.close()));
  for (const callId of placed) expect(await hangups(callId)).toHaveLength(1);
});

test.each(["caller leaves", "callee leaves", "callee is kicked", "callee is banned"])(
  "[VOIP-5] a call ends when the %s",
  async (how) => {
    const roomId = await roomOfTwo(alice, bob);
    const callId = await place(alice, roomId);
    await signal(bob, "answerCall", { callId, answer });
    await signal(alice, "acknowledgeCall", { callId, ...of(bob) });
    if (how === "caller leaves") await alice.leave(roomId);
    else if (how === "callee leaves") await bob.leave(roomId);
    else await alice.membership(how.endsWith("kicked") ? "kick" : "ban", roomId, bob.userId);
    await untilEnded(callId, "hangup");
  },
);

test("[VOIP-5] a call to one who is invited ends when the invite is rejected, and goes on when it is taken", async () => {
  const rooms = await Promise.all([alice.createRoom(), alice.createRoom()]);
  const invites = [];
  for (const roomId of rooms) invites.push(await alice.membership("invite", roomId, bob.userId));
  const calls = [await place(alice, rooms[0]!), await place(alice, rooms[1]!)];
  await bob.join(rooms[0]!);
  await bob.do("mutation ($eventId: ID!) { rejectInvite(input: { eventId: $eventId }) { roomId } }", {
    eventId: invites[1],
  });
  await untilEnded(calls[1]!, "hangup");
  expect((await signal(bob, "answerCall", { callId: calls[0], answer })).call.state).toBe("ANSWERED");
});

test("[ACT-14] redacting the invite ends the call, and nobody can signal in it any more", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId);
  const invite = callId.replace("call_", "$");
  const redaction = await alice.redact(invite);
  await untilEnded(callId, "hangup");
  expect(await codeOf(bob, "answerCall", { callId, answer })).not.toBe(null);
  const { call, event } = await bob.do<{ call: object; event: object }>(
    `query ($callId: ID!, $invite: ID!) {
       call(id: $callId) { offer { sdp } }
       event(id: $invite) { redactedBy { id } }
     }`,
    { callId, invite },
  );
  expect([call, event]).toEqual([{ offer: { sdp: "" } }, { redactedBy: { id: redaction } }]);
  expect(await alice.redact(invite)).toBe(redaction);
});

test("[EVS-7] rejecting the invite ends the call", async () => {
  const admin = await server.user("admin");
  const callId = await place(alice, await roomOfTwo(alice, bob));
  await admin.do("mutation ($eventId: ID!) { rejectEvent(input: { eventId: $eventId }) { redaction { id } } }", {
    eventId: callId.replace("call_", "$"),
  });
  await untilEnded(callId, "hangup");
});

test("[VOIP-5] a deleted room takes its calls along", async () => {
  const admin = await Client.login(server.address, "admin", "device");
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId, { lifetimeMs: 200 });
  await admin.do("mutation ($roomId: ID!) { deleteRoom(input: { roomId: $roomId }) { roomId } }", { roomId });
  expect(await alice.code("query ($id: ID!) { call(id: $id) { id } }", { id: callId })).toBe("NOT_FOUND");
  expect(await sql(server.databaseUrl, "SELECT FROM call WHERE room_id = $1", [roomId])).toEqual([]);
});

test("[VOIP-5] the end of a session ends the calls that its device placed or was chosen in, and withdraws its answers", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const other = await roomOfTwo(alice, bob);
  const { tools } = server.app.domain;
  const callId = await place(alice, roomId);
  await signal(bob, "answerCall", { callId, answer });
  await signal(laptop, "answerCall", { callId, answer });
  await endCallsOf(tools, bob.userId, "mobile");
  expect((await callOf(alice, callId)).parties).toMatchObject([{ deviceId: "laptop" }]);
  expect(await codeOf(alice, "acknowledgeCall", { callId, ...of(bob) })).toBe("NOT_FOUND");
  await signal(alice, "acknowledgeCall", { callId, ...of(laptop) });
  await endCallsOf(tools, bob.userId, "mobile");
  await endCallsOf(tools, alice.userId, "tablet");
  expect((await callOf(alice, callId)).state).toBe("CONNECTED");
  const ringing = await place(alice, other);
  await endCallsOf(tools, bob.userId, "laptop");
  await untilEnded(callId, "session_ended");
  expect((await callOf(alice, ringing)).state).toBe("RINGING");
  await endCallsOf(tools, alice.userId, "phone");
  await untilEnded(ringing, "session_ended");
});

test("[VOIP-5] an acknowledgement and the end of the device's session at once leave no call that nobody is in", async () => {
  const roomId = await roomOfTwo(alice, bob);
  for (let n = 0; n < 10; n++) {
    const callId = await place(alice, roomId);
    await signal(bob, "answerCall", { callId, answer });
    const [code] = await Promise.all([
      codeOf(alice, "acknowledgeCall", { callId, ...of(bob) }),
      endCallsOf(server.app.domain.tools, bob.userId, "mobile"),
    ]);
    const { state, parties } = await callOf(alice, callId);
    if (code === null) expect(state).toBe("ENDED");
    else expect([code, state, parties]).toEqual(["NOT_FOUND", "RINGING", []]);
  }
});

test("[VOIP-5] there is one timer, whatever number of invites wait, and none after the server has stopped", async () => {
  const started: NodeJS.Timeout[] = [];
  const live = new Set<unknown>();
  const original = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  // Lifetimes that nothing else waits for.
  const isOurs = (ms: number | undefined): boolean => ms !== undefined && ms > 2_000_000 && ms <= 3_000_000;
  vi.stubGlobal("setTimeout", (callback: (...given: unknown[]) => void, ms?: number, ...args: unknown[]) => {
    const timer = original.setTimeout(callback, ms, ...args);
    if (isOurs(ms)) live.add(timer);
    if (isOurs(ms)) started.push(timer);
    return timer;
  });
  vi.stubGlobal("clearTimeout", (timer: NodeJS.Timeout) => {
    live.delete(timer);
    original.clearTimeout(timer);
  });
  try {
    const own = await startApp();
    const [one, two] = [await own.user("one"), await own.user("two")];
    const roomId = await roomOfTwo(one, two);
    for (let n = 0; n < 20; n++) await place(one, roomId, { lifetimeMs: 3_000_000 - n * 10_000 });
    expect(started.length).toBe(20);
    expect(live.size).toBe(1);
    await own.close();
    expect(live.size).toBe(0);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("[VOIP-5] it is the clock of the server that tells when an invite lapses", async () => {
  const own = await startApp({ clock: { now: () => 1_000_000 } });
  const [one, two] = [await own.user("one"), await own.user("two")];
  const { call } = await signal(one, "placeCall", { roomId: await roomOfTwo(one, two), offer, lifetimeMs: 100 });
  expect(call.expiresAt).toBe(new Date(1_000_100).toISOString());
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await callOf(one, call.id)).state).toBe("RINGING");
  await own.close();
});

test("[VOIP-5] [SES-3] a call ends with its caller's session, and lasts while a stream keeps that going", async () => {
  const short = await startApp({ mirrors: false, config: { sessionTimeoutMs: 1000 } });
  const [carl, dora] = [await short.user("carl", "phone"), await short.user("dora", "phone")];
  const roomId = await roomOfTwo(carl, dora);
  const state = async (callId: string): Promise<string> => (await callOf(dora, callId)).state;
  const query = "subscription { callSignals { event { type } } }";
  const signals: unknown[] = [];
  const on = { next: (value: unknown) => void signals.push(value), error: () => undefined, complete: () => undefined };
  const stop = carl.socket.subscribe({ query }, on);
  const held = await place(carl, roomId);
  await until(() => signals.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(await state(held)).toBe("RINGING");
  stop();
  await until(async () => (await state(held)) === "ENDED");
  const ended = await place(carl, roomId);
  await carl.do("mutation { endSession { sessionId } }");
  await until(async () => (await state(ended)) === "ENDED");
  expect((await callOf(dora, ended)).endedReason).toBe("SESSION_ENDED");
  await carl.close();
  await short.close();
});
