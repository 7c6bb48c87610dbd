import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { setProfile } from "../../../src/domain/actions/setProfile.ts";
import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
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

interface Deleted {
  done: { event: { id: string } };
}

let bridged: Bridged;
let bot: Caller;
let ghost: Caller;
let alice: Client;
/** The same user as the client. */
let asAlice: Caller;

beforeAll(async () => {
  bridged = await startBridged();
  bot = bridged.bot;
  ghost = await bridged.ghost("irc_ann");
  alice = await bridged.app.user("alice");
  asAlice = new Caller(bridged.app.address, alice.token);
});
afterAll(() => bridged.close());

describe("[AS-13] events", () => {
  test("are sent once for each transaction of a room and type, whoever asks however often", async () => {
    const [one, other] = [await roomOf(bot), await roomOf(bot)];
    const put = (roomId: string, type: string, txn: string) =>
      bot.put(`/rooms/${id(roomId)}/send/${type}/${txn}`, { body: "x", msgtype: "m.text" });
    const sent = made(await put(one, "m.room.message", "m1"));
    expect(made(await put(one, "m.room.message", "m1"))).toBe(sent);
    const others = [
      made(await put(other, "m.room.message", "m1")),
      made(await put(one, "org.example", "m1")),
      made(await put(one, "m.room.message", "m2")),
      made(await bot.post(`/rooms/${id(one)}/send/m.room.message`, { body: "x", msgtype: "m.text" })),
      made(await bot.put(`/rooms/${id(one)}/send/m.room.message`, { body: "x", msgtype: "m.text" }, { prefix: "" })),
    ];
    expect(new Set([sent, ...others]).size).toBe(6);
  });

  test("[AS-7] show the time that an application service gives, and nobody else", async () => {
    const roomId = await roomOf(bot);
    await asAlice.post(`/join/${id(roomId)}`, {});
    const put = (caller: Caller, path: string) =>
      caller.put(`/rooms/${id(roomId)}/${path}`, { x: 1 }, { query: { ts: "1234" } });
    for (const path of ["send/m.x/1", "state/m.y", "state/m.y/key"]) {
      expect(await eventIn(bot, roomId, made(await put(bot, path)))).toMatchObject({ origin_server_ts: 1234 });
    }
    const { origin_server_ts: shown } = await eventIn(bot, roomId, made(await put(asAlice, "send/m.x/1")));
    expect(shown).toBeGreaterThan(1234);
  });

  test("[AS-10] are put into the past by an application service alone", async () => {
    const roomId = await roomOf(bot);
    await asAlice.post(`/join/${id(roomId)}`, {});
    const [first, last] = [await say(bot, roomId, "first"), await say(bot, roomId, "last")];
    const query = { insert_after: first, ts: "99" };
    const content = { msgtype: "m.text", body: "older" };
    const put = (caller: Caller) => caller.put(`/rooms/${id(roomId)}/send/m.room.message/h1`, content, { query });
    const older = made(await put(bot));
    expect(made(await put(bot))).toBe(older);
    const state = made(await bot.put(`/rooms/${id(roomId)}/state/m.x/k`, { x: 1 }, { query: { insert_after: older } }));
    expect(await put(asAlice)).toMatchObject(forbidden);
    const { chunk } = ok(await bot.get(`/rooms/${id(roomId)}/messages`, { limit: "4" }));
    const ids = (chunk as Record<string, unknown>[]).map(({ event_id }) => event_id);
    expect(ids).toEqual([last, state, older, first]);
    expect(await bot.get(`/rooms/${id(roomId)}/state/m.x/k`)).toMatchObject({ status: 404 });
  });

  test("are refused as forbidden wherever a bridge would join and try again", async () => {
    const roomId = await roomOf(bot, { preset: "private_chat" });
    const said = await say(bot, roomId);
    const path = `/rooms/${id(roomId)}`;
    const refused = [
      ghost.put(`${path}/send/m.room.message/1`, {}),
      ghost.put(`${path}/state/m.room.topic`, { topic: "x" }),
      ghost.put(`${path}/redact/${id(said)}/1`, {}),
      ghost.post(`${path}/redact/${id(said)}`, {}),
      ghost.post(`${path}/invite`, { user_id: alice.userId }),
      ghost.put(`${path}/typing/${id(userOf("irc_ann"))}`, { typing: true }),
      ghost.post(`${path}/receipt/m.read/${id(said)}`, {}),
      ghost.get(`${path}/state/m.room.topic`),
      ghost.get(`${path}/state`),
      ghost.get(`${path}/members`),
      ghost.get(`${path}/joined_members`),
      ghost.get(`${path}/messages`),
      ghost.get(`${path}/event/${id(said)}`),
      ghost.get(`${path}/context/${id(said)}`),
      ghost.get(`${path}/initialSync`),
      ghost.put("/rooms/!nowhere:localhost/send/m.room.message/1", {}),
      bot.as(userOf("irc_unregistered")).put(`${path}/send/m.room.message/1`, {}),
      bot.as(alice.userId).put(`${path}/send/m.room.message/1`, {}),
    ];
    for (const answer of await Promise.all(refused)) expect(answer).toMatchObject(forbidden);
    const missing = [
      bot.get(`${path}/state/m.room.topic`),
      bot.get(`${path}/event/$nothing`),
      bot.get(`${path}/state/x/${id("ké/y")}`),
    ];
    for (const answer of await Promise.all(missing)) {
      expect(answer).toMatchObject({ status: 404, body: { errcode: "M_NOT_FOUND" } });
    }
  });

  test("are redacted, once, and say by what", async () => {
    const roomId = await roomOf(bot);
    const said = await say(bot, roomId);
    const put = () => bot.put(`/rooms/${id(roomId)}/redact/${id(said)}/r1`, { reason: "spam" });
    const redaction = made(await put());
    expect(made(await put())).toBe(redaction);
    expect(made(await bot.post(`/rooms/${id(roomId)}/redact/${id(said)}`, ""))).toBe(redaction);
    expect(await eventIn(bot, roomId, said)).toMatchObject({
      content: {},
      unsigned: { redacted_because: { event_id: redaction, content: { reason: "spam", redacts: said } } },
    });
    expect(await eventIn(bot, roomId, redaction)).toMatchObject({ type: "m.room.redaction", redacts: said });
    const other = await roomOf(bot);
    expect(await bot.put(`/rooms/${id(other)}/redact/${id(said)}/r2`, {})).toMatchObject(forbidden);
    const asMessage = { redacts: await say(bot, roomId), reason: "as a message" };
    const third = await say(bot, roomId, asMessage, "m.room.redaction");
    expect(await eventIn(bot, roomId, third)).toMatchObject({ redacts: asMessage.redacts, content: asMessage });
  });

  test("[AS-11] relate to others for clients of both forms, and keep where they are from", async () => {
    const roomId = await roomOf(bot, { preset: "public_chat" });
    await alice.join(roomId);
    const asked = await alice.send(roomId, "asked");
    const said = await say(bot, roomId, "said");
    const contents = {
      reply: {
        msgtype: "m.text",
        body: "reply",
        external_url: "irc://x",
        "m.relates_to": { "m.in_reply_to": { event_id: asked } },
      },
      reaction: { "m.relates_to": { rel_type: "m.annotation", event_id: asked, key: "👍" } },
      edit: {
        ...{ msgtype: "m.text", body: "* edited", "m.new_content": { msgtype: "m.text", body: "edited" } },
        "m.relates_to": { rel_type: "m.replace", event_id: said },
      },
      unknown: { body: "x", "m.relates_to": { rel_type: "m.thread", event_id: "$nowhere" } },
      ofOthers: { body: "x", "m.relates_to": { rel_type: "m.replace", event_id: asked } },
    };
    const ids = new Map<string, string>();
    for (const [name, content] of Object.entries(contents)) {
      ids.set(name, await say(bot, roomId, content, name === "reaction" ? "m.reaction" : "m.room.message"));
    }
    for (const [name, content] of Object.entries(contents)) {
      expect(await eventIn(bot, roomId, ids.get(name)!)).toMatchObject({ content });
    }
    const seen = await alice.do<Record<string, unknown>>(
      `query ($asked: ID!, $said: ID!, $unknown: ID!) {
        asked: event(id: $asked) { ... on MessageEvent {
          reactions { key count } replies(last: 9, relType: "m.in_reply_to") { nodes { id typed { ... on TextContent { externalUrl } } } } updatedBy { id } } }
        said: event(id: $said) { ... on MessageEvent { updatedBy { id } typed { ... on TextContent { body } } } }
        unknown: event(id: $unknown) { ... on MessageEvent { relatesTo { type } } }
      }`,
      { asked, said, unknown: ids.get("unknown") },
    );
    expect(seen).toMatchObject({
      asked: {
        reactions: [{ key: "👍", count: 1 }],
        replies: { nodes: [{ id: ids.get("reply"), typed: { externalUrl: "irc://x" } }] },
        updatedBy: [],
      },
      said: { updatedBy: [{ id: ids.get("edit") }] },
      unknown: { relatesTo: [] },
    });
    const edit = await alice.edit(roomId, asked, "better");
    expect((await eventIn(bot, roomId, edit))["content"]).toEqual({
      ...{ body: "* better", msgtype: "m.text", "m.new_content": { body: "better", msgtype: "m.text" } },
      "m.relates_to": { rel_type: "m.replace", event_id: asked },
    });
    const reacted = await alice.react(roomId, said, "🎉");
    expect(await eventIn(bot, roomId, reacted)).toMatchObject({
      ...{ type: "m.reaction", content: { "m.relates_to": { rel_type: "m.annotation", event_id: said, key: "🎉" } } },
    });
  });
});

describe("[AS-13] state", () => {
  test("keys go there and back, and those without an older form are kept from rooms of bridges", async () => {
    const roomId = await roomOf(bot);
    await alice.join(roomId);
    const path = `/rooms/${id(roomId)}/state/org.example`;
    for (const key of ["", "key", "_", "_key", "irc.example.org", "é/#?%", `${userOf("ircbot")}/nick`, "localhosts"]) {
      const sent = made(await bot.put(`${path}/${id(key)}`, { key }));
      expect(await eventIn(bot, roomId, sent)).toMatchObject({ state_key: key, content: { key } });
      expect(ok(await bot.get(`${path}/${id(key)}`))).toEqual({ key });
    }
    expect(ok(await bot.get(`${path}/`, { format: "event" }))).toMatchObject({
      state_key: "",
      user_id: userOf("ircbot"),
    });
    expect(await bot.put(`${path}/@nobody`, {})).toMatchObject({ status: 400, body: { code: "BAD_STATE_KEY" } });
    expect(await bot.put(`${path}/localhost`, {})).toMatchObject(forbidden);
    const set = `mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }`;
    const own = await alice.createRoom();
    const stateOf = (roomId: string, stateKey: string) => ({ input: { roomId, type: "org.x", stateKey, content: {} } });
    const levels = { ...(await stateIn(bot, roomId, "m.room.power_levels")), state_default: 0 };
    made(await bot.put(`/rooms/${id(roomId)}/state/m.room.power_levels`, levels));
    for (const key of ["_@alice:localhost", "_localhost", "_localhost/x"]) {
      expect(await alice.code(set, stateOf(roomId, key))).toBe("BAD_STATE_KEY");
      expect(await alice.code(set, stateOf(own, key))).toBe(null);
    }
    const state = await allStateIn(asAlice, own);
    expect(state.filter(({ type }) => type === "org.x").map((each) => each["state_key"])).toEqual([
      ...["_@alice:localhost", "_localhost", "_localhost/x"],
    ]);
    const make = `mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }`;
    const input = { state: [{ type: "org.x", stateKey: "_@alice:localhost", content: {} }] };
    expect(await alice.code(make, { input: { ...input, invite: [userOf("irc_ann")] } })).toBe("BAD_STATE_KEY");
    expect(await alice.code(make, { input })).toBe(null);
  });

  test("tells members with their profiles, and changes of these as memberships", async () => {
    const bob = await bridged.app.user("bob");
    await bob.setProfile("displayname", "Bob");
    const roomId = await roomOf(bot);
    await bob.join(roomId);
    const joined = await stateIn(bot, roomId, "m.room.member", bob.userId);
    expect(joined).toEqual({ membership: "join", displayname: "Bob" });
    await bob.setProfile("displayname", "Bobby");
    await until(async () => (await stateIn(bot, roomId, "m.room.member", bob.userId))["displayname"] === "Bobby");
    await bob.leave(roomId);

    const { chunk } = ok(
      await bot.get(`/rooms/${id(roomId)}/messages`, { dir: "f", filter: '{"types":["m.room.member"]}' }),
    );
    const told = (chunk as Record<string, unknown>[]).filter((each) => each["state_key"] === bob.userId);
    expect(told).toMatchObject([
      { content: { membership: "join", displayname: "Bob" } },
      {
        content: { membership: "join", displayname: "Bobby" },
        prev_content: { membership: "join", displayname: "Bob" },
        unsigned: { replaces_state: told[0]!["event_id"], prev_sender: bob.userId },
      },
      {
        content: { membership: "leave" },
        prev_content: { membership: "join", displayname: "Bobby" },
        unsigned: { replaces_state: told[1]!["event_id"] },
      },
    ]);
    expect(told[0]).not.toHaveProperty("prev_content");
    expect(told.map(({ type }) => type)).toEqual(["m.room.member", "m.room.member", "m.room.member"]);
    const left = await allStateIn(bot, roomId);
    expect(left.map(({ type }) => type)).not.toContain("m.room.member.profile");
    const profile = await bot.get(`/rooms/${id(roomId)}/state/m.room.member.profile/${id(bob.userId)}`);
    expect(profile).toMatchObject({ status: 404 });
  });

  test("of a member is their own word on how the room shows them", async () => {
    const roomId = await roomOf(bot);
    const [path, userId] = [`/rooms/${id(roomId)}/state/m.room.member`, userOf("irc_ann")];
    const join = (content: object) => ghost.put(`${path}/${id(userId)}`, { membership: "join", ...content });
    const first = made(await join({ displayname: "Ann" }));
    const second = made(await join({ displayname: "Ann!", avatar_url: "mxc://localhost/a" }));
    expect(made(await join({ displayname: "Ann!" }))).toBe(first);
    expect(second).not.toBe(first);
    expect(await eventIn(bot, roomId, second)).toMatchObject({
      ...{
        type: "m.room.member",
        content: { membership: "join", displayname: "Ann!", avatar_url: "mxc://localhost/a" },
      },
      prev_content: { membership: "join", displayname: "Ann" },
    });
    expect(ok(await bot.get(`/rooms/${id(roomId)}/joined_members`))).toEqual({
      joined: {
        [userId]: { display_name: "Ann!", avatar_url: "mxc://localhost/a" },
        [userOf("ircbot")]: { display_name: null, avatar_url: null },
      },
    });
    expect(await join({ avatar_url: "http://elsewhere/x" })).toMatchObject({ status: 400 });
    await bot.post(`/rooms/${id(roomId)}/invite`, { user_id: alice.userId });
    const members = async (query: Record<string, string>) => {
      const { chunk } = ok(await bot.get(`/rooms/${id(roomId)}/members`, query));
      return (chunk as Record<string, unknown>[]).map((each) => each["state_key"]);
    };
    expect(await members({ membership: "join" })).toEqual([userId, userOf("ircbot")]);
    expect(await members({ not_membership: "join" })).toEqual([alice.userId]);
    expect(await members({})).toHaveLength(3);
  });
});

describe("[AS-13] the older form", () => {
  test("of whatever is accepted is what was sent, for any key and content", async () => {
    const roomId = await roomOf(bot);
    const path = `/rooms/${id(roomId)}`;
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.string(),
        fc.integer(),
        fc.constantFrom(null, true, 0.5),
        tie("object"),
        fc.array(tie("value")),
      ),
      object: fc.dictionary(
        fc.oneof(fc.string(), fc.constantFrom("__proto__", "m.relates_to", "redacts", "body")),
        tie("value"),
      ),
    })).object as fc.Arbitrary<Record<string, unknown>>;
    const key = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("", "_", "__", "@ann:x.org", "@x", "localhost", "a.org/b", "%2F", "."),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(key, json, async (key, content) => {
        // Nobody asks for a path with a dot for a part: clients take it for another one.
        fc.pre(!/^\.{1,2}$/.test(key));
        const sent = await bot.put(`${path}/send/org.any`, content);
        const set = await bot.put(`${path}/state/org.any/${id(key)}`, content);
        for (const { status, body } of [sent, set]) expect([200, 400, 403], JSON.stringify(body)).toContain(status);
        if (sent.status === 200) expect((await eventIn(bot, roomId, made(sent)))["content"]).toEqual(content);
        if (set.status !== 200) return;
        accepted++;
        expect(await eventIn(bot, roomId, made(set))).toMatchObject({ state_key: key });
        expect(await stateIn(bot, roomId, "org.any", key)).toEqual(content);
      }),
      { numRuns: 60 },
    );
    expect(accepted).toBeGreaterThan(10);
  });

  test("shows deleted state as empty, and whoever rejected an invite as having left", async () => {
    const roomId = await alice.createRoom();
    await alice.membership("invite", roomId, userOf("irc_ann"));
    await ghost.post(`/join/${id(roomId)}`, {});
    const bob = await bridged.app.user("bobby");
    await bob.setProfile("displayname", "Bobby");
    const invite = await alice.membership("invite", roomId, bob.userId);
    expect((await eventIn(ghost, roomId, invite))["content"]).toEqual({ membership: "invite", displayname: "Bobby" });
    await alice.setState(roomId, "m.room.topic", { topic: "x" });
    const deleted = await alice.do<Deleted>(
      `mutation ($room: ID!) { done: deleteState(input: { roomId: $room, type: "m.room.topic" }) { event { id } } }`,
      { room: roomId },
    );
    const rejected = await bob.do<Deleted>(
      `mutation ($id: ID!) { done: rejectInvite(input: { eventId: $id }) { event { id } } }`,
      { id: invite },
    );
    const deletion = await eventIn(ghost, roomId, deleted.done.event.id);
    expect(deletion).toMatchObject({ state_key: "", content: {}, prev_content: { topic: "x" } });
    expect(await eventIn(ghost, roomId, rejected.done.event.id)).toMatchObject({
      content: { membership: "leave" },
      prev_content: { membership: "invite", displayname: "Bobby" },
    });
    expect(await ghost.get(`/rooms/${id(roomId)}/state/m.room.topic`)).toMatchObject({ status: 404 });
    expect((await allStateIn(ghost, roomId)).map(({ type }) => type)).not.toContain("m.room.topic");
  });

  test("is the same for who reads and for the application service that is told", async () => {
    const roomId = await roomOf(bot);
    await alice.join(roomId);
    await alice.setProfile("displayname", "Alice", roomId);
    await alice.send(roomId, "hello");
    await alice.redact(await say(asAlice, roomId, "gone"));
    await alice.leave(roomId);
    const last = await say(bot, roomId);
    const pushed = () => bridged.service.events().filter(({ room_id }) => room_id === roomId);
    await until(() => pushed().some(({ event_id }) => event_id === last));
    const read = await chunkOf(bot, `/rooms/${id(roomId)}/messages`, { dir: "f", limit: "100" });
    // How a message was redacted is known to who reads it afterwards.
    const timeless = ({ age: _age, unsigned: _unsigned, content, ...rest }: Record<string, unknown>) =>
      rest["type"] === "m.room.message" ? rest : { ...rest, content };
    expect(pushed().map(timeless)).toEqual(read.map(timeless));
    expect(read.map(({ type }) => type)).not.toContain("m.room.member.profile");
  });

  test("of a member's own word that is their global profile follows that", async () => {
    const roomId = await roomOf(bot);
    const caller = await bridged.ghost("irc_global");
    const requester = await requesterOf("irc_global");
    const { tools, profileSpread } = bridged.app.app.domain;
    const tell = (value: string) => setProfile(tools, requester, { key: "displayname", value }, profileSpread);
    await tell("Global");
    const path = `/rooms/${id(roomId)}/state/m.room.member/${id(requester.userId)}`;
    made(await caller.put(path, { membership: "join", displayname: "Global", avatar_url: "" }));
    await tell("Changed");
    await until(
      async () => (await stateIn(bot, roomId, "m.room.member", requester.userId))["displayname"] === "Changed",
    );
    made(await caller.put(path, { membership: "join", displayname: "Own" }));
    await tell("Changed again");
    expect(await stateIn(bot, roomId, "m.room.member", requester.userId)).toEqual({
      membership: "join",
      displayname: "Own",
    });
  });

  function requesterOf(localpart: string) {
    const { registry, identity } = bridged.app.app.domain.services;
    const acting = { userId: userOf(localpart), userToken: null };
    return identity.requester(registry.current().withId("irc")!, acting, { ip: null, userAgent: null });
  }
});

describe("[AS-13] what happened", () => {
  test("is read in pages, either way and between tokens, through a filter", async () => {
    const roomId = await roomOf(bot);
    const all: string[] = [];
    for (let n = 0; n < 7; n++) all.push(await say(bot, roomId, `${n}`, n % 2 === 0 ? "m.even" : "m.odd"));
    const page = async (query: Record<string, string>) => {
      const body = ok(await bot.get(`/rooms/${id(roomId)}/messages`, query));
      return {
        ...body,
        ids: (body["chunk"] as Record<string, unknown>[]).map(({ event_id }) => event_id),
      } as unknown as {
        ids: string[];
        start: string;
        end?: string;
      };
    };
    const newest = await page({ dir: "b", limit: "3" });
    expect(newest.ids).toEqual([all[6], all[5], all[4]]);
    const before = await page({ dir: "b", limit: "3", from: newest.end! });
    expect(before.ids).toEqual([all[3], all[2], all[1]]);
    const between = await page({ dir: "b", limit: "9", from: newest.end!, to: before.end! });
    expect(between.ids).toEqual([all[3], all[2]]);
    expect(between.end).toBe(undefined);
    const forwards = await page({ dir: "f", limit: "2", from: before.end! });
    expect(forwards.ids).toEqual([all[2], all[3]]);
    expect((await page({ dir: "f", from: forwards.end! })).ids).toEqual([all[4], all[5], all[6]]);
    const odd = await page({ filter: JSON.stringify({ types: ["m.odd"], limit: 2, lazy_load_members: true }) });
    expect(odd.ids).toEqual([all[5], all[3]]);
    const rest = await page({ limit: "1000" });
    expect(rest.ids.at(-1)).toBe((await stateEvent(roomId, "m.room.create"))["event_id"]);
    expect(rest.end).toBe(undefined);
    const live = await page({ dir: "f", from: rest.start });
    expect(live.ids).toEqual([]);
    const later = await say(bot, roomId);
    expect((await page({ dir: "f", from: live.end! })).ids).toEqual([later]);
    const { domain } = bridged.app.app;
    const synced = domain.tokens.stream({
      ...{ userId: userOf("ircbot"), deviceId: "service:irc", rooms: null, users: null },
      position: domain.head.position,
    });
    await say(bot, roomId);
    expect((await page({ from: `${synced}~7`, limit: "1" })).ids).toEqual([later]);
    for (const bad of [
      { from: "s1_2_3" },
      { limit: "-1" },
      { limit: "x" },
      { filter: "{" },
      { filter: "[]" },
      { dir: "x" },
    ]) {
      expect(await bot.get(`/rooms/${id(roomId)}/messages`, bad as unknown as Record<string, string>)).toMatchObject({
        status: 400,
      });
    }
  });

  test("is read around an event, and as a room's beginning", async () => {
    const roomId = await roomOf(bot);
    const all: string[] = [];
    for (let n = 0; n < 6; n++) all.push(await say(bot, roomId, `${n}`));
    const around = ok(await bot.get(`/rooms/${id(roomId)}/context/${id(all[2]!)}`, { limit: "4" })) as Record<
      string,
      Record<string, unknown>[]
    >;
    expect(around["event"]).toMatchObject({ event_id: all[2], room_id: roomId });
    expect(around["events_before"]!.map(({ event_id }) => event_id)).toEqual([all[1], all[0]]);
    expect(around["events_after"]!.map(({ event_id }) => event_id)).toEqual([all[3], all[4]]);
    expect(around["state"]!.map(({ type }) => type)).toContain("m.room.create");
    const { messages, state, ...rest } = ok(await bot.get(`/rooms/${id(roomId)}/initialSync`, { limit: "2" }));
    expect((messages as { chunk: Record<string, unknown>[] }).chunk.map(({ event_id }) => event_id)).toEqual(
      all.slice(4),
    );
    expect((state as unknown[]).length).toBeGreaterThan(3);
    expect(rest).toMatchObject({ room_id: roomId, membership: "join", visibility: "private" });
  });

  async function stateEvent(roomId: string, type: string) {
    return ok(await bot.get(`/rooms/${id(roomId)}/state/${type}`, { format: "event" }));
  }
});
