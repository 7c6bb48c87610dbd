import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createAlias } from "../../src/domain/actions/createAlias.ts";
import { deleteAlias } from "../../src/domain/actions/deleteAlias.ts";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { ghostOf, makeGhost } from "../kit/ghosts.ts";
import { rest } from "../kit/media.ts";
import { startService, takesAll, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let service: ScriptedService;
let unique = 0;

beforeAll(async () => {
  service = await startService(takesAll, "irc");
  const namespaces = {
    users: [
      { exclusive: true, regex: "@irc_.*" },
      { exclusive: false, regex: "@irc\\.example\\.org/.*" },
    ],
    aliases: ["#irc_.*", "#irc\\.example\\.org/.*"],
    rooms: ["!irc\\.example\\.org/.*"],
  };
  server = await startApp({ services: [service.registration({ namespaces })] });
  alice = await server.user("alice");
});
afterAll(async () => {
  await server.close();
  await service.close();
});
beforeEach(() => {
  service.script = takesAll;
  service.asked.length = 0;
  unique++;
});

const joinByAlias =
  "mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { event { room { id name } } } }";
const asked = (path: string): string[] =>
  service.asked.flatMap((each) => (each.path.endsWith(path) ? [each.path] : []));

/** The service makes the room of an alias by calling back while it is asked. */
async function makeRoom(alias: string, name: string): Promise<void> {
  const { requester } = await ghostOf(server, "irc", "ircbot");
  await createRoom(server.app.domain.tools, requester, { alias, name, published: true });
}

test("[AS-3] SyTest: Accessing an AS-hosted room alias asks the AS server: joining by an unknown alias asks the service, which makes the room while it is asked; all who ask share one question", async () => {
  const alias = `#irc_#chan${unique}:localhost`;
  service.script = async (each, res) => {
    if (!each.path.includes("/rooms/")) return takesAll(each, res);
    await makeRoom(alias, "Made");
    return [200, {}];
  };
  const users = await Promise.all(["ann", "ben", "cem"].map((name) => server.user(`${name}${unique}`)));
  const answers = await Promise.all([
    ...users.map((user) =>
      user.do<{ joinRoom: { event: { room: { id: string; name: string } } } }>(joinByAlias, { alias }),
    ),
    alice.do<{ roomAlias: { roomId: string } }>("query ($alias: ID!) { roomAlias(alias: $alias) { roomId } }", {
      alias,
    }),
  ]);
  expect(answers[0]).toMatchObject({ joinRoom: { event: { room: { name: "Made" } } } });
  expect(asked(`/rooms/${alias}`)).toEqual([`/_matrix/app/v1/rooms/${alias}`]);
  expect(service.asked[0]!.query.get("access_token")).toBe("hs-token-of-irc");
  // It is known now.
  await users[0]!.do("query ($alias: ID!) { roomAlias(alias: $alias) { roomId } }", { alias });
  expect(asked(`/rooms/${alias}`)).toHaveLength(1);
});

test("[AS-3] an alias that is unknown to the service, or outside its namespaces, is unknown", async () => {
  for (const status of [404, 401, 403, 400]) {
    service.script = () => [status, { errcode: "M_NOT_FOUND" }];
    service.asked.length = 0;
    expect(await alice.code(joinByAlias, { alias: `#irc_none${status}:localhost` })).toBe("NOT_FOUND");
    expect(asked(`#irc_none${status}:localhost`)).toHaveLength(1);
  }
  service.asked.length = 0;
  expect(await alice.code(joinByAlias, { alias: "#other:localhost" })).toBe("NOT_FOUND");
  expect(await alice.code(joinByAlias, { alias: "#irc_x:elsewhere.example" })).toBe("NOT_FOUND");
  expect(service.asked).toEqual([]);
});

test("[AS-3] a service that fails is asked a few times, and then the wait is over; an answer that says nothing makes nothing", async () => {
  service.script = () => [502, "bad gateway"];
  expect(await alice.code(joinByAlias, { alias: `#irc_down${unique}:localhost` })).toBe("TIMEOUT");
  expect(asked(`#irc_down${unique}:localhost`)).toHaveLength(3);
  const path = `/_matrix/client/v3/directory/room/${encodeURIComponent(`#irc_away${unique}:localhost`)}`;
  expect(await rest(alice, path)).toMatchObject({ status: 408, body: { code: "TIMEOUT" } });
  const nonsense: unknown[] = [null, [], "yes", { events: 5 }, { state: [{ type: 3 }] }, { errcode: "M_UNKNOWN" }, {}];
  for (const body of nonsense) {
    service.script = () => [200, body];
    expect(await alice.code(joinByAlias, { alias: `#irc_odd${unique}:localhost` })).toBe("NOT_FOUND");
  }
  // A redirect isn't followed, and an endless answer isn't read to its end.
  service.script = (_each, res) => void res.writeHead(302, { location: `${service.url}/elsewhere` }).end();
  expect(await alice.code(joinByAlias, { alias: `#irc_moved${unique}:localhost` })).toBe("NOT_FOUND");
  expect(asked("/elsewhere")).toEqual([]);
  service.script = (_each, res) => void res.writeHead(200).write("x".repeat(2_000_000));
  expect(await alice.code(joinByAlias, { alias: `#irc_huge${unique}:localhost` })).toBe("TIMEOUT");
});

test("[AS-3] [AS-5] a question doesn't wait for the queue, nor the queue for a question", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const ghost = await makeGhost(server, "irc", `irc_busy${unique}`);
  await ghost.join(room);
  await until(() => service.events().at(-1)?.room_id === room);
  let taken = 0;
  const held: (() => void)[] = [];
  service.script = async (each) => {
    if (each.path.includes("/transactions/")) taken++;
    await new Promise<void>((resolve) => held.push(resolve));
    return each.path.includes("/transactions/") ? [200, {}] : [404, { errcode: "M_NOT_FOUND" }];
  };
  await alice.send(room, "held up");
  await until(() => held.length === 1);
  const joining = alice.code(joinByAlias, { alias: `#irc_meanwhile${unique}:localhost` });
  await until(() => held.length === 2);
  expect(taken).toBe(1);
  held[1]!();
  expect(await joining).toBe("NOT_FOUND");
  service.script = takesAll;
  held[0]!();
  await until(() => service.events().at(-1)?.content["body"] === "held up");
});

test("[AS-3] a room that the service describes is made as it says: fixed id, usual state, each event at its time, senders asked for", async () => {
  const alias = `#irc.example.org/#c${unique}:localhost`;
  const bob = `@irc.example.org/Bob${unique}:localhost`;
  service.script = (each, res) => {
    if (each.path.includes("/users/")) {
      return each.path.endsWith(bob) ? [200, { profile: { display_name: "Bob" } }] : [404, { errcode: "M_NOT_FOUND" }];
    }
    if (!each.path.includes("/rooms/")) return takesAll(each, res);
    return [
      200,
      {
        state: [
          {
            type: "m.room.name",
            state_key: "",
            content: { name: "#matrix" },
            user_id: bob,
            origin_server_ts: 1421416883000,
          },
          { type: "m.room.join_rules", state_key: "", content: { join_rule: "public", note: 1 }, sender: bob },
          { type: "m.room.topic", state_key: "", content: { topic: "Stolen" }, sender: alice.userId },
        ],
        events: [
          {
            type: "m.room.message",
            content: { msgtype: "m.text", body: "hello?" },
            user_id: bob,
            origin_server_ts: 1421416883133,
          },
          {
            type: "m.room.message",
            content: { msgtype: "m.text", body: "?" },
            user_id: "@irc.example.org/unknown:localhost",
          },
        ],
      },
    ];
  };
  const joined = await alice.do<{ joinRoom: { event: { room: { id: string; name: string } } } }>(joinByAlias, {
    alias,
  });
  const roomId = `!irc.example.org/#c${unique}:localhost`;
  expect(joined.joinRoom.event.room).toEqual({ id: roomId, name: "#matrix" });
  const events = await sql<{ type: string; sender: string; sent_at: string; content: string }>(
    server.databaseUrl,
    "SELECT type, sender, sent_at, content FROM event WHERE room_id = $1 AND sender <> $2 ORDER BY position",
    [roomId, alice.userId],
  );
  expect(events.map(({ type, sender }) => [type, sender])).toEqual([
    ["m.room.create", bob],
    ["m.room.member.profile", bob],
    ["m.room.member", bob],
    ["m.room.power_levels", bob],
    ["m.room.join_rules", bob],
    ["m.room.history_visibility", bob],
    ["m.room.aliases", "localhost"],
    ["m.room.name", bob],
    ["m.room.join_rules", bob],
    ["m.room.message", bob],
  ]);
  expect(events.map(({ sent_at }) => Number(sent_at)).slice(0, 8)).toEqual(Array(8).fill(1421416883000));
  expect(Number(events.at(-1)!.sent_at)).toBe(1421416883133);
  // What follows is told to the service, whose room it is.
  await alice.send(roomId, "hi!");
  await until(() => service.events().some(({ content }) => content["body"] === "hi!"));
  // Once its alias was deleted, it is asked for again, and leads to the same room.
  await sql(server.databaseUrl, "DELETE FROM room_alias WHERE alias = $1", [alias]);
  await sql(server.databaseUrl, "DELETE FROM app_service_alias WHERE alias = $1", [alias]);
  const again = await alice.do<typeof joined>(joinByAlias, { alias });
  expect(again.joinRoom.event.room.id).toBe(roomId);
});

test("[AS-4] SyTest: Inviting an AS-hosted user asks the AS server: an unknown user is asked for, which makes them or says who they are", async () => {
  const invite = (room: string, user: string): Promise<string | null> =>
    alice.code("mutation ($r: ID!, $u: ID!) { inviteUser(input: { roomId: $r, userId: $u }) { event { id } } }", {
      r: room,
      u: user,
    });
  const room = await alice.createRoom({});
  const described = `@irc_told${unique}:localhost`;
  service.script = async (each, res) => {
    if (!each.path.endsWith(described)) return takesAll(each, res);
    // So long that both have asked by then.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return [200, { profile: { display_name: "Told", avatar_url: "mxc://localhost/a" } }];
  };
  const another = await alice.createRoom({});
  expect(await Promise.all([invite(room, described), invite(another, described)])).toEqual([null, null]);
  expect(asked(`/users/${described}`)).toHaveLength(1);
  const shown = await alice.do<{ user: { displayName: string } }>(
    "query ($id: ID!) { user(id: $id) { displayName } }",
    { id: described },
  );
  expect(shown.user.displayName).toBe("Told");

  const made = `@irc_made${unique}:localhost`;
  service.script = async (each, res) => {
    if (!each.path.endsWith(made)) return takesAll(each, res);
    await makeGhost(server, "irc", `irc_made${unique}`);
    return [200, {}];
  };
  expect(await invite(room, made)).toBeNull();
  await until(() => service.events().some(({ state_key: key }) => key === made));

  service.script = (each, res) => (each.path.includes("/users/") ? [200, {}] : takesAll(each, res));
  expect(await invite(room, `@irc_none${unique}:localhost`)).toBe("NOT_FOUND");
  const createRoomWith = "mutation ($u: [ID!]) { createRoom(input: { invite: $u }) { room { id } } }";
  expect(await alice.code(createRoomWith, { u: [`@irc_nobody${unique}:localhost`] })).toBe("NOT_FOUND");
  service.script = () => [500, {}];
  expect(await invite(room, `@irc_late${unique}:localhost`)).toBe("TIMEOUT");
});

test("[AS-5] [AS-8] SyTest: Events in rooms with AS-hosted room aliases are sent to AS server; such aliases are made by the service alone, which controls all of them [AS-9]", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  const alias = `#irc_own${unique}:localhost`;
  const create = "mutation ($r: ID!, $a: ID!) { createAlias(input: { roomId: $r, alias: $a }) { alias { alias } } }";
  expect(await alice.code(create, { r: room, a: alias })).toBe("EXCLUSIVE");
  expect(
    await alice.code("mutation ($a: String) { createRoom(input: { alias: $a }) { room { id } } }", { a: alias }),
  ).toBe("EXCLUSIVE");
  const ghost = await makeGhost(server, "irc", `irc_ali${unique}`);
  await ghost.join(room);
  await createAlias(server.app.domain.tools, ghost.requester, { roomId: room, alias });
  await alice.send(room, "told by the alias");
  await until(() => service.events().some(({ content }) => content["body"] === "told by the alias"));
  const { requester } = await ghostOf(server, "irc", "ircbot");
  await deleteAlias(server.app.domain.tools, requester, { alias });
  expect(await alice.code("query ($a: ID!) { roomAlias(alias: $a) { roomId } }", { a: alias })).toBe("NOT_FOUND");
});
