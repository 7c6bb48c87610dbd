import { afterAll, beforeAll, expect, test } from "vitest";
import { sendMessages } from "../../src/domain/actions/sendMessages.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";

let server: TestApp;
let alice: Client;
beforeAll(async () => {
  server = await startApp();
  alice = await server.user("alice");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

test("[ACT-8] who acts is answered before the streams are told, so that thousands of them don't hold up the answer", async () => {
  const roomId = await alice.createRoom();
  const { tools, stream } = server.app.domain;
  const requester = { userId: alice.userId, deviceId: alice.deviceId, admin: false, tokenId: "" };
  const follower = await stream.open({ ...requester, rooms: null, users: null, position: null }, "token");
  // The first step only tells that the stream is live.
  await follower.next();
  const order: string[] = [];
  const told = follower.next().then((step) => {
    order.push("told");
    return step?.events.map((event) => event.eventId);
  });
  const messages = ["one", "two"].map((body) => ({ content: { text: { body } } }));
  const sent = await sendMessages(tools, requester, { roomId, messages });
  // What a transport does with an answer takes some turns of promises, but waits for nothing.
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  order.push("answered");
  expect(await told).toEqual(sent.map((event) => event.eventId));
  expect(order).toEqual(["answered", "told"]);
  stream.close(follower);
});
