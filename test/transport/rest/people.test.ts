import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { sql } from "../../kit/database.ts";
import { until } from "../../kit/until.ts";
import { Caller, registerServices, type Service } from "./support/callers.ts";

let server: TestApp;
let alice: Client;
let aliceCalls: Caller;
let irc: Service;
let stranger: Caller;

const password = "correct horse battery";
const forbidden = { status: 403, body: { errcode: "M_FORBIDDEN" } };

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { serviceRegistration: ["a-stored-token"] } });
  alice = await server.user("alice", "phone");
  aliceCalls = new Caller(server.address, alice.token);
  stranger = new Caller(server.address, null);
  [irc] = (await registerServices(server, {
    irc: {
      users: [{ regex: "@_?irc_.*", exclusive: true }],
      aliases: [{ regex: "#irc_.*", exclusive: true }],
    },
  })) as [Service];
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

/** Registers a user of the service; gives who calls as them by the service's token. */
async function ghost(name: string): Promise<{ userId: string; calls: Caller }> {
  const { status, body } = await irc.caller.post("/register", { username: name, inhibit_login: true });
  expect([status, body]).toEqual([200, { user_id: `@${name}:localhost`, home_server: "localhost" }]);
  const userId = String(body["user_id"]);
  return { userId, calls: irc.caller.as(userId) };
}

describe("an application service registers users", () => {
  test("[AS-13] SyTest: AS can create a user, also with an underscore, an upper-case name and by all forms of the call", async () => {
    const forms: object[] = [
      { type: "m.login.application_service", username: "irc_0" },
      { type: "m.login.application_service", username: "_irc_1" },
      { type: "m.login.application_service", user: "irc_-Server-" },
      { auth: {}, username: "irc_2" },
      { username: "irc_3" },
    ];
    for (const [index, form] of forms.entries()) {
      const prefix = ["v3", "r0", "v1", "api/v1", "v2_alpha"][index]!;
      const said = { prefix: `/_matrix/client/${prefix}` };
      const { status, body } = await irc.caller.post(index % 2 === 0 ? "/register" : "/register/", form, said);
      expect([status, body]).toMatchObject([
        200,
        { home_server: "localhost", device_id: expect.any(String) as string },
      ]);
      const { username, user } = form as { username?: string; user?: string };
      expect(body["user_id"]).toBe(`@${username ?? user}:localhost`);
      const own = new Caller(server.address, String(body["access_token"]));
      expect((await own.get("/account/whoami")).body).toEqual({
        ...{ user_id: body["user_id"], device_id: body["device_id"], is_guest: false },
      });
    }
  });

  test("[AS-13] SyTest: AS can create a user with inhibit_login", async () => {
    const { userId } = await ghost("irc_quiet");
    expect(await sql(server.databaseUrl, "SELECT device_id FROM device WHERE user_id = $1", [userId])).toEqual([]);
  });

  test("[AS-8] once each, whoever asks at the same time, and on the device that they name", async () => {
    const device = { device_id: "BRIDGE", initial_device_display_name: "A bridge" };
    const asked = Array.from({ length: 4 }, () => irc.caller.post("/register", { username: "irc_twin", ...device }));
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
    for (const { status, body } of answers) {
      if (status === 200) expect(body["device_id"]).toBe("BRIDGE");
      else expect(body).toMatchObject({ errcode: "M_USER_IN_USE" });
    }
    // As today's libraries do it: as the ghost who isn't there yet, and for the service's own user at each start.
    const early = await irc.caller.as("@irc_early:localhost").post("/register", { username: "irc_early" });
    expect(early.status).toBe(200);
    const own = await irc.caller.post("/register", { username: "irc-bot" });
    expect(own).toMatchObject({ status: 400, body: { errcode: "M_USER_IN_USE" } });
  });

  test("[AS-13] SyTest: AS cannot create users outside its own namespace", async () => {
    const outside = await irc.caller.post("/register", { username: "a-different-user" });
    expect(outside).toMatchObject({ status: 400, body: { errcode: "M_EXCLUSIVE" } });
    for (const username of ["irc_\u0000", "irc_:elsewhere.org", "", "irc_".padEnd(300, "x")])
      expect(await irc.caller.post("/register", { username })).toMatchObject({ status: 400 });
  });

  test("[AS-13] SyTest: Regular users cannot register within the AS namespace", async () => {
    const body = { username: "irc_person", password, auth: { type: "m.login.dummy" } };
    expect(await stranger.post("/register", body)).toMatchObject({ status: 400, body: { errcode: "M_EXCLUSIVE" } });
  });

  test("only by the token of one", async () => {
    const body = { type: "m.login.application_service", username: "irc_stolen" };
    expect(await stranger.post("/register", body)).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    const typeless = await new Caller(server.address, "ended").post("/register", { username: "irc_stolen" });
    expect(typeless).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    expect(await aliceCalls.post("/register", body)).toMatchObject({
      status: 401,
      body: { errcode: "M_UNKNOWN_TOKEN" },
    });
  });
});

describe("a person registers", () => {
  test("[ACC-1] after the server has said what it takes", async () => {
    const asked = await stranger.post("/register", { username: "carol", password });
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ["m.login.dummy"] }], params: {} } });
    expect(asked.body).not.toHaveProperty("errcode");
    const auth = { type: "m.login.dummy", session: asked.body["session"] };
    const made = await stranger.post("/register", { username: "carol", password, auth, device_id: "LAPTOP" });
    expect(made).toMatchObject({ status: 200, body: { user_id: "@carol:localhost", device_id: "LAPTOP" } });
    const again = await stranger.post("/register", { username: "carol", password, auth });
    expect(again).toMatchObject({ status: 400, body: { errcode: "M_USER_IN_USE" } });
  });

  test("in the oldest form, without a name of their own, and without signing in", async () => {
    const old = { type: "m.login.password", user: "dave", password };
    const made = await stranger.post("/register", old, { prefix: "/_matrix/client/api/v1" });
    expect(made).toMatchObject({ status: 200, body: { user_id: "@dave:localhost", home_server: "localhost" } });
    const auth = { type: "m.login.dummy" };
    const { status, body } = await stranger.post("/register", { password, auth, inhibit_login: true }, { prefix: "" });
    expect([status, Object.keys(body)]).toEqual([200, ["user_id", "home_server"]]);
    expect(await sql(server.databaseUrl, "SELECT device_id FROM device WHERE user_id = $1", [body["user_id"]])).toEqual(
      [],
    );
  });

  test("not as a guest, not with a weak password, and not by anything else than JSON", async () => {
    const auth = { type: "m.login.dummy" };
    const guest = await stranger.post("/register", { auth }, { query: { kind: "guest" } });
    expect(guest).toMatchObject({ status: 403, body: { errcode: "M_GUEST_ACCESS_FORBIDDEN" } });
    const weak = await stranger.post("/register", { username: "erin", password: "short", auth });
    expect(weak).toMatchObject({ status: 400, body: { errcode: "M_WEAK_PASSWORD" } });
    expect(await stranger.post("/register", "{")).toMatchObject({ status: 400, body: { errcode: "M_NOT_JSON" } });
    for (const body of [[], { username: 1 }, { username: "erin", auth: "x" }, { auth, inhibit_login: "yes" }])
      expect(await stranger.post("/register", body)).toMatchObject({
        status: 400,
        body: { errcode: "M_INVALID_PARAM" },
      });
  });

  test("[ACC-5] by a token where it takes one, and not at all where registration is closed", async () => {
    for (const registration of ["token", "closed"] as const) {
      const options = { registration, registrationTokens: ["let-me-in"] };
      const other = await startApp({ mirrors: false, config: options });
      const calls = new Caller(other.address, null);
      const asked = await calls.post("/register", { username: "frank", password });
      if (registration === "closed") expect(asked).toMatchObject(forbidden);
      else {
        expect(asked.body).toMatchObject({ flows: [{ stages: ["m.login.registration_token"] }] });
        const auth = { type: "m.login.registration_token", token: "guessed" };
        expect(await calls.post("/register", { username: "frank", password, auth })).toMatchObject(forbidden);
        auth.token = "let-me-in";
        expect(await calls.post("/register", { username: "frank", password, auth })).toMatchObject({ status: 200 });
      }
      await other.close();
    }
  });
});

describe("an application service registers itself", () => {
  const namespaces = { users: ["@self_.*"], aliases: [], rooms: [] };
  const at = { prefix: "/_matrix/appservice/v1" };

  test("[AS-1, AS-2] at the path of the draft and at the one with a prefix, and ends", async () => {
    const body = { url: "http://127.0.0.1:9", as_token: "a-stored-token", namespaces };
    const made = await stranger.post("/register", body, { prefix: "" });
    expect(made).toEqual({ status: 200, body: { hs_token: expect.any(String) as string } });
    expect(await stranger.post("/register", body, at)).toEqual(made);
    const own = new Caller(server.address, "a-stored-token");
    expect((await own.get("/account/whoami")).body).toEqual({
      ...{ user_id: expect.stringMatching(/^@rest-.*:localhost$/) as string, is_guest: false },
    });
    expect(await own.post("/register", { username: "self_1" }, { prefix: "" })).toMatchObject({ status: 200 });
    expect(await stranger.post("/unregister", { as_token: "a-stored-token" }, { prefix: "" })).toEqual({
      ...{ status: 200, body: {} },
    });
    expect(await own.get("/account/whoami")).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    const again = await stranger.post("/unregister/", { as_token: "a-stored-token" }, at);
    expect(again).toMatchObject(forbidden);
  });

  test("[AS-1] unless something is wrong with what it says", async () => {
    const register = (body: unknown) => stranger.post("/register", body, at);
    const url = "http://127.0.0.1:9";
    expect(await register({ url })).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    expect(await register({})).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    expect(await register({ url, as_token: "nobody's" })).toMatchObject(forbidden);
    const as_token = "a-stored-token";
    for (const [wrong, field] of [
      [{ namespaces: { users: ["@(.*"] } }, "namespaces.users.0"],
      [{ namespaces: { aliases: [{ regex: "#ok" }, { regex: "#[" }] } }, "namespaces.aliases.1"],
      [{ namespaces: { rooms: [7] } }, "namespaces.rooms.0"],
      [{ namespaces: "all" }, "namespaces"],
      [{ url: "ftp://x" }, "url"],
    ] as const) {
      const refused = await register({ url, as_token, ...wrong });
      expect(refused).toMatchObject({ status: 400, body: { errcode: "M_INVALID_PARAM", field } });
    }
  });
});

describe("the server tells", () => {
  test("its versions to anybody, what it can do and who they are to users", async () => {
    const { status, body } = await stranger.call("/versions", { prefix: "/_matrix/client" });
    expect([status, body["unstable_features"]]).toEqual([200, {}]);
    expect(body["versions"]).toEqual(expect.arrayContaining(["r0.6.1", "v1.4", "v1.11"]));
    expect((await aliceCalls.get("/capabilities/")).body).toMatchObject({
      ...{ capabilities: { "m.room_versions": { default: "10", available: { "10": "stable" } } } },
    });
    expect(await stranger.get("/capabilities")).toMatchObject({ status: 401, body: { errcode: "M_MISSING_TOKEN" } });
    expect((await aliceCalls.get("/account/whoami")).body).toEqual({
      ...{ user_id: "@alice:localhost", device_id: "phone", is_guest: false },
    });
    expect((await irc.caller.get("/account/whoami")).body).toEqual({ user_id: "@irc-bot:localhost", is_guest: false });
    const lent = await irc.caller.get("/account/whoami", { user_token: alice.token! });
    expect(lent.body).toEqual({ user_id: "@alice:localhost", is_guest: false });
    expect(await irc.caller.as("@irc_nobody:localhost").get("/account/whoami")).toMatchObject(forbidden);
    expect(await irc.caller.as("@alice:localhost").get("/account/whoami")).toMatchObject(forbidden);
  });

  test("the rooms that somebody is in, also to a ghost who is only asked in", async () => {
    const { userId, calls } = await ghost("irc_inside");
    expect(await calls.get("/joined_rooms")).toEqual({ status: 200, body: { joined_rooms: [] } });
    const room = await alice.createRoom({ invite: [userId] });
    expect(await calls.get("/joined_rooms")).toEqual({ status: 200, body: { joined_rooms: [] } });
    const { body } = await aliceCalls.get("/joined_rooms/");
    expect(body["joined_rooms"]).toContain(room);
  });
});

describe("signing in", () => {
  test("[ACC-1] by a password, in the form of today and the old one", async () => {
    expect((await stranger.get("/login")).body).toEqual({
      ...{ flows: [{ type: "m.login.password" }, { type: "m.login.application_service" }] },
    });
    const today = { identifier: { type: "m.id.user", user: "@alice:localhost" }, device_id: "TABLET" };
    for (const form of [today, { user: "alice" }]) {
      const { status, body } = await stranger.post("/login", { type: "m.login.password", password, ...form });
      expect([status, body]).toMatchObject([200, { user_id: "@alice:localhost", home_server: "localhost" }]);
      const there = new Caller(server.address, String(body["access_token"]));
      expect((await there.get("/account/whoami")).body["device_id"]).toBe(body["device_id"]);
      expect(await there.post("/logout", {})).toEqual({ status: 200, body: {} });
      expect(await there.get("/account/whoami")).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    }
    for (const wrong of [{ user: "alice", password: "wrong" }, { user: "nobody", password }, { user: "alice" }])
      expect(await stranger.post("/login", { type: "m.login.password", ...wrong })).toMatchObject(forbidden);
    for (const malformed of [
      {},
      { type: "m.login.sso" },
      { type: "m.login.password" },
      { type: "m.login.password", user: 1 },
    ])
      expect(await stranger.post("/login", malformed)).toMatchObject({ status: 400 });
  });

  test("[AS-8] by the service's token, for its users alone", async () => {
    const { userId } = await ghost("irc_signs");
    const login = (user: string, by = irc.caller) =>
      by.post("/login", { type: "m.login.application_service", identifier: { type: "m.id.user", user } });
    const { status, body } = await login(userId);
    expect([status, body["user_id"]]).toEqual([200, userId]);
    const own = new Caller(server.address, String(body["access_token"]));
    expect((await own.get("/account/whoami")).body["user_id"]).toBe(userId);
    expect(await login("alice")).toMatchObject({ status: 400, body: { errcode: "M_EXCLUSIVE" } });
    expect(await login("irc_unheard")).toMatchObject(forbidden);
    expect(await login(userId, aliceCalls)).toMatchObject({ status: 401 });
    expect(await login(userId, stranger)).toMatchObject({ status: 401 });
    expect(await own.post("/logout/all", {})).toEqual({ status: 200, body: {} });
    expect(await own.get("/account/whoami")).toMatchObject({ status: 401 });
  });

  test("[AS-6] and out leaves the account of who lent a token alone", async () => {
    for (const path of ["/logout", "/logout/all", "/account/deactivate"]) {
      const refused = await irc.caller.post(path, {}, { query: { user_token: alice.token! } });
      expect([path, refused.status === 403 || refused.status === 401]).toEqual([path, true]);
    }
    expect(await aliceCalls.get("/account/whoami")).toMatchObject({ status: 200 });
  });
});

describe("closing an account", () => {
  test("[AS-13] SyTest: AS can deactivate a user, whose name stays taken and who leaves their rooms", async () => {
    const { userId, calls } = await ghost("irc_leaving");
    const room = await alice.createRoom({ joinRule: "PUBLIC", invite: [userId] });
    expect(await calls.post("/account/deactivate", {})).toMatchObject({ status: 200 });
    expect(await calls.get("/account/whoami")).toMatchObject(forbidden);
    const again = await irc.caller.post("/register", { username: "irc_leaving" });
    expect(again).toMatchObject({ status: 400, body: { errcode: "M_USER_IN_USE" } });
    const invited = "SELECT FROM member WHERE room_id = $1 AND user_id = $2 AND membership = 'invite'";
    await until(async () => (await sql(server.databaseUrl, invited, [room, userId])).length === 0);
    // Its own user is what the service lives by.
    expect(await irc.caller.post("/account/deactivate", {})).toMatchObject(forbidden);
  });

  test("[ACC-3] takes a person's password, also of a service", async () => {
    const erin = new Caller(server.address, (await server.user("erin")).token);
    const asked = await erin.post("/account/deactivate", {});
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ["m.login.password"] }] } });
    const auth = { type: "m.login.password", user: "erin", password: "wrong" };
    expect(await erin.post("/account/deactivate", { auth })).toMatchObject(forbidden);
    auth.password = password;
    expect(await erin.post("/account/deactivate", { auth })).toMatchObject({ status: 200 });
    expect(await erin.get("/account/whoami")).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
    const login = { type: "m.login.password", user: "erin", password };
    expect(await stranger.post("/login", login)).toMatchObject(forbidden);
  });
});
