import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { answer, offer, place, roomOfTwo, signal, SignalFollow } from "../kit/calls.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let laptop: Client;
let carol: Client;
const follows: SignalFollow[] = [];

beforeAll(async () => {
  server = await startApp({ config: { streamBacklog: 20, streamReplay: 10 } });
  alice = await server.user("alice", "phone");
  bob = await server.user("bob", "mobile");
  laptop = await Client.login(server.address, "bob", "laptop");
  carol = await server.user("carol");
});
afterEach(async () => {
  for (const follow of follows.splice(0)) follow.stop();
  const { stream } = server.app.domain;
  // Only the mirrors' streams are left: nothing of a subscription stays behind.
  await until(() => stream.count() === 3);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

function follow(client: Client, variables: { roomId?: string; callId?: string } = {}): SignalFollow {
  const opened = new SignalFollow(client, variables);
  follows.push(opened);
  return opened;
}

const of = ({ userId, deviceId }: Client) => ({ userId, deviceId });

/** Until the subscription is there: nothing tells so by itself while no call is live. */
async function opened(count = follows.length): Promise<void> {
  await until(() => server.app.domain.stream.count() === 3 + count);
}

test("[VOIP-1] both sides and all their devices follow a call from the invite to its end", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const followed = [alice, bob, laptop].map((client) => follow(client));
  await opened();
  const { call, event } = await signal(alice, "placeCall", { roomId, offer });
  await signal(bob, "answerCall", { callId: call.id, answer });
  await signal(alice, "acknowledgeCall", { callId: call.id, ...of(bob) });
  await signal(bob, "hangupCall", { callId: call.id });
  for (const each of followed) {
    expect(await each.brings(4)).toEqual(["invite", "answer", "ack", "hangup"]);
    expect(each.signals[0]!.event).toEqual({
      ...{ id: event.id, type: "m.call.invite", senderId: alice.userId },
      content: event.content,
    });
    expect(new Set(each.signals.map((told) => told.call.id))).toEqual(new Set([call.id]));
    // The other devices learn that it was taken elsewhere.
    expect(each.signals[2]!.event.content).toMatchObject({ accepted_device_id: "mobile" });
  }
});

test("[VOIP-1] who comes later gets the signals of live calls first, and then each that follows once", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const over = await place(alice, roomId);
  await signal(alice, "hangupCall", { callId: over });
  const callId = await place(alice, roomId);
  await signal(bob, "answerCall", { callId, answer });
  const sends = (n: number) => signal(alice, "sendCallCandidates", { callId, candidates: [{ candidate: String(n) }] });
  for (let n = 0; n < 15; n++) await sends(n);
  // More wait than an event stream replays; and while the subscriptions open, more come.
  const later: SignalFollow[] = [];
  for (let n = 15; n < 30; n++) {
    later.push(follow(bob));
    await sends(n);
  }
  await signal(alice, "hangupCall", { callId });
  for (const each of later) {
    await each.brings(33);
    expect(each.types).toEqual(["invite", "answer", ...Array<string>(30).fill("candidates"), "hangup"]);
    const candidates = each.signals.flatMap(({ event }) => event.content["candidates"] ?? []);
    expect(candidates).toEqual(Array.from({ length: 30 }, (_, n) => ({ candidate: String(n) })));
    expect(each.signals.every(({ call }) => call.id === callId)).toBe(true);
  }
});

test("[VOIP-1] calls that end while subscriptions open are told whole or not at all", async () => {
  const roomId = await roomOfTwo(alice, bob);
  for (let n = 0; n < 10; n++) {
    const callId = await place(alice, roomId);
    const each = [follow(bob, { roomId }), follow(alice, { roomId }), follow(laptop, { roomId })];
    const ending = signal(alice, "hangupCall", { callId });
    each.push(follow(bob, { roomId }), follow(alice, { roomId }));
    await ending;
    const last = await place(alice, roomId);
    for (const told of each) {
      await until(() => told.signals.some(({ call }) => call.id === last));
      const types = told.signals.filter(({ call }) => call.id === callId).map(({ event }) => event.type);
      expect([[], ["m.call.invite", "m.call.hangup"]]).toContainEqual(types);
      told.stop();
    }
    await signal(alice, "hangupCall", { callId: last });
  }
});

test("[VOIP-1] a room or a call may be asked for alone", async () => {
  const rooms = [await roomOfTwo(alice, bob), await roomOfTwo(alice, carol)];
  const calls = [await place(alice, rooms[0]!), await place(alice, rooms[0]!), await place(carol, rooms[1]!)];
  const ofRoom = follow(alice, { roomId: rooms[0]! });
  const ofCall = follow(alice, { callId: calls[1]! });
  await Promise.all([ofRoom.brings(2), ofCall.brings(1)]);
  for (const callId of calls.slice(0, 2)) await signal(alice, "hangupCall", { callId });
  await signal(carol, "hangupCall", { callId: calls[2]! });
  await Promise.all([ofRoom.brings(4), ofCall.brings(2)]);
  expect(ofRoom.signals.map(({ call }) => call.id)).toEqual([calls[0], calls[1], calls[0], calls[1]]);
  expect(ofCall.signals.map(({ call }) => call.id)).toEqual([calls[1], calls[1]]);
  expect(ofCall.signals[1]!.call.state).toBe("ENDED");
});

test("[EV-9] a room or a call that one may not see looks as if there were none, and third ones get nothing", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId);
  for (const variables of [{ roomId }, { callId }, { roomId: "!nowhere:localhost" }, { callId: "call_nowhere" }]) {
    const refused = new SignalFollow(carol, variables);
    await until(() => refused.errors !== null);
    expect([variables, refused.errors![0]!.extensions!.code]).toEqual([variables, "NOT_FOUND"]);
  }
  const third = follow(carol);
  await carol.join(roomId);
  await signal(alice, "hangupCall", { callId });
  const own = await place(alice, await roomOfTwo(alice, carol));
  await third.brings(1);
  expect(third.signals.map(({ call }) => call.id)).toEqual([own]);
});

test("[EV-9] who leaves the room gets nothing of its calls from then on", async () => {
  const roomId = await roomOfTwo(alice, bob);
  const callId = await place(alice, roomId);
  const followed = follow(bob);
  await followed.brings(1);
  await bob.leave(roomId);
  await until(async () => (await alice.timeline(roomId)).length > 0);
  const other = await place(alice, await roomOfTwo(alice, bob));
  await followed.brings(2);
  expect(followed.signals.map(({ call }) => call.id)).toEqual([callId, other]);
});

test("[ACC-2] a subscription ends when its token is revoked", async () => {
  const tablet = await Client.login(server.address, "bob", "tablet");
  const roomId = await roomOfTwo(alice, bob);
  const followed = follow(tablet, { roomId });
  await opened();
  await tablet.do("mutation { logout { deviceId } }");
  await opened(0);
  await place(alice, roomId);
  expect(followed.types).toEqual([]);
});
