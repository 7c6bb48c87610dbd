import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";
import { Caller } from "../transport/rest/support/callers.ts";
import { id, startBridged, type Bridged } from "../transport/rest/support/bridged.ts";

let bridged: Bridged;
let alice: Client;

beforeAll(async () => {
  bridged = await startBridged();
  alice = await bridged.app.user("alice");
});
afterAll(() => bridged.close());

/** Has the service make a ghost over REST; gives the ghost's own client. */
async function ghost(name: string): Promise<Client> {
  const { body } = await bridged.bot.post("/register", { type: "m.login.application_service", username: name });
  return new Client(bridged.app.address, String(body["access_token"]), `@${name}:localhost`, String(body["device_id"]));
}

test("[AS-6] SyTest: Ghost user must register before joining room", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const late = bridged.bot.as("@irc_late:localhost");
  expect(await late.post(`/rooms/${id(room)}/join`, {})).toMatchObject({
    status: 403,
    body: { errcode: "M_FORBIDDEN" },
  });
  await ghost("irc_late");
  expect(await late.post(`/rooms/${id(room)}/join`, {})).toMatchObject({ status: 200, body: { room_id: room } });
});

test("[AS-6] SyTest: AS-ghosted users can use rooms via AS", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  await ghost("irc_via");
  const via = bridged.bot.as("@irc_via:localhost");
  expect((await via.post(`/join/${id(room)}`, {})).status).toBe(200);
  const follow = await alice.follow();
  const place = `/rooms/${id(room)}/send/m.room.message/t1`;
  const { body } = await via.put(place, { msgtype: "m.text", body: "from the other side" });
  await follow.until(({ events }) => events.some((event) => event.id === body["event_id"]));
  await alice.send(room, "and back");
  await until(() => bridged.service.events().some(({ content }) => content["body"] === "and back"));
  // Its own users' events come to it as well.
  expect(bridged.service.events().find((event) => event.event_id === body["event_id"])).toMatchObject({
    ...{ user_id: "@irc_via:localhost", content: { body: "from the other side" } },
  });
  expect(await via.post(`/rooms/${id(room)}/leave`, {})).toMatchObject({ status: 200, body: {} });
});

test("[AS-8] SyTest: AS-ghosted users can use rooms themselves", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const self = await ghost("irc_self");
  await self.join(room);
  await self.send(room, "by my own token");
  await until(() => bridged.service.events().some(({ content }) => content["body"] === "by my own token"));
  const calls = new Caller(bridged.app.address, self.token);
  expect((await calls.get("/joined_rooms")).body).toEqual({ joined_rooms: [room] });
});

test("[AS-13] SyTest: AS user (not ghost) can join room without registering, with and without user_id", async () => {
  for (const caller of [bridged.bot, bridged.bot.as("@ircbot:localhost")]) {
    const room = await alice.createRoom({ joinRule: "PUBLIC" });
    expect(await caller.post(`/rooms/${id(room)}/join`, {})).toMatchObject({ body: { room_id: room } });
  }
});

test("[AS-2] what a service waits for ends with its registration", async () => {
  const { bot, app } = bridged;
  const filter = JSON.stringify({ presence: { not_types: ["*"] } });
  const { body } = await bot.get("/sync", { filter });
  const open = app.app.domain.stream.count();
  // One goes on with the stream that was kept, the other opens its own.
  const since = String(body["next_batch"]);
  const waiting = [1, 2].map(() => bot.get("/sync", { filter, since, timeout: "60000" }));
  await until(() => app.app.domain.stream.count() > open);
  await app.app.domain.services.registrations.takeFiles([]);
  for (const answered of await Promise.all(waiting)) expect(answered).toMatchObject({ status: 401 });
});
