import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Client } from "../../kit/client.ts";
import { Caller } from "./support/callers.ts";
import {
  startBridged,
  id,
  userOf,
  forbidden,
  ok,
  made,
  roomOf,
  say,
  eventIn,
  stateIn,
  allStateIn,
  chunkOf,
  type Bridged,
} from "./support/bridged.ts";

let bridged: Bridged;
let bot: Caller;
let ghost: Caller;
let carl: Caller;
let alice: Client;
/** The same user as the client. */
let asAlice: Caller;

beforeAll(async () => {
  bridged = await startBridged();
  bot = bridged.bot;
  ghost = await bridged.ghost("irc_ann");
  carl = await bridged.ghost("irc_-Carl-/x=é");
  alice = await bridged.app.user("alice");
  asAlice = new Caller(bridged.app.address, alice.token);
});
afterAll(() => bridged.close());

describe("[AS-13] rooms", () => {
  test("are made whole: by a preset, with invites, state and levels", async () => {
    const roomId = await roomOf(bot, {
      ...{ preset: "trusted_private_chat", visibility: "public", name: "Channel", topic: "About", is_direct: true },
      ...{ room_alias_name: "irc_chan", invite: [alice.userId], room_version: "9", invite_3pid: [{ any: "thing" }] },
      creation_content: { type: "m.space", creator: "@nobody:localhost" },
      initial_state: [
        { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "joined" } },
        { type: "org.bridge", state_key: "irc://net/#chan", content: { channel: "#chan" } },
      ],
      power_level_content_override: { events_default: 5 },
    });
    expect(await stateIn(bot, roomId, "m.room.create")).toEqual({ type: "m.space", creator: userOf("ircbot") });
    expect(await stateIn(bot, roomId, "m.room.join_rules")).toEqual({ join_rule: "invite" });
    expect(await stateIn(bot, roomId, "m.room.history_visibility")).toEqual({ history_visibility: "joined" });
    expect(await stateIn(bot, roomId, "org.bridge", "irc://net/#chan")).toEqual({ channel: "#chan" });
    expect(await stateIn(bot, roomId, "m.room.member", alice.userId)).toEqual({
      membership: "invite",
      is_direct: true,
    });
    expect(await stateIn(bot, roomId, "m.room.power_levels")).toEqual({
      users: { [userOf("ircbot")]: 100, [alice.userId]: 100 },
      ...{
        users_default: 0,
        events: {},
        events_default: 5,
        state_default: 50,
        invite: 0,
        kick: 50,
        ban: 50,
        redact: 50,
      },
    });
    expect(ok(await bot.get(`/rooms/${id(roomId)}/aliases`))).toEqual({ aliases: ["#irc_chan:localhost"] });
    const names = await allStateIn(bot, roomId);
    expect(names.filter(({ type }) => type === "m.room.name")).toMatchObject([
      { state_key: "", content: { name: "Channel" } },
    ]);
    const again = await bot.post("/createRoom", { room_alias_name: "irc_chan" });
    expect(again).toMatchObject({ status: 400, body: { errcode: "M_ROOM_IN_USE" } });
    const taken = await asAlice.post("/createRoom", { room_alias_name: "irc_other" });
    expect(taken).toMatchObject({ status: 400, body: { errcode: "M_EXCLUSIVE" } });
  });

  test("are joined by id and alias, as often as one likes, and left, also twice; what forbids it says so", async () => {
    const roomId = await roomOf(bot, { preset: "public_chat", room_alias_name: "irc_joining" });
    for (let time = 0; time < 2; time++) {
      expect(ok(await ghost.post(`/join/${id("#irc_joining:localhost")}`, {}))).toEqual({ room_id: roomId });
      expect(ok(await ghost.post(`/rooms/${id(roomId)}/join`, ""))).toEqual({ room_id: roomId });
      expect(ok(await asAlice.post(`/join/${id(roomId)}`, {}, { query: { server_name: "x" } }))).toEqual({
        room_id: roomId,
      });
    }
    for (let time = 0; time < 2; time++) expect(ok(await ghost.post(`/rooms/${id(roomId)}/leave`, {}))).toEqual({});
    expect(await carl.post(`/rooms/${id(roomId)}/leave`, {})).toMatchObject(forbidden);
    expect(ok(await ghost.post(`/rooms/${id(roomId)}/forget`, {}))).toEqual({});
    expect(await asAlice.post(`/rooms/${id(roomId)}/forget`, {})).toMatchObject({ status: 400 });
    const unknown = await ghost.post(`/join/${id("#irc_nowhere:localhost")}`, {});
    expect(unknown).toMatchObject({ status: 404, body: { errcode: "M_NOT_FOUND" } });
    const closed = await roomOf(bot, { preset: "private_chat" });
    for (const target of [closed, "!nowhere:localhost"]) {
      expect(await ghost.post(`/join/${id(target)}`, {})).toMatchObject(forbidden);
    }
  });

  test("members are invited, kicked, banned and let in again, by calls and by state", async () => {
    const roomId = await roomOf(bot, { preset: "private_chat" });
    const path = `/rooms/${id(roomId)}`;
    const [ann, carlId] = [userOf("irc_ann"), userOf("irc_-Carl-/x=é")];
    const member = (userId: string) => stateIn(bot, roomId, "m.room.member", userId);
    const set = (caller: Caller, userId: string, content: object) =>
      caller.put(`${path}/state/m.room.member/${id(userId)}`, content);

    expect(ok(await bot.post(`${path}/invite`, { user_id: ann, reason: "come" }))).toEqual({});
    expect(await member(ann)).toEqual({ membership: "invite", reason: "come" });
    expect(ok(await ghost.post(`${path}/leave`, {}))).toEqual({});
    expect(await member(ann)).toMatchObject({ membership: "leave" });
    const invited = { membership: "invite", is_direct: true, "org.bridge.auto": true };
    made(await set(bot, ann, { ...invited, displayname: "not hers to say" }));
    expect(await member(ann)).toEqual(invited);
    made(await set(ghost, ann, { membership: "join", displayname: "Ann on IRC", avatar_url: "mxc://localhost/ann" }));
    expect(await member(ann)).toEqual({
      ...{ membership: "join", displayname: "Ann on IRC", avatar_url: "mxc://localhost/ann" },
    });
    expect(await set(bot, carlId, { membership: "join" })).toMatchObject(forbidden);
    expect(ok(await bot.post(`${path}/invite`, { user_id: carlId }))).toEqual({});
    ok(await carl.post(`/join/${id(roomId)}`, {}));
    expect(await ghost.post(`${path}/kick`, { user_id: carlId })).toMatchObject(forbidden);
    expect(ok(await bot.post(`${path}/kick`, { user_id: carlId, reason: "gone" }))).toEqual({});
    expect(await member(carlId)).toEqual({ membership: "leave", reason: "gone" });
    expect(ok(await ghost.post(`${path}/kick`, { user_id: ann }))).toEqual({});
    expect(await member(ann)).toEqual({ membership: "leave" });
    expect(ok(await bot.post(`${path}/ban`, { user_id: carlId }))).toEqual({});
    expect(ok(await bot.post(`${path}/unban`, { user_id: carlId }))).toEqual({});
    made(await set(bot, carlId, { membership: "ban" }));
    expect(await member(carlId)).toEqual({ membership: "ban" });
    made(await set(bot, carlId, { membership: "leave" }));
    expect(await member(carlId)).toEqual({ membership: "leave" });
    expect(await set(bot, ann, { membership: "elsewhere" })).toMatchObject({ status: 400 });
    expect(await bot.post(`${path}/invite`, { user_id: "@nobody:localhost" })).toMatchObject(forbidden);
  });
});

describe("[AS-13] live", () => {
  test("ghosts type, and what they have read is told", async () => {
    const roomId = await roomOf(bot);
    await ghost.post(`/join/${id(roomId)}`, {});
    await alice.join(roomId);
    const path = `/rooms/${id(roomId)}`;
    const ann = userOf("irc_ann");
    expect(ok(await ghost.put(`${path}/typing/${id(ann)}`, { typing: true, timeout: 300_000 }))).toEqual({});
    expect(bridged.app.app.domain.typing.in(roomId)).toEqual([ann]);
    expect(ok(await ghost.put(`${path}/typing/${id(ann)}`, { typing: false }))).toEqual({});
    expect(bridged.app.app.domain.typing.in(roomId)).toEqual([]);
    expect(await ghost.put(`${path}/typing/${id(alice.userId)}`, { typing: true })).toMatchObject(forbidden);
    const [first, second] = [await say(bot, roomId), await say(bot, roomId)];
    expect(ok(await ghost.post(`${path}/receipt/m.read/${id(first)}`, ""))).toEqual({});
    expect(await markedBy(ann)).toBe(first);
    expect(ok(await ghost.post(`${path}/read_markers`, { "m.fully_read": first, "m.read": second }))).toEqual({});
    expect(await markedBy(ann)).toBe(second);
    expect(await ghost.post(`${path}/receipt/m.other/${id(first)}`, {})).toMatchObject({ status: 400 });

    async function markedBy(userId: string): Promise<unknown> {
      const { room } = await alice.do<{ room: { markers: { nodes: { user: { id: string }; eventId: string }[] } } }>(
        `query ($id: ID!) { room(id: $id) { markers(first: 9) { nodes { user { id } eventId } } } }`,
        { id: roomId },
      );
      return room.markers.nodes.find(({ user }) => user.id === userId)?.eventId;
    }
  });
});

describe("[AS-13] paths", () => {
  const prefixes = ["v3", "r0", "v1", "api/v1", "v2_alpha", "unstable"].map((each) => `/_matrix/client/${each}`);

  test.each(prefixes)("below %s do the same, with and without a slash at the end", async (prefix) => {
    const roomId = ok(await bot.post("/createRoom", {}, { prefix }))["room_id"] as string;
    const path = `/rooms/${id(roomId)}`;
    const sent = made(await bot.put(`${path}/send/m.room.message/${prefix.length}/`, { body: "x" }, { prefix }));
    const reads = [
      "/state",
      "/state/m.room.create",
      "/members",
      "/joined_members",
      "/messages",
      "/aliases",
      "/initialSync",
    ];
    for (const read of [...reads, `/event/${id(sent)}`, `/context/${id(sent)}`]) {
      for (const slash of ["", "/"]) {
        expect((await bot.call(`${path}${read}${slash}`, { prefix })).status).toBe(200);
      }
    }
    expect((await bot.call(`${path}/leave`, { prefix, method: "DELETE" })).status).toBe(405);
    expect(await new Caller(bridged.app.address, null).call(`${path}/state`, { prefix })).toMatchObject({
      status: 401,
    });
  });

  test("take nothing that is no JSON, too large or of odd types, and store nothing of it", async () => {
    const roomId = await roomOf(bot);
    const path = `/rooms/${id(roomId)}`;
    const newest = async () => {
      return (await chunkOf(bot, `${path}/messages`, { limit: "1" }))[0]!["event_id"];
    };
    const before = await newest();
    const bad: [path: string, body: unknown, status?: number][] = [
      [`${path}/send/m.x/1`, "{"],
      [`${path}/send/m.x/2`, "[]"],
      [`${path}/send/m.x/3`, "null"],
      [`${path}/send/m.x/4`, { n: 1.5 }],
      [`${path}/send/m.x/5`, { text: "x".repeat(70_000) }, 413],
      [`${path}/send/m.x/6`, `"${"x".repeat(1_100_000)}"`, 413],
      [`${path}/send/m.x/7`, `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`],
      [`${path}/send/m.x/8`, '{"a":"\\u0000"}'],
      [`${path}/send/m.typing/9`, {}],
      [`${path}/state/m.room.create`, {}],
      [`${path}/state/m.room.power_levels`, { users: { x: "high" } }],
      [`${path}/state/m.x/${"k".repeat(300)}`, {}],
      [`${path}/state/m.room.member/${id(userOf("ircbot"))}`, { membership: ["join"] }],
      [`${path}/typing/${id(userOf("ircbot"))}`, { typing: "yes" }],
      ["/rooms/nowhere/send/m.x/1", {}],
      ["/rooms/%00/send/m.x/1", {}],
    ];
    for (const [where, body, status = 400] of bad) {
      expect({ where, ...(await bot.put(where, body)) }).toMatchObject({
        where,
        status,
        body: { errcode: expect.any(String) },
      });
    }
    const odd = { ts: "soon" };
    expect(await bot.put(`${path}/send/m.x/10`, {}, { query: odd })).toMatchObject({ status: 400 });
    expect(await bot.put(`${path}/send/m.x/11`, {}, { query: { ts: "-5" } })).toMatchObject({ status: 400 });
    expect(await bot.post("/createRoom", { invite: "all" })).toMatchObject({ status: 400 });
    expect(await newest()).toBe(before);
    const kept = '{"__proto__":{"x":1},"constructor":{"prototype":2},"m.relates_to":{"__proto__":"x"}}';
    const sent = made(await bot.put(`${path}/send/m.x/12`, kept));
    expect(JSON.stringify((await eventIn(bot, roomId, sent))["content"])).toBe(kept);
    expect(({} as Record<string, unknown>)["x"]).toBe(undefined);
  });
});
