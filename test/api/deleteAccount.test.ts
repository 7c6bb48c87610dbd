import { createHash } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { download, upload } from "../kit/media.ts";
import { placesOf } from "../kit/secrets.ts";
import { until } from "../kit/until.ts";

const password = "correct horse battery";

let server: TestApp;
/** Another process on the same database. */
let other: TestApp;
let root: Client;
let number = 0;
beforeAll(async () => {
  // Markers go without a trace that a stream could carry.
  server = await startApp({ config: { admins: ["root"] }, mirrors: false });
  other = await startApp({ config: { admins: ["root"] }, mirrors: false, databaseUrl: server.databaseUrl });
  root = await server.user("root");
});
afterAll(async () => {
  expect([...server.errors, ...other.errors]).toEqual([]);
  await other.close();
  await server.close();
});

const remove = "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }";
const whoAmI = "{ viewer { user { id } } }";
const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
const register = "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }";

const user = (): Promise<Client> => server.user(`user${++number}`);
const nameOf = ({ userId }: Client): string => /^@(.*):/.exec(userId)![1]!;

/** Deletes an account by its user, and waits until all is done. */
async function leave(client: Client, input: { erase?: boolean } = {}): Promise<void> {
  await client.do(remove, { input: { password, ...input } });
  await done(client.userId);
}

/** Waits until nothing is left to do, but for another look later. */
async function done(userId: string): Promise<void> {
  await until(async () => (await sql(server.databaseUrl, waiting, [userId])).length === 0, undefined, 30_000);
}
const waiting = `SELECT FROM account_deletion WHERE user_id = $1 AND due_at < requested_at + interval '59 seconds'`;

async function membership(roomId: string, userId: string): Promise<string | null> {
  const [row] = await sql<{ membership: string }>(
    server.databaseUrl,
    "SELECT membership FROM member WHERE room_id = $1 AND user_id = $2",
    [roomId, userId],
  );
  return row?.membership ?? null;
}

interface Shown {
  content: Record<string, unknown> | null;
  redactedBy: { senderId: string } | null;
}

async function shown(client: Client, id: string): Promise<Shown> {
  const document = `query ($id: ID!) { event(id: $id) { content
    ... on MessageEvent { redactedBy { senderId } } ... on StateEvent { redactedBy { senderId } } } }`;
  return (await client.do<{ event: Shown }>(document, { id })).event;
}

const erased: Shown = { content: {}, redactedBy: { senderId: "localhost" } };

describe("who may", () => {
  test("[ACC-3] one's own account takes the password", async () => {
    const alice = await user();
    const wrong = { code: "BAD_CREDENTIALS", field: "password" };
    for (const input of [
      {},
      { password: "wrong password" },
      { password: "", userId: alice.userId },
      { password: null },
    ]) {
      const { errors } = await alice.ask(remove, { input });
      expect(errors?.[0]?.extensions).toEqual(wrong);
    }
    expect(await alice.code(remove, { input: { password: "x".repeat(1025) } })).toBe("BAD_INPUT");
    expect(await server.stranger().code(remove, { input: { password } })).toBe("UNAUTHENTICATED");
    expect(await alice.code(whoAmI)).toBeNull();
    expect(await alice.do(remove, { input: { password } })).toEqual({ deleteAccount: { userId: alice.userId } });
    expect(await alice.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  });

  test("[ACC-3] another's takes an admin, and nobody learns whether there is one", async () => {
    const [alice, eve] = [await user(), await user()];
    for (const userId of [alice.userId, "@nobody:localhost"]) {
      expect(await eve.code(remove, { input: { userId, password } })).toBe("FORBIDDEN");
    }
    expect(await root.code(remove, { input: { userId: "@nobody:localhost" } })).toBe("NOT_FOUND");
    expect(await root.code(remove, { input: { userId: "nonsense" } })).toBe("BAD_INPUT");
    expect(await alice.code(whoAmI)).toBeNull();
    // Without a password, and again without harm.
    for (let time = 0; time < 2; time++) {
      expect(await root.do(remove, { input: { userId: alice.userId } })).toEqual({
        deleteAccount: { userId: alice.userId },
      });
      expect(await alice.code(whoAmI)).toBe("UNKNOWN_TOKEN");
    }
  });

  test("[ACC-3] an account without a password is deleted by admins alone", async () => {
    const alice = await user();
    await sql(server.databaseUrl, "UPDATE account SET password_hash = NULL WHERE user_id = $1", [alice.userId]);
    expect(await alice.code(remove, { input: { password } })).toBe("BAD_CREDENTIALS");
    expect(await alice.code(remove, { input: {} })).toBe("BAD_CREDENTIALS");
    await root.do(remove, { input: { userId: alice.userId } });
    expect(await alice.code(whoAmI)).toBe("UNKNOWN_TOKEN");
  });

  test("[ACC-3] admins by the settings and the last admin stay", async () => {
    const admins = await startApp({ mirrors: false });
    const [ann, bob] = [await admins.user("ann"), await admins.user("bob")];
    await sql(admins.databaseUrl, "UPDATE account SET admin = true");
    const rights = "mutation ($input: SetUserAdminInput!) { setUserAdmin(input: $input) { account { admin } } }";
    admins.app.domain.accounts.forgetAll();
    await ann.do(rights, { input: { userId: bob.userId, admin: false } });
    const last = { code: "BAD_INPUT", field: "userId" };
    expect((await ann.ask(remove, { input: { password } })).errors?.[0]?.extensions).toEqual(last);
    expect(await ann.code(whoAmI)).toBeNull();
    // Two admins who delete each other at the same moment: one stays.
    await ann.do(rights, { input: { userId: bob.userId, admin: true } });
    const codes = await Promise.all([
      ann.code(remove, { input: { userId: bob.userId } }),
      bob.code(remove, { input: { userId: ann.userId } }),
    ]);
    expect(codes.filter((code) => code === null)).toHaveLength(1);
    await admins.close();
    expect((await root.ask(remove, { input: { password } })).errors?.[0]?.extensions).toEqual(last);
    expect(await root.code(whoAmI)).toBeNull();
  });

  test("[ACC-3] a password that is changed while it is verified is no longer the right one", async () => {
    const alice = await user();
    const changing = new pg.Client({ connectionString: server.databaseUrl });
    await changing.connect();
    await changing.query("BEGIN");
    await changing.query("UPDATE account SET password_hash = 'another' WHERE user_id = $1", [alice.userId]);
    const deleting = alice.code(remove, { input: { password } });
    const waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await until(async () => (await sql(server.databaseUrl, waits)).length > 0);
    await changing.query("COMMIT");
    await changing.end();
    expect(await deleting).toBe("BAD_CREDENTIALS");
    expect(await alice.code(whoAmI)).toBeNull();
  });
});

describe("at once", () => {
  test("[ACC-3] nobody gets in, streams end at every process, and the name is never given out again", async () => {
    const alice = await user();
    const name = nameOf(alice);
    const there = await Client.login(other.address, name, "phone");
    const follows = [await alice.follow(), await there.follow()];
    await alice.do(remove, { input: { password } });
    for (const follow of follows) {
      await until(() => JSON.stringify(follow.failure ?? null).includes("UNKNOWN_TOKEN"), undefined, 1000);
    }
    expect(await alice.code(whoAmI)).toBe("UNKNOWN_TOKEN");
    await until(async () => (await there.code(whoAmI)) === "UNKNOWN_TOKEN", undefined, 1000);
    const input = { username: name, password, deviceId: "again" };
    expect(await server.stranger().code(login, { input })).toBe("BAD_CREDENTIALS");
    expect(await server.stranger().code(register, { input })).toBe("USER_IN_USE");
    await done(alice.userId);
    expect(await other.stranger().code(register, { input })).toBe("USER_IN_USE");
  });

  test("[ACC-3] what follows in the same document is no longer signed in", async () => {
    const alice = await user();
    const both = `mutation ($input: DeleteAccountInput!) { first: deleteAccount(input: $input) { userId }
      second: deleteAccount(input: $input) { userId } }`;
    const { errors } = await alice.ask(both, { input: { password } });
    expect(errors).toMatchObject([{ path: ["second"], extensions: { code: "UNAUTHENTICATED" } }]);
  });

  test("[ACC-3] to others the user is as one who never was, and can't be invited", async () => {
    const [alice, bob] = [await user(), await user()];
    const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
    await alice.join(roomId);
    const message = await alice.send(roomId, "still here");
    await leave(alice);
    const { userId } = alice;
    expect(await bob.code("query ($userId: ID!) { user(id: $userId) { id } }", { userId })).toBe("NOT_FOUND");
    expect(await bob.do("query ($userId: ID!) { node(id: $userId) { id } }", { userId })).toEqual({ node: null });
    const invite =
      "mutation ($roomId: ID!, $userId: ID!) { inviteUser(input: { roomId: $roomId, userId: $userId }) { actionId } }";
    expect(await bob.code(invite, { roomId, userId })).toBe("NOT_FOUND");
    expect(await root.code("query ($userId: ID!) { devices(userId: $userId) { id } }", { userId })).toBe("NOT_FOUND");
    const list = "query ($search: String!) { users(search: $search) { totalCount } }";
    expect(await root.do(list, { search: userId })).toEqual({ users: { totalCount: 0 } });
    // What was said stays.
    expect(await shown(bob, message)).toMatchObject({ content: { body: "still here" }, redactedBy: null });
  });
});

describe("then", () => {
  test("[ACC-3] [ACT-4] rooms are left, invites rejected, knocks withdrawn; a ban stays", async () => {
    const [alice, bob] = [await user(), await user()];
    const [joined, invited, knocked, banned, closed] = await Promise.all(
      ["PUBLIC", "INVITE", "KNOCK", "PUBLIC", "PUBLIC"].map((joinRule) => bob.createRoom({ joinRule })),
    );
    await alice.join(joined!);
    await bob.membership("invite", invited!, alice.userId);
    await alice.do("mutation ($roomId: ID!) { knockRoom(input: { roomId: $roomId }) { actionId } }", {
      roomId: knocked,
    });
    await bob.membership("ban", banned!, alice.userId);
    await alice.join(closed!);
    const own = await alice.createRoom();
    const follow = await bob.follow();
    await root.do("mutation ($roomId: ID!) { deleteRoom(input: { roomId: $roomId }) { roomId } }", { roomId: closed });
    await leave(alice);
    const now = [joined, invited, knocked, banned, closed, own].map((roomId) => membership(roomId!, alice.userId));
    expect(await Promise.all(now)).toEqual(["leave", null, "leave", "ban", "leave", "leave"]);
    await follow.until(({ events }) => events.filter(({ stateKey }) => stateKey === alice.userId).length === 4);
    const told = follow.events.filter(
      ({ stateKey, senderId }) => stateKey === alice.userId && senderId === alice.userId,
    );
    expect(told.map(({ content }) => content)).toEqual(
      expect.arrayContaining([{ membership: "leave" }, { membership: "leave" }, null]),
    );
    follow.stop();
  });

  test("[ACC-3] calls end", async () => {
    const [alice, bob] = [await user(), await user()];
    const roomId = await alice.createRoom({ invite: [bob.userId] });
    await bob.join(roomId);
    const place = `mutation ($roomId: ID!) { placeCall(input: { roomId: $roomId, offer: { type: "offer", sdp: "v=0" }, lifetimeMs: 60000 }) { call { id } } }`;
    await alice.do(place, { roomId });
    const live = "{ viewer { activeCalls { id } } }";
    expect(await bob.do(live)).toMatchObject({ viewer: { activeCalls: [{}] } });
    await alice.do(remove, { input: { password, erase: true } });
    await until(async () => JSON.stringify(await bob.do(live)) === JSON.stringify({ viewer: { activeCalls: [] } }));
    await done(alice.userId);
    expect(await sql(server.databaseUrl, "SELECT FROM call WHERE caller = $1", [alice.userId])).toEqual([]);
  });

  test("[ACC-3] with erase everything that was sent is redacted, also where the user left long ago", async () => {
    const [alice, bob] = [await user(), await user()];
    const [here, left] = [await bob.createRoom({ joinRule: "PUBLIC" }), await bob.createRoom({ joinRule: "PUBLIC" })];
    for (const roomId of [here, left]) await alice.join(roomId);
    const own = await alice.createRoom({ joinRule: "PUBLIC", name: "Mine", topic: "Me" });
    await bob.join(own);
    const bobs = await bob.send(here, "bob's own");
    const message = await alice.send(here, "one");
    const edit = await alice.edit(here, message, "two");
    const reaction = await alice.react(here, bobs, "yes");
    const reply = await alice.reply(here, bobs, "well");
    const replyToHer = await bob.reply(here, message, "what?");
    const gone = await alice.send(here, "too much");
    const redaction = await alice.redact(gone);
    const farewell = await alice.send(left, "bye");
    await alice.leave(left);
    const profile = await alice.setProfile("displayname", "Al", here);
    const follow = await bob.follow();
    await leave(alice, { erase: true });

    for (const id of [message, edit, reaction, reply, farewell, profile]) expect(await shown(bob, id)).toEqual(erased);
    for (const id of [bobs, replyToHer]) expect((await shown(bob, id)).redactedBy).toBeNull();
    // Their own redactions stay as they were.
    expect(await shown(bob, gone)).toEqual({ content: {}, redactedBy: { senderId: alice.userId } });
    expect((await shown(bob, redaction)).redactedBy).toBeNull();
    await follow.until(({ events }) => events.filter(({ type }) => type === "m.room.redaction").length >= 6);
    follow.stop();
    // What says who may do what stays, so that the room goes on.
    const state = `query ($own: ID!) { room(id: $own) { name topic joinRule
      power: stateEvent(type: "m.room.power_levels") { content } create: stateEvent(type: "m.room.create") { content } } }`;
    const { room } = await bob.do<{ room: Record<string, unknown> }>(state, { own });
    expect(room).toMatchObject({ name: null, topic: null, joinRule: "PUBLIC" });
    await bob.send(own, "still ours");
    const reactions = `query ($id: ID!) { event(id: $id) { ... on MessageEvent { reactions { key count } } } }`;
    expect(await bob.do(reactions, { id: bobs })).toEqual({ event: { reactions: [] } });
  });

  test("[ACC-3] without erase the profiles in rooms go, and nothing else that was sent", async () => {
    const [alice, bob] = [await user(), await user()];
    const [here, left] = [await bob.createRoom({ joinRule: "PUBLIC" }), await bob.createRoom({ joinRule: "PUBLIC" })];
    const profiles: string[] = [];
    for (const roomId of [here, left]) {
      await alice.join(roomId);
      for (const displayname of ["Al", "Alice"]) {
        profiles.push(await alice.setProfile("displayname", displayname, roomId));
      }
    }
    const bobs = await bob.setProfile("displayname", "Bob", here);
    const message = await alice.send(here, "still here");
    await alice.leave(left);
    await leave(alice);
    for (const id of profiles) expect(await shown(bob, id)).toEqual(erased);
    expect((await shown(bob, bobs)).redactedBy).toBeNull();
    expect((await shown(bob, message)).content).toMatchObject({ body: "still here" });
    // An admin may think better of it.
    await root.do(remove, { input: { userId: alice.userId, erase: true } });
    await done(alice.userId);
    expect(await shown(bob, message)).toEqual(erased);
  });

  test("[ACC-3] an event with more edits than go at once is redacted with all of them", async () => {
    const [alice, bob] = [await user(), await user()];
    const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
    await alice.join(roomId);
    const messages = await Promise.all(["a", "b"].map((body) => alice.send(roomId, body)));
    const edits = await Promise.all(
      Array.from({ length: 400 }, (_, n) => alice.edit(roomId, messages[n % 2]!, `edit ${n}`)),
    );
    const nested = await alice.edit(roomId, edits[0]!, "an edit of an edit");
    await leave(alice, { erase: true });
    const rows = await sql<{ content: string }>(
      server.databaseUrl,
      "SELECT DISTINCT content FROM event WHERE event_id = ANY ($1::text[])",
      [[...messages, ...edits, nested]],
    );
    expect(rows).toEqual([{ content: "{}" }]);
    // Each once.
    const twice = await sql(
      server.databaseUrl,
      "SELECT redacts_id FROM event WHERE room_id = $1 AND redacts_id IS NOT NULL GROUP BY redacts_id HAVING count(*) > 1",
      [roomId],
    );
    expect(twice).toEqual([]);
  });

  test("[ACC-3] what requests under way left behind is looked for once more, and then it is over", async () => {
    const [alice, bob] = [await user(), await user()];
    const roomId = await bob.createRoom({ joinRule: "PUBLIC" });
    await leave(alice, { erase: true });
    // As by a process that learns of it late: she joins, speaks and sets her profile.
    const { tools } = server.app.domain;
    const { joinRoom } = await import("../../src/domain/actions/joinRoom.ts");
    const { sendMessage } = await import("../../src/domain/actions/sendMessages.ts");
    const requester = { userId: alice.userId, deviceId: "device", admin: false, tokenId: "gone" };
    await joinRoom(tools, requester, { target: { roomId } });
    const late = await sendMessage(tools, requester, { roomId, message: { content: { text: { body: "late" } } } });
    await sql(server.databaseUrl, `INSERT INTO profile VALUES ($1, 'displayname', '"Late"')`, [alice.userId]);
    await server.app.domain.presence.set(requester, { status: "late" });
    await sql(
      server.databaseUrl,
      `UPDATE account_deletion SET due_at = now(), requested_at = now() - interval '61 seconds' WHERE user_id = $1`,
      [alice.userId],
    );
    const over = "SELECT FROM account_deletion WHERE user_id = $1";
    await until(async () => (await sql(server.databaseUrl, over, [alice.userId])).length === 0, undefined, 15_000);
    expect(await membership(roomId, alice.userId)).toBe("leave");
    expect(await shown(bob, late.eventId)).toEqual(erased);
    expect(await placesOf(server.databaseUrl, "Late")).toEqual([]);
    expect(await placesOf(server.databaseUrl, "late")).toEqual([]);
  });
});

describe("really forgets", () => {
  const device = "secret-device-of-hers";
  /** All that she types, and all that her clients tell of themselves. */
  const typed = {
    ...{ deviceName: "Secret pocket", userAgent: "Secret/1.0", ip: "203.0.113.77", status: "secret status" },
    ...{ displayName: "Secret Alice", avatar: "mxc://localhost/secretavatar", roomProfile: "Secret Al" },
    ...{ message: "secret message", edit: "secret edit", reaction: "secret:reaction", reply: "secret reply" },
    ...{ redactionReason: "secret reason of a redaction" },
    ...{
      leaveReason: "secret reason of leaving",
      kickReason: "secret reason of a kick",
      banReason: "secret reason of a ban",
    },
    ...{
      inviteReason: "secret reason of an invite",
      topic: "secret topic",
      name: "secret name",
      state: "secret state",
    },
    ...{ actionId: "secret-action", stateActionId: "secret-state-action", capability: "m.secret.capability" },
    ...{ keyId: "ed25519:secretkey", sdp: "v=0 secret sdp", markerAction: "secret-marker-action" },
    ...{ fileName: "secret file.png", fileType: "image/x-secret" },
  };

  test("[ACC-3] nothing that the user typed is left in any column of any table, nor what was made of it", async () => {
    const quiet = await startApp({ config: { admins: ["root"] }, mirrors: false });
    const { databaseUrl } = quiet;
    const bob = await quiet.user("bob");
    const data = await quiet
      .stranger()
      .do<{ register: { accessToken: string } }>(
        "mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }",
        { input: { username: "alice", password, deviceId: device, deviceName: typed.deviceName } },
      );
    const alice = new Client(quiet.address, data.register.accessToken, "@alice:localhost", device);
    await alice.ask(whoAmI, {}, { "user-agent": typed.userAgent });
    await until(async () => (await placesOf(databaseUrl, typed.userAgent)).length > 0);
    await sql(databaseUrl, "UPDATE device SET last_seen_ip = $2 WHERE user_id = $1", [alice.userId, typed.ip]);
    await alice.do(
      "mutation ($status: String!) { setStatus(input: { status: $status }) { presence { status } } }",
      typed,
    );
    for (const [key, value] of [
      ["displayname", typed.displayName],
      ["avatar_url", typed.avatar],
    ]) {
      await sql(databaseUrl, "INSERT INTO profile VALUES ($1, $2, $3)", [alice.userId, key, JSON.stringify(value)]);
    }
    const here = await bob.createRoom({ joinRule: "PUBLIC", invite: [] });
    const there = await bob.createRoom({ joinRule: "PUBLIC" });
    for (const roomId of [here, there]) {
      await alice.join(roomId);
      await alice.setProfile("displayname", typed.roomProfile, roomId);
    }
    const bobs = await bob.send(here, "bob's");
    const message = await alice.send(here, typed.message, typed.actionId);
    await alice.edit(here, message, typed.edit);
    await alice.react(here, bobs, typed.reaction);
    await alice.reply(here, bobs, typed.reply);
    const regretted = await alice.send(here, "regretted");
    await alice.do(
      "mutation ($id: ID!, $reason: String) { redactEvent(input: { eventId: $id, reason: $reason }) { event { id } } }",
      { id: regretted, reason: typed.redactionReason },
    );
    await alice.do("mutation ($input: SetMarkerInput!) { setMarker(input: $input) { marker { id } } }", {
      input: { eventId: bobs, kind: "READ", actionId: typed.markerAction },
    });
    await alice.do(
      "mutation ($roomId: ID!, $reason: String) { leaveRoom(input: { roomId: $roomId, reason: $reason }) { roomId } }",
      {
        roomId: there,
        reason: typed.leaveReason,
      },
    );
    const own = await alice.createRoom({ joinRule: "PUBLIC", name: typed.name, topic: typed.topic });
    await alice.do("mutation ($input: SetStateInput!) { setState(input: $input) { actionId } }", {
      input: { roomId: own, type: "org.note", content: { note: typed.state }, actionId: typed.stateActionId },
    });
    const towards = `mutation ($roomId: ID!, $userId: ID!, $invite: String, $kick: String, $ban: String) {
      invite: inviteUser(input: { roomId: $roomId, userId: $userId, reason: $invite }) { actionId }
      kick: kickUser(input: { roomId: $roomId, userId: $userId, reason: $kick }) { actionId }
      ban: banUser(input: { roomId: $roomId, userId: $userId, reason: $ban }) { actionId } }`;
    const reasons = { invite: typed.inviteReason, kick: typed.kickReason, ban: typed.banReason };
    await alice.do(towards, { roomId: own, userId: bob.userId, ...reasons });
    const key = { keyId: typed.keyId, publicKey: Buffer.alloc(32, 7).toString("base64").replace("=", "") };
    await alice.do("mutation ($input: AddSigningKeyInput!) { addSigningKey(input: $input) { signingKey { keyId } } }", {
      input: key,
    });
    const uploaded = await alice.do<{ uploadCapabilities: { capabilities: { hash: string } } }>(
      "mutation ($set: JSONObject!) { uploadCapabilities(input: { set: $set }) { capabilities { hash } } }",
      { set: { [typed.capability]: {} } },
    );
    const { hash } = uploaded.uploadCapabilities.capabilities;
    await alice.do(
      "mutation ($hash: String!) { announceCapabilities(input: { hash: $hash }) { presence { state } } }",
      { hash },
    );
    const pair = await alice.createRoom({ joinRule: "PUBLIC" });
    await bob.join(pair);
    await alice.do(
      `mutation ($roomId: ID!, $sdp: String!) {
         placeCall(input: { roomId: $roomId, offer: { type: "offer", sdp: $sdp }, lifetimeMs: 60000 }) { call { id } } }`,
      { roomId: pair, sdp: typed.sdp },
    );

    const mxc = await upload(alice, "a file", { type: typed.fileType, name: typed.fileName });
    expect((await download(bob, mxc)).status).toBe(200);

    const [made] = await sql<Record<string, string>>(
      databaseUrl,
      `SELECT password_hash, access_token.id AS token_id, encode(secret_hash, 'hex') AS token_hash, session_id, move_id,
         request_hash FROM account JOIN access_token USING (user_id) JOIN session USING (user_id)
       JOIN marker USING (user_id) JOIN action USING (user_id) WHERE user_id = $1`,
      [alice.userId],
    );
    const { token_hash: tokenHash, ...texts } = made!;
    expect(tokenHash).toBe(createHash("sha256").update(alice.token!).digest("hex"));
    const secrets: Record<string, string> = { ...typed, ...texts, device, hash, publicKey: key.publicKey };
    // Everything is there before, so that to find none of it says something.
    for (const [name, secret] of Object.entries(secrets)) {
      expect(await placesOf(databaseUrl, secret), name).not.toEqual([]);
    }

    await alice.do(remove, { input: { password, erase: true } });
    await until(async () => (await sql(databaseUrl, waiting, [alice.userId])).length === 0, undefined, 20_000);
    await until(
      async () => (await sql(databaseUrl, "SELECT FROM session WHERE user_id = $1", [alice.userId])).length === 0,
    );
    const left: Record<string, string[]> = {};
    for (const [name, secret] of Object.entries(secrets)) {
      const places = await placesOf(databaseUrl, secret);
      if (places.length > 0) left[name] = places;
    }
    expect(left).toEqual({});
    expect((await download(bob, mxc)).status).toBe(404);
    const tokens = "SELECT FROM access_token WHERE encode(secret_hash, 'hex') = $1";
    expect(await sql(databaseUrl, tokens, [tokenHash])).toEqual([]);

    // What is kept, on purpose: that there was a user of this id, in which rooms, where events of theirs stood; and
    // that their files take no room.
    expect(await placesOf(databaseUrl, alice.userId)).toEqual([
      "account.user_id",
      "account_deletion.user_id",
      "current_state.state_key",
      "event.content",
      "event.sender",
      "event.state_key",
      "media_usage.user_id",
      "member.user_id",
      "membership_period.user_id",
      "room.creator",
    ]);
    const contents = await sql<{ type: string; content: string }>(
      databaseUrl,
      "SELECT DISTINCT type, content FROM event WHERE sender = $1 AND content IS NOT NULL AND content <> '{}'",
      [alice.userId],
    );
    // What says who may do what, so that the rooms go on.
    expect([...new Set(contents.map(({ type }) => type))].sort()).toEqual([
      "m.room.create",
      "m.room.history_visibility",
      "m.room.join_rules",
      "m.room.member",
      "m.room.power_levels",
    ]);
    const memberships = contents.filter(({ type }) => type === "m.room.member").map(({ content }) => content);
    expect(memberships.sort()).toEqual(
      ["ban", "invite", "join", "leave"].map((membership) => JSON.stringify({ membership })),
    );
    const columns = "SELECT password_hash, status_text, admin, deactivated_at FROM account WHERE user_id = $1";
    expect(await sql(databaseUrl, columns, [alice.userId])).toEqual([
      { password_hash: null, status_text: null, admin: false, deactivated_at: null },
    ]);
    expect(quiet.errors).toEqual([]);
    await quiet.close();
  });
});
