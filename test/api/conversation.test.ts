import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";

let server: TestApp;
beforeAll(async () => {
  server = await startApp();
});
afterAll(async () => {
  await server.close();
});

test("[EVS-1] [ACT-8] two users chat: what one sends, the other's stream brings", async () => {
  const alice = await server.user("alice");
  const bob = await server.user("bob");
  const roomId = await alice.createRoom({ name: "Fire", joinRule: "PUBLIC" });
  await bob.join(roomId);
  const following = await bob.follow();
  const sent = await alice.send(roomId, "hello");
  const event = await following.sees(sent);
  expect(event).toMatchObject({
    kind: "MESSAGE",
    senderId: alice.userId,
    content: { body: "hello", msgtype: "m.text" },
  });
  expect((await bob.timeline(roomId)).at(-1)).toBe(sent);
  expect(server.errors).toEqual([]);
  await bob.close();
});
