import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clock } from "../../src/model/ports.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { addMessages } from "../kit/messages.ts";
import { upload } from "../kit/media.ts";
import { Wire } from "../kit/wire.ts";
import { until } from "../kit/until.ts";
import { unzip } from "../kit/unzip.ts";

const password = "correct horse battery";
const minute = 60_000;

let server: TestApp;
let root: Client;
let number = 0;
/** How far the server's clock is ahead. */
let ahead = 0;
const clock: Clock = { now: () => Date.now() + ahead };
beforeAll(async () => {
  server = await startApp({ config: { admins: ["root"] }, mirrors: false, clock });
  root = await server.user("root");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const ask = "mutation ($input: ExportUserDataInput!) { exportUserData(input: $input) { url expiresAt } }";
const user = (): Promise<Client> => server.user(`user${++number}`);

async function addressOf(client: Client, input: { userId?: string } = {}): Promise<string> {
  const { exportUserData } = await client.do<{ exportUserData: { url: string; expiresAt: string } }>(ask, { input });
  expect(Date.parse(exportUserData.expiresAt)).toBeGreaterThan(clock.now());
  return new URL(exportUserData.url, server.address).href;
}

type Lines = Record<string, unknown>[];

/** The archive taken apart: documents and lists by path. */
class Archive {
  readonly files: Map<string, Buffer>;

  constructor(bytes: Buffer) {
    this.files = unzip(bytes);
  }

  text(path: string): string {
    const content = this.files.get(path);
    if (content === undefined) throw new Error(`${path} is missing`);
    return content.toString("utf8");
  }

  json(path: string): unknown {
    return JSON.parse(this.text(path));
  }

  lines(path: string): Lines {
    return this.text(path)
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** What was sent to a room. */
  sent(roomId: string): Lines {
    const folder = String(this.lines("rooms.ndjson").find(({ room_id: id }) => id === roomId)!["folder"]);
    return this.files.has(`${folder}/events.ndjson`) ? this.lines(`${folder}/events.ndjson`) : [];
  }
}

async function download(address: string): Promise<Archive> {
  const response = await fetch(address);
  expect(response.status).toBe(200);
  return new Archive(Buffer.from(await response.arrayBuffer()));
}

async function refused(address: string): Promise<unknown> {
  const response = await fetch(address);
  return { status: response.status, code: ((await response.json()) as { code: string }).code };
}

test("everything that the server holds about the user is in the archive, and nothing of others", async () => {
  const [alice, bob] = [await user(), await user()];
  const name = /^@(.*):/.exec(alice.userId)![1]!;
  const phone = await Client.login(server.address, name, "phone");
  await phone.ask("{ viewer { user { id } } }", {}, { "user-agent": "Pocket/1.0" });
  await alice.do('mutation { setStatus(input: { status: "in a meeting" }) { presence { status } } }');
  await sql(
    server.databaseUrl,
    `INSERT INTO profile VALUES ($1, 'displayname', '"Alice"'), ($2, 'displayname', '"Bob"')`,
    [alice.userId, bob.userId],
  );
  await alice.do("mutation ($input: AddSigningKeyInput!) { addSigningKey(input: $input) { signingKey { keyId } } }", {
    input: { keyId: "ed25519:one", publicKey: Buffer.alloc(32, 7).toString("base64").replace("=", "") },
  });
  await alice.do(
    "mutation ($set: JSONObject!) { uploadCapabilities(input: { set: $set }) { capabilities { hash } } }",
    {
      set: { [`m.cap.${alice.userId}`]: {} },
    },
  );
  const alias = `#${name}:localhost`;
  const own = await alice.createRoom({ joinRule: "PUBLIC", alias, name: "Hers" });
  const left = await bob.createRoom({ joinRule: "PUBLIC" });
  await alice.join(left);
  const farewell = await alice.send(left, "bye", "farewell-1");
  await alice.leave(left);
  const invited = await bob.createRoom({ invite: [alice.userId] });
  await bob.join(own);
  const bobs = await bob.send(own, "bob's own words");
  const message = await alice.send(own, "first");
  const edit = await alice.edit(own, message, "second");
  const reaction = await alice.react(own, bobs, "yes");
  const gone = await alice.send(own, "never mind");
  await alice.redact(gone);
  await alice.mark(bobs);
  await alice.do(
    `mutation ($roomId: ID!) { placeCall(input: { roomId: $roomId, offer: { type: "offer", sdp: "v=0" }, lifetimeMs: 60000 }) { call { id } } }`,
    { roomId: own },
  );
  const mxc = await upload(alice, "a picture's bytes", { type: "image/png", name: "me.png" });
  await upload(bob, "bob's bytes");
  const seen = "SELECT FROM device WHERE user_id = $1 AND last_seen_at IS NOT NULL";
  await until(async () => (await sql(server.databaseUrl, seen, [alice.userId])).length === 2);

  const archive = await download(await addressOf(alice));
  expect(archive.json("account.json")).toMatchObject({
    ...{ user_id: alice.userId, admin: false, has_password: true, status_text: "in a meeting", appear_offline: false },
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
  expect(archive.json("profile.json")).toEqual({ displayname: "Alice" });
  expect(archive.json("devices.json")).toMatchObject([
    {
      ...{ device_id: "device", access_tokens: [{ id: expect.any(String) }], session: { id: expect.any(String) } },
      signing_keys: [{ key_id: "ed25519:one" }],
    },
    { device_id: "phone", user_agent: "Pocket/1.0", last_seen_ip: "127.0.0.1", signing_keys: [] },
  ]);
  expect(archive.json("capabilities.json")).toMatchObject([{ set: { [`m.cap.${alice.userId}`]: {} } }]);
  expect(archive.lines("aliases.ndjson")).toMatchObject([{ alias, room_id: own }]);
  expect(archive.lines("calls.ndjson")).toMatchObject([{ room_id: own, caller: alice.userId, own_device: "device" }]);
  expect(archive.lines("actions.ndjson")).toMatchObject([{ action_id: "farewell-1", event_ids: [farewell] }]);
  const rooms = new Map(archive.lines("rooms.ndjson").map((room) => [room["room_id"], room]));
  expect([...rooms.keys()].sort()).toEqual([own, left, invited].sort());
  expect(rooms.get(own)).toMatchObject({
    ...{ membership: "join", created_by_user: true, deleted: false },
    markers: [{ kind: "read", event_id: bobs, private: false }],
  });
  expect(rooms.get(left)).toMatchObject({
    membership: "leave",
    memberships: [
      { membership: "join", until: expect.any(String) },
      { membership: "leave", until: null },
    ],
  });
  expect(rooms.get(invited)).toMatchObject({ membership: "invite", created_by_user: false });

  // Every event of hers, as clients see it.
  const sent = new Map(archive.sent(own).map((event) => [event["event_id"], event]));
  expect(sent.get(message)).toMatchObject({ type: "message:m.room.message", content: { body: "first" } });
  expect(sent.get(edit)).toMatchObject({ updates: message, content: { body: "second" } });
  expect(sent.get(reaction)).toMatchObject({ relates_to: [{ event_id: bobs, key: "yes" }] });
  expect(sent.get(gone)).toMatchObject({ content: {}, redacted_by: expect.any(String) });
  const rows = await sql<{ event_id: string }>(server.databaseUrl, "SELECT event_id FROM event WHERE sender = $1", [
    alice.userId,
  ]);
  const all = [own, left, invited].flatMap((roomId) => archive.sent(roomId));
  expect(all.map(({ event_id: id }) => String(id)).sort()).toEqual(rows.map(({ event_id: id }) => id).sort());
  expect(archive.sent(left).at(-1)).toMatchObject({ event_id: farewell, action_id: "farewell-1" });
  expect(archive.sent(invited)).toEqual([]);

  const [file] = archive.lines("media.ndjson");
  expect(file).toMatchObject({ mxc, contentType: "image/png", fileName: "me.png", size: 17 });
  expect(archive.text(String(file!["path"]))).toBe("a picture's bytes");
  expect(archive.lines("media.ndjson")).toHaveLength(1);
  for (const path of archive.files.keys()) expect(path).toMatch(/^[A-Za-z0-9_./-]+$/);

  // Nothing that lets anybody in, and nothing that others said.
  const everything = [...archive.files.values()].map((content) => content.toString("utf8")).join("\n");
  for (const secret of [alice.token!, phone.token!, "$argon2", "bob's own words", "Bob", "bob's bytes"]) {
    expect(everything).not.toContain(secret);
  }
  expect(archive.text("README.txt")).toContain(alice.userId);
  for (const path of [...archive.files.keys()].filter((each) => each !== "README.txt")) {
    const described = path.replace(/^rooms\/[^/]+/, "rooms/*").replace(/^media\/.*/, "media/*");
    expect(archive.text("README.txt")).toContain(described);
  }
});

describe("who may", () => {
  test("one's own, or anybody's as an admin, while both exist", async () => {
    const [alice, eve] = [await user(), await user()];
    expect(await eve.code(ask, { input: { userId: alice.userId } })).toBe("FORBIDDEN");
    expect(await eve.code(ask, { input: { userId: "@nobody:localhost" } })).toBe("FORBIDDEN");
    expect(await server.stranger().code(ask, { input: {} })).toBe("UNAUTHENTICATED");
    expect(await root.code(ask, { input: { userId: "@nobody:localhost" } })).toBe("NOT_FOUND");
    expect(await root.code(ask, { input: { userId: "nonsense" } })).toBe("BAD_INPUT");
    const archive = await download(await addressOf(root, { userId: alice.userId }));
    expect(archive.json("account.json")).toMatchObject({ user_id: alice.userId });
    await alice.do("mutation ($password: String!) { deleteAccount(input: { password: $password }) { userId } }", {
      password,
    });
    expect(await root.code(ask, { input: { userId: alice.userId } })).toBe("NOT_FOUND");
  });

  test("an address holds for some minutes, and as long as the token that asked for it", async () => {
    const [alice, bob, carol] = [await user(), await user(), await user()];
    const address = await addressOf(alice);
    await download(address);
    await download(address);
    ahead = 11 * minute;
    expect(await refused(address)).toEqual({ status: 400, code: "BAD_TOKEN" });
    ahead = 0;
    await alice.do("mutation { logout { deviceId } }");
    expect(await refused(address)).toEqual({ status: 401, code: "UNKNOWN_TOKEN" });

    const own = await addressOf(bob);
    const byRoot = await addressOf(root, { userId: bob.userId });
    await bob.do("mutation ($password: String!) { deleteAccount(input: { password: $password }) { userId } }", {
      password,
    });
    expect(await refused(own)).toEqual({ status: 401, code: "UNKNOWN_TOKEN" });
    expect(await refused(byRoot)).toEqual({ status: 404, code: "NOT_FOUND" });

    // An admin who is none any more.
    const rights = "mutation ($input: SetUserAdminInput!) { setUserAdmin(input: $input) { account { admin } } }";
    const dora = await user();
    await root.do(rights, { input: { userId: carol.userId, admin: true } });
    const doras = await addressOf(carol, { userId: dora.userId });
    await download(doras);
    await root.do(rights, { input: { userId: carol.userId, admin: false } });
    expect(await refused(doras)).toEqual({ status: 403, code: "FORBIDDEN" });
  });

  test("a token that was changed anywhere, or is of another kind, is BAD_TOKEN", async () => {
    const alice = await user();
    const address = await addressOf(alice);
    const [, prefix, token] = /^(.*\/)([^/]+)$/.exec(address)!;
    const [version, key, payload, mac] = token!.split(".");
    const bobs = Buffer.from(JSON.stringify({ userId: "@bob:localhost" })).toString("base64url");
    const stream = await alice.streamToken();
    const odd = [
      ...[`${version}.${key}.${bobs}.${mac}`, `${version}.${key}.${payload}.${mac}x`, `${version}.${key}.${payload}`],
      ...[stream, "nonsense", "%00", "e1", "a".repeat(10_000)],
    ];
    for (const each of odd)
      expect(await refused(`${prefix}${each}`), each.slice(0, 80)).toEqual({ status: 400, code: "BAD_TOKEN" });
    for (const method of ["POST", "DELETE"]) expect((await fetch(address, { method })).status).toBe(405);
  });
});

describe("while it is downloaded", () => {
  /** A user who sent more than fits into what sockets and streams hold. */
  async function talkative(messages: number): Promise<{ client: Client; roomId: string }> {
    const client = await user();
    const roomId = await client.createRoom();
    await addMessages(server.databaseUrl, roomId, client.userId, messages);
    // As if random, so that compressing it makes it no smaller.
    await sql(
      server.databaseUrl,
      `UPDATE event SET content = '{"body":"' || (SELECT string_agg(md5(position || '-' || n), '') FROM generate_series(1, 60) AS n) || '"}'
       WHERE room_id = $1 AND type = 'm.room.message'`,
      [roomId],
    );
    return { client, roomId };
  }

  /** Begins a download, and takes nothing of it but the first piece. */
  async function begun(address: string): Promise<{ rest(): Promise<number>; abort(): void }> {
    const controller = new AbortController();
    const response = await fetch(address, { signal: controller.signal });
    const reader = response.body!.getReader();
    await reader.read();
    return {
      async rest() {
        let bytes = 0;
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return bytes;
          bytes += value.length;
        }
      },
      abort: () => controller.abort(),
    };
  }

  /** Waits until the server reads nothing more for now. */
  async function still(): Promise<number> {
    let before = -1;
    await until(async () => {
      const now = server.database.statements();
      const same = now === before;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return same;
    });
    return before;
  }

  test("nothing is read faster than it is taken, and an aborted download ends the reading", async () => {
    const { client } = await talkative(20_000);
    const address = await addressOf(client);
    const before = server.database.statements();
    const download = await begun(address);
    // A page is 200 events, and takes some statements: all of them would be 300 and more.
    expect((await still()) - before).toBeLessThan(200);
    download.abort();
    const stopped = await still();
    expect(stopped - before).toBeLessThan(200);
    // And whoever aborted may begin again.
    for (let time = 0; time < 3; time++) (await begun(address)).abort();
    await still();
    const bytes = await (await begun(address)).rest();
    expect(bytes).toBeGreaterThan(20_000 * 1000);
    expect(server.database.statements() - stopped).toBeGreaterThan(200);
  });

  test("a token that is revoked meanwhile cuts it off", async () => {
    const { client } = await talkative(20_000);
    const download = await begun(await addressOf(client));
    await still();
    await client.do("mutation { logout { deviceId } }");
    await expect(download.rest()).rejects.toThrow();
  });

  test("no user has more than two at once", async () => {
    const { client } = await talkative(20_000);
    const address = await addressOf(client);
    const two = [await begun(address), await begun(address)];
    expect(await refused(address)).toEqual({ status: 429, code: "RATE_LIMITED" });
    await download(await addressOf(await user()));
    two[0]!.abort();
    await until(async () => (await fetch(address, { method: "HEAD" })).status === 200);
    two[1]!.abort();
    await still();
  });

  test("who is gone before it begins, or before it is their turn on a connection, has none", async () => {
    const { client } = await talkative(2000);
    const address = await addressOf(client);
    const request = `GET ${new URL(address).pathname} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const { exports } = server.app.domain;
    const { open } = exports;
    let opened = 0;
    for (let time = 0; time < 3; time++) {
      const wire = new Wire(server.address);
      exports.open = async (token) => {
        const archive = await open(token);
        wire.socket.destroy();
        // The server learns of it before the archive is given to it.
        await new Promise((resolve) => setTimeout(resolve, 100));
        opened++;
        return archive;
      };
      wire.write(request);
      await until(() => opened === time + 1);
    }
    exports.open = open;
    const wire = new Wire(server.address).write(request.repeat(5));
    await wire.gets("200 OK");
    wire.socket.destroy();
    await until(async () => (await fetch(address, { method: "HEAD" })).status === 200);
    const two = [await fetch(address), await fetch(address)];
    expect(two.map(({ status }) => status)).toEqual([200, 200]);
    for (const { body } of two) await body!.cancel();
    await still();
  });
});
