import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import type { Follow, FollowedEvent } from "../kit/follow.ts";
import { bytesOf, download, upload } from "../kit/media.ts";
import { freePorts } from "../kit/ports.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "../processes/support/serverProcess.ts";
import { BridgeProcess } from "./support/bridgeProcess.ts";
import { generations, missing } from "./support/generations.ts";

/**
 * Bridge libraries from 2015 to today, unmodified, each driving its main job against one running server: see
 * drivers/driver.mjs for what a driver is. All six do each step at the same time.
 */
const lacking = missing();

/** A bridge, and the room that it made for the channel `hearth` of its network. */
interface Bridged {
  library: string;
  bridge: BridgeProcess;
  roomId: string;
  /** What alice said there, in order. */
  said: string[];
}

let directory: string;
let databaseUrl: string;
let serverPort: number;
let server: ServerProcess;
let alice: Client;
let follow: Follow;
const rows: Bridged[] = generations.map(({ library }) => ({ library, bridge: null!, roomId: "", said: [] }));
const bridges = (): BridgeProcess[] => rows.map(({ bridge }) => bridge);

async function startHearth(): Promise<void> {
  const withFile = bridges().filter(({ generation }) => !generation.registersItself);
  server = await startServer({
    HEARTH_DATA_DIR: directory,
    DATABASE_URL: databaseUrl,
    HEARTH_PORT: String(serverPort),
    HEARTH_APPSERVICES: withFile.map(({ registration }) => registration).join(","),
    HEARTH_AS_REGISTRATION: bridges()[0]!.asToken,
    HEARTH_ADMINS: "alice",
  });
}

async function startBridge(bridge: BridgeProcess): Promise<void> {
  await bridge.start();
  await bridge.do("run");
}

/** Alice says it in the bridge's room. */
async function say({ roomId, said }: Bridged, text: string): Promise<string> {
  said.push(text);
  return alice.send(roomId, text);
}

/** Waits until the bridges have taken all that there is: what they were about to take when they are killed comes again. */
async function allTaken(): Promise<void> {
  const depths = async (): Promise<number[]> => {
    const { appServices } = await alice.do<{ appServices: { queueDepth: number }[] }>("{ appServices { queueDepth } }");
    return appServices.map(({ queueDepth }) => queueDepth);
  };
  await until(async () => (await depths()).every((depth) => depth === 0));
}

/** Waits for an event that alice sees. */
async function sees(roomId: string, condition: (event: FollowedEvent) => boolean): Promise<FollowedEvent> {
  const there = (event: FollowedEvent): boolean => event.roomId === roomId && condition(event);
  await follow.until(({ events }) => events.some(there));
  return follow.events.find(there)!;
}

/** The texts of a room as it is stored, with their senders. */
async function storedTexts(roomId: string): Promise<string[]> {
  const data = await alice.do<{
    scrollback: {
      events: { nodes: { sender: { id: string }; content: Record<string, unknown> | null }[] };
    };
  }>(
    `query ($roomId: ID!) {
       scrollback(roomId: $roomId, last: 100) { events { nodes { sender { id } content } } }
     }`,
    { roomId },
  );
  // What was taken back has no content.
  const texts = data.scrollback.events.nodes.filter(({ content }) => typeof content?.["body"] === "string");
  return texts.map(({ sender, content }) => `${sender.id}: ${String(content!["body"])}`);
}

const suite = `bridge libraries${lacking === undefined ? "" : ` (skipped: ${lacking})`}`;
describe.skipIf(lacking !== undefined)(suite, () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "hearth-bridges-"));
    const [port, ...ports] = await freePorts(1 + generations.length);
    serverPort = port!;
    const homeserver = `http://127.0.0.1:${serverPort}`;
    for (const [index, generation] of generations.entries()) {
      const options = { generation, homeserver, domain: "localhost", port: ports[index]!, directory };
      rows[index]!.bridge = new BridgeProcess(options);
    }
    databaseUrl = await freshDatabase();
    await Promise.all(
      bridges().map(async (bridge) => {
        await bridge.start();
        if (!bridge.generation.registersItself) await bridge.do("register");
      }),
    );
    await startHearth();
    alice = await Client.register(server.address, "alice");
    follow = await alice.follow();
    await Promise.all(bridges().map((bridge) => bridge.do("run")));
    await until(() => bridges()[0]!.told.some(({ told }) => told === "registered"));
  });

  afterAll(async () => {
    await alice?.close();
    await Promise.all(bridges().map((bridge) => bridge?.kill()));
    await server?.kill();
    await rm(directory, { recursive: true, force: true });
  });

  describe("a channel", () => {
    test.concurrent.each(rows)("[AS-3] [AS-13] $library makes a room while alice joins its alias", async (row) => {
      const alias = row.bridge.alias("hearth");
      const { joinRoom } = await alice.do<{ joinRoom: { room: { id: string; name: string; topic: string } } }>(
        "mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { room { id name topic } } }",
        { alias },
      );
      row.roomId = joinRoom.room.id;
      expect(joinRoom.room).toMatchObject({ name: alias.slice(1).split(":")[0], topic: "bridged" });
      expect(row.bridge.told.filter((each) => "alias" in each && each.alias === alias)).toHaveLength(1);
    });

    test.concurrent.each(rows)("[AS-3] $library says that there is no such channel", async ({ bridge }) => {
      const alias = bridge.alias("nowhere");
      const join = "mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { room { id } } }";
      expect(await alice.code(join, { alias })).toBe("NOT_FOUND");
      expect(bridge.told).toContainEqual({ told: "alias asked", alias });
    });
  });

  describe("messages", () => {
    test.concurrent.each(rows)("[AS-5] [AS-13] $library gets what alice says, in the older form", async (row) => {
      const eventId = await say(row, "hello over there");
      const event = await row.bridge.gets(row.roomId, ({ event_id }) => event_id === eventId);
      expect(event).toMatchObject({
        type: "m.room.message",
        sender: alice.userId,
        user_id: alice.userId,
        content: { msgtype: "m.text", body: "hello over there" },
        origin_server_ts: expect.any(Number),
      });
      expect(event).not.toHaveProperty("state_key");
      const joined = await row.bridge.gets(row.roomId, ({ state_key }) => state_key === alice.userId);
      expect(joined).toMatchObject({ type: "m.room.member", user_id: alice.userId, content: { membership: "join" } });
    });

    test.concurrent.each(rows)("[AS-6] [AS-8] $library has ghosts speak, who register and join first", async (row) => {
      const { bridge, roomId } = row;
      // Some libraries number what they send by the millisecond and the ghost.
      const nicks = ["Carl", "dora"];
      const eventIds = await Promise.all(
        nicks.map((nick) => bridge.do<string>("say", { nick, roomId, text: `${nick} is here` })),
      );
      for (const [index, nick] of nicks.entries()) {
        const event = await sees(roomId, ({ id }) => id === eventIds[index]);
        expect(event).toMatchObject({ senderId: bridge.ghost(nick), content: { body: `${nick} is here` } });
      }
      const ghosts = nicks.map((nick) => bridge.ghost(nick));
      expect(await bridge.do("members", { roomId })).toEqual(expect.arrayContaining([alice.userId, ...ghosts]));
      const register =
        'mutation ($username: String!) { register(input: { username: $username, password: "correct horse", deviceId: "mine" }) { accessToken } }';
      expect(await alice.code(register, { username: bridge.ghost("erna").slice(1).split(":")[0] })).toBe("EXCLUSIVE");
    });
  });

  describe("files", () => {
    test.concurrent.each(rows)("[AS-14] $library uploads one", async ({ bridge, roomId }) => {
      const file = { name: "minutes.txt", type: "text/plain", text: "We met. ".repeat(10_000) };
      const mxc = await bridge.do<string>("upload", { nick: "Carl", roomId, file });
      const event = await sees(roomId, ({ content }) => content?.["url"] === mxc);
      expect(event).toMatchObject({
        senderId: bridge.ghost("Carl"),
        content: { msgtype: "m.file", body: "minutes.txt" },
      });
      expect(String(await bytesOf(await download(alice, mxc)))).toBe(file.text);
    });

    test.concurrent.each(rows)("[AS-14] $library downloads alice's", async ({ bridge, roomId }) => {
      const mxc = await upload(alice, "Agenda", { type: "text/plain", name: "agenda.txt" });
      const media = { msgtype: "m.file", body: "agenda.txt", mxc, mimetype: "text/plain", size: 6 };
      const eventId = await alice.message(roomId, { content: { media } });
      const { content } = await bridge.gets(roomId, ({ event_id }) => event_id === eventId);
      expect(content).toMatchObject({ msgtype: "m.file", body: "agenda.txt", url: mxc, info: { size: 6 } });
      expect(await bridge.do("download", { uri: content["url"] })).toBe("Agenda");
    });
  });

  describe("what else goes on in a channel", () => {
    test.concurrent.each(rows)("[AS-13] $library renames a ghost, sets the topic, takes back, parts", async (row) => {
      const { bridge, roomId } = row;
      const carl = bridge.ghost("Carl");
      await bridge.do("rename", { nick: "Carl", name: "Carl the Great" });
      await sees(roomId, ({ senderId, content }) => senderId === carl && content?.["displayname"] === "Carl the Great");

      await bridge.do("topic", { nick: "Carl", roomId, topic: "what to burn" });
      const topic = await sees(roomId, ({ content }) => content?.["topic"] === "what to burn");
      expect(topic).toMatchObject({ type: "m.room.topic", senderId: carl });

      const eventId = await bridge.do<string>("say", { nick: "Carl", roomId, text: "peat" });
      await sees(roomId, ({ id }) => id === eventId);
      const redactionId = await bridge.do<string>("redact", { nick: "Carl", roomId, eventId });
      expect(await sees(roomId, ({ id }) => id === redactionId)).toMatchObject({ senderId: carl });
      expect(await storedTexts(roomId)).not.toContain(`${carl}: peat`);

      await bridge.do("part", { nick: "dora", roomId });
      const dora = bridge.ghost("dora");
      await sees(roomId, ({ senderId, content }) => senderId === dora && content?.["membership"] === "leave");
    });
  });

  describe("what alice does in a channel", () => {
    beforeAll(() => alice.setProfile("displayname", "Alice Liddell"));

    test.concurrent.each(rows)("[AS-13] $library learns what she is called and what she takes back", async (row) => {
      const { bridge, roomId } = row;
      const called = await bridge.gets(roomId, ({ content }) => content["displayname"] === "Alice Liddell");
      expect(called).toMatchObject({
        type: "m.room.member",
        state_key: alice.userId,
        content: { membership: "join" },
      });
      expect(called["prev_content"]).toMatchObject({ membership: "join" });

      const eventId = await say(row, "Carl snores");
      await bridge.gets(roomId, ({ event_id }) => event_id === eventId);
      const redactionId = await alice.redact(eventId);
      const redaction = await bridge.gets(roomId, ({ event_id }) => event_id === redactionId);
      expect(redaction).toMatchObject({ type: "m.room.redaction", redacts: eventId, sender: alice.userId });
    });
  });

  describe("a private chat", () => {
    test.concurrent.each(rows)("[AS-4] $library makes the ghost that alice invites, who joins", async ({ bridge }) => {
      const roomId = await alice.createRoom({});
      const userId = bridge.ghost("fritz");
      await alice.membership("invite", roomId, userId);
      await sees(roomId, ({ senderId, content }) => senderId === userId && content?.["membership"] === "join");
      expect(bridge.told.filter(({ told }) => told === "user asked")).toEqual([{ told: "user asked", userId }]);
      const eventId = await alice.send(roomId, "psst");
      expect(await bridge.gets(roomId, ({ event_id }) => event_id === eventId)).toMatchObject({
        content: { body: "psst" },
      });
      const { user } = await alice.do<{ user: { displayName: string } }>(
        "query ($userId: ID!) { user(id: $userId) { displayName } }",
        { userId },
      );
      expect(user.displayName).toContain("fritz over there");
    });

    test.concurrent.each(rows)("[AS-6] $library has a ghost begin one with alice", async ({ bridge }) => {
      const roomId = await bridge.do<string>("chat", { nick: "gerda", userId: alice.userId });
      await follow.until(({ chunks }) => chunks.some(({ invites }) => invites.some(({ room }) => room.id === roomId)));
      await alice.join(roomId);
      const eventId = await bridge.do<string>("say", { nick: "gerda", roomId, text: "it's me" });
      expect(await sees(roomId, ({ id }) => id === eventId)).toMatchObject({ senderId: bridge.ghost("gerda") });
    });
  });

  describe("a bridge that was killed", () => {
    beforeAll(async () => {
      await allTaken();
      await Promise.all(bridges().map((bridge) => bridge.kill()));
      for (const row of rows) for (const text of ["are you there?", "no?", "well"]) await say(row, text);
      await Promise.all(bridges().map(startBridge));
    });

    test.concurrent.each(rows)("[AS-5] $library gets what it missed, in order and once", async (row) => {
      await caughtUp(row);
      await goesOn(row, "I'm back");
    });
  });

  describe("a server that was killed", () => {
    beforeAll(async () => {
      await allTaken();
      // They get something on the way that the server doesn't learn any more whether they took.
      for (const bridge of bridges()) bridge.pause();
      for (const row of rows) await say(row, "before the night");
      const { token } = follow;
      await server.kill();
      for (const bridge of bridges()) bridge.resume();
      await startHearth();
      alice = new Client(server.address, alice.token, alice.userId, alice.deviceId);
      follow = await alice.follow(token);
      for (const row of rows) await say(row, "good morning");
    });

    test.concurrent.each(rows)("[AS-5] $library gets what was left, in order and once, and goes on", async (row) => {
      await caughtUp(row);
      await goesOn(row, "as before");
      await allTaken();
      await caughtUp(row);
      const stored = await storedTexts(row.roomId);
      expect(stored).toEqual([...new Set(stored)]);
      const ours = stored.filter((text) => text.startsWith(alice.userId) && !text.endsWith("agenda.txt"));
      const kept = row.said.filter((text) => text !== "Carl snores");
      expect(ours).toEqual(kept.map((text) => `${alice.userId}: ${text}`));
      for (const event of row.bridge.events()) {
        expect(event).toMatchObject({
          user_id: event.sender,
          content: expect.any(Object),
          unsigned: expect.any(Object),
        });
      }
    });
  });

  /** All that alice said came, once each, in order. */
  async function caughtUp({ bridge, roomId, said, library }: Bridged): Promise<void> {
    const texts = (): unknown[] => bridge.textsIn(roomId).filter((text) => text !== "agenda.txt");
    await until(
      () => texts().includes(said.at(-1)),
      () => `${library} got ${JSON.stringify(texts())}`,
    );
    expect(texts()).toEqual(said);
  }

  /** Both ways are open. */
  async function goesOn(row: Bridged, text: string): Promise<void> {
    const { bridge, roomId } = row;
    const eventId = await bridge.do<string>("say", { nick: "Carl", roomId, text });
    expect(await sees(roomId, ({ id }) => id === eventId)).toMatchObject({ content: { body: text } });
    await say(row, `${text}, you say?`);
    await caughtUp(row);
  }
});
