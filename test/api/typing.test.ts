import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import type { Follow } from "../kit/follow.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let eve: Client;
let roomId: string;
let follow: Follow;
beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { presence: true } });
  [alice, bob, eve] = [await server.user("alice"), await server.user("bob"), await server.user("eve")];
  roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  follow = await bob.follow();
});
afterAll(async () => {
  for (const client of [alice, bob, eve]) await client.close();
  await server.close();
  expect(server.app.domain.typing.timers()).toBe(0);
});

const type = (client: Client, typing: boolean, options: { timeoutMs?: number; room?: string } = {}) =>
  client.ask("mutation ($input: SetTypingInput!) { setTyping(input: $input) { room { typing { id } } } }", {
    input: {
      roomId: options.room ?? roomId,
      typing,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    },
  });
/** The lists that a stream brought, in order. */
const lists = (from: Follow = follow): unknown[] =>
  from.events.filter((event) => event.type === "m.typing").map(({ content }) => content!["user_ids"]);
const last = (from: Follow = follow): unknown => lists(from).at(-1);

test("[TYP-1] [EVS-12] typing is on, and off again, for who is in the room", async () => {
  const elsewhere = await eve.follow();
  const answer = await type(alice, true);
  expect(answer.data).toEqual({ setTyping: { room: { typing: [{ id: alice.userId }] } } });
  await follow.until(() => lists().length === 1);
  expect(last()).toEqual([alice.userId]);
  const event = follow.events.find((each) => each.type === "m.typing")!;
  expect(event).toMatchObject({ kind: "EPHEMERAL", roomId, senderId: "localhost" });
  await type(bob, true);
  await follow.until(() => lists().length === 2);
  expect(last()).toEqual([alice.userId, bob.userId]);
  await type(alice, false);
  await follow.until(() => lists().length === 3);
  expect(last()).toEqual([bob.userId]);
  await type(bob, false);
  await follow.until(() => lists().length === 4);
  expect(last()).toEqual([]);
  expect(lists(elsewhere)).toEqual([]);
});

test("[TYP-1] typing ends after its time", async () => {
  const count = lists().length;
  await type(alice, true, { timeoutMs: 400 });
  await follow.until(() => lists().length > count);
  expect(last()).toEqual([alice.userId]);
  await follow.until(() => lists().length > count + 1);
  expect(last()).toEqual([]);
  await until(() => server.app.domain.typing.timers() === 0);
});

test("[TYP-1] typing ends when the user's message arrives, and not with a message of another", async () => {
  const count = lists().length;
  await type(alice, true);
  await follow.until(() => lists().length > count);
  await bob.send(roomId, "not mine");
  await alice.send(roomId, "done");
  await follow.until(() => lists().length > count + 1);
  expect(lists().slice(count)).toEqual([[alice.userId], []]);
});

test("[SES-3] typing ends with the session", async () => {
  const count = lists().length;
  await type(alice, true);
  await follow.until(() => lists().length > count);
  await alice.do("mutation { endSession { sessionId } }");
  await follow.until(() => lists().length > count + 1);
  expect(last()).toEqual([]);
});

test("typing ends for who leaves, and who left neither types nor learns who does", async () => {
  const carol = await server.user("carol");
  await carol.join(roomId);
  const count = lists().length;
  await type(carol, true);
  await follow.until(() => lists().length > count);
  await carol.do("mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { event { id } } }", { roomId });
  await follow.until(() => lists().length > count + 1);
  expect(last()).toEqual([]);
  expect((await type(carol, true)).errors![0]!.extensions!["code"]).toBe("FORBIDDEN");
  await type(alice, true);
  const seen = await carol.do<{ room: { typing: unknown[] } }>("query ($id: ID!) { room(id: $id) { typing { id } } }", {
    id: roomId,
  });
  expect(seen.room.typing).toEqual([]);
  await type(alice, false);
  await carol.close();
});

test("[TYP-1] the subscription begins with who is typing, and follows the rooms that it names", async () => {
  const other = await alice.createRoom();
  await until(() => server.app.domain.typing.in(roomId).length === 0);
  await type(alice, true);
  const notices: { room: { id: string }; users: { id: string }[] }[] = [];
  const stop = bob.socket.subscribe<{ typing: (typeof notices)[number] }>(
    {
      query: "subscription ($ids: [ID!]) { typing(roomIds: $ids) { room { id } users { id } } }",
      variables: { ids: [roomId, other] },
    },
    { next: ({ data }) => void (data && notices.push(data.typing)), error: () => undefined, complete: () => undefined },
  );
  await until(() => notices.length > 0);
  expect(notices[0]).toEqual({ room: { id: roomId }, users: [{ id: alice.userId }] });
  await type(alice, true, { room: other });
  await type(alice, false);
  await until(() => notices.at(-1)!.users.length === 0);
  expect(notices.every(({ room }) => room.id === roomId)).toBe(true);
  stop();
  await until(() => server.app.domain.stream.count() === 2);
  await type(alice, false, { room: other });
});

test.each([
  ["NOT_FOUND", () => ({ roomId: "!none:localhost", typing: true })],
  ["BAD_INPUT", () => ({ roomId, typing: true, timeoutMs: 0 })],
  ["BAD_INPUT", () => ({ roomId, typing: true, timeoutMs: 2_000_000 })],
])("bad input: %s", async (code, input) => {
  expect(
    await alice.code("mutation ($input: SetTypingInput!) { setTyping(input: $input) { room { id } } }", {
      input: input(),
    }),
  ).toBe(code);
});

test("a stranger to a room doesn't learn that it exists", async () => {
  const hidden = await alice.createRoom();
  expect((await type(eve, true, { room: hidden })).errors![0]!.extensions!["code"]).toBe("NOT_FOUND");
});

test.each([
  ['subscription { typing(roomIds: ["nonsense"]) { users { id } } }', "BAD_INPUT"],
  ['subscription { presence(userIds: ["nonsense"]) { state } }', "BAD_INPUT"],
])("a subscription to what can't be is refused: %s", async (query, code) => {
  const failures: unknown[] = [];
  alice.socket.subscribe(
    { query },
    { next: ({ errors }) => void failures.push(errors), error: () => undefined, complete: () => undefined },
  );
  await until(() => failures.length > 0);
  expect(failures[0]).toMatchObject([{ extensions: { code } }]);
});
