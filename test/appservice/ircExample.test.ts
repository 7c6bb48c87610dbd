import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { startService, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";

// The example of the application-service draft, step by step, with its own requests; the server's name is its own.
const server = "hsdomain.com";
const alias = `#irc.freenode.net/#matrix:${server}`;
const roomId = `!irc.freenode.net/#matrix:${server}`;
const bob = `@irc.freenode.net/Bob:${server}`;

let app: TestApp;
let alice: Client;
let irc: ScriptedService;
let hsToken: string;

beforeAll(async () => {
  irc = await startService(({ method, path }) => {
    if (method === "GET" && path === `/rooms/${alias}`) return [200, roomAnswer];
    if (method === "GET" && path === `/users/${bob}`) return [200, { profile: { display_name: "Bob" } }];
    if (method === "PUT" && path.startsWith("/transactions/")) return [200, {}];
    return [404, "not here"];
  });
  app = await startApp({ config: { serverName: server, serviceRegistration: ["T_a"] } });
  alice = await app.user("alice");
});
afterAll(async () => {
  await app.close();
  await irc.close();
});

const roomAnswer = {
  events: [
    {
      content: { body: "hello?", msgtype: "m.text" },
      origin_server_ts: 1421416883133,
      user_id: bob,
      type: "m.room.message",
    },
  ],
  state: [
    { content: { name: "#matrix" }, origin_server_ts: 1421416883133, user_id: bob, state_key: "", type: "m.room.name" },
  ],
};

test("[AS-1] step 1: the application service registers itself", async () => {
  const namespaces = {
    users: ["@irc\\.freenode\\.net/.*"],
    aliases: ["#irc\\.freenode\\.net/.*"],
    rooms: ["!irc\\.freenode\\.net/.*"],
  };
  const body = JSON.stringify({ url: irc.url, as_token: "T_a", namespaces });
  const response = await fetch(`${app.address}/register`, { method: "POST", body });
  expect(response.status).toBe(200);
  hsToken = ((await response.json()) as { hs_token: string }).hs_token;
  expect(hsToken).toEqual(expect.any(String));
});

test("[AS-3] [AS-4] step 3: alice joins the channel, which is asked for, and so is who speaks there", async () => {
  const joined = await alice.do<{ joinRoom: { event: { room: Record<string, unknown> } } }>(
    `mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { event { room {
       id name joinRule timeline(first: 20) { nodes { type content sentAt } }
     } } } }`,
    { alias },
  );
  const { timeline, ...room } = joined.joinRoom.event.room as { timeline: { nodes: { type: string }[] } };
  expect(room).toEqual({ id: roomId, name: "#matrix", joinRule: "PUBLIC" });
  expect(timeline.nodes.filter(({ type }) => type === "m.room.message")).toEqual([
    { type: "m.room.message", content: { body: "hello?", msgtype: "m.text" }, sentAt: "2015-01-16T14:01:23.133Z" },
  ]);
  const [query] = irc.asked.filter(({ path }) => path === `/rooms/${alias}`);
  expect(query!.query.get("access_token")).toBe(hsToken);
  expect(irc.asked.filter(({ path }) => path === `/users/${bob}`)).toHaveLength(1);
});

test("[AS-5] step 4: what alice says is pushed, since the room's id is in the namespace", async () => {
  await alice.send(roomId, "hi!");
  await until(() => irc.events().some(({ content }) => content["body"] === "hi!"));
  const hi = irc.events().find(({ content }) => content["body"] === "hi!")!;
  expect(hi).toMatchObject({
    content: { body: "hi!", msgtype: "m.text" },
    origin_server_ts: expect.any(Number) as number,
    user_id: alice.userId,
    room_id: roomId,
    type: "m.room.message",
  });
  const ids = [...irc.taken.keys()].map(Number);
  expect(ids).toEqual(ids.map((_id, index) => index + 1));
});

test("[AS-6] [AS-7] step 5: what Bob says is sent in his name and with its time, and is live all the same", async () => {
  const follow = await alice.follow();
  const place = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message`;
  const query = `?access_token=T_a&user_id=${encodeURIComponent(bob)}&ts=1421418084816`;
  const body = JSON.stringify({ body: "what's up?", msgtype: "m.text" });
  const response = await fetch(app.address + place + query, { method: "PUT", body });
  const { event_id: id } = (await response.json()) as { event_id: string };
  expect(response.status).toBe(200);
  await follow.until(({ events }) => events.some((event) => event.id === id));
  const { event } = await alice.do<{ event: object }>("query ($id: ID!) { event(id: $id) { sender { id } sentAt } }", {
    id,
  });
  expect(event).toEqual({ sender: { id: bob }, sentAt: "2015-01-16T14:21:24.816Z" });
});

test("[AS-2] in the end it unregisters, and nothing is pushed any more", async () => {
  const response = await fetch(`${app.address}/unregister`, {
    method: "POST",
    body: JSON.stringify({ as_token: "T_a" }),
  });
  expect(response.status).toBe(200);
  const before = irc.asked.length;
  await alice.send(roomId, "anybody?");
  const refused = await fetch(`${app.address}/_matrix/client/v3/account/whoami?access_token=T_a`);
  expect(refused.status).toBe(401);
  expect(irc.asked).toHaveLength(before);
});
