import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { upload } from "../kit/media.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/until.ts";
import { BridgeProcess } from "./support/bridge.ts";
import { IrcPerson } from "./support/ircPerson.ts";
import { hasIrcServer, IrcServer } from "./support/ircServer.ts";

const installed = hasIrcServer() && existsSync("examples/bridge-irc/node_modules");
const needs = "needs ngircd, and npm ci --ignore-scripts --prefix examples/bridge-irc";

interface Said {
  sender: string;
  body: string;
  msgtype: string;
}

/** Whatever was said in a room that a user sees, oldest first. */
async function saidIn(client: Client, roomId: string): Promise<Said[]> {
  const { scrollback } = await client.do<{
    scrollback: { events: { nodes: { qualifiedType: string; senderId: string; content: Omit<Said, "sender"> }[] } };
  }>(
    `query ($roomId: ID!) {
       scrollback(roomId: $roomId, last: 100) { events { nodes { qualifiedType senderId content } } }
     }`,
    { roomId },
  );
  return scrollback.events.nodes.flatMap(({ qualifiedType, senderId: sender, content: { body, msgtype } }) =>
    qualifiedType === "message:m.room.message" ? [{ sender, msgtype, body }] : [],
  );
}

async function hears(client: Client, roomId: string, body: string): Promise<Said> {
  let said: Said[] = [];
  await until(
    async () => (said = await saidIn(client, roomId)).some((each) => each.body.includes(body)),
    () => `nobody said “${body}”: ${JSON.stringify(said)}`,
  );
  return said.find((each) => each.body.includes(body))!;
}

/** Names of the members of a room by their user ids. */
async function membersOf(client: Client, roomId: string): Promise<Record<string, string | null>> {
  const { room } = await client.do<{
    room: { members: { nodes: { displayName: string | null; user: { id: string } }[] } };
  }>("query ($roomId: ID!) { room(id: $roomId) { members { nodes { displayName user { id } } } } }", { roomId });
  return Object.fromEntries(room.members.nodes.map(({ displayName, user }) => [user.id, displayName]));
}

/** Waits until somebody is a member, or isn't any more. */
async function sees(client: Client, roomId: string, userId: string, present = true): Promise<void> {
  let members = {};
  await until(
    async () => userId in (members = await membersOf(client, roomId)) === present,
    () => `${userId} ${present ? "isn't" : "is"} among ${JSON.stringify(members)}`,
  );
}

async function joinAlias(client: Client, alias: string): Promise<string> {
  const { joinRoom } = await client.do<{ joinRoom: { event: { roomId: string } } }>(
    "mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { event { roomId } } }",
    { alias },
  );
  return joinRoom.event.roomId;
}

async function topicOf(client: Client, roomId: string): Promise<string | null> {
  const { room } = await client.do<{ room: { topic: string | null } }>(
    "query ($roomId: ID!) { room(id: $roomId) { topic } }",
    { roomId },
  );
  return room.topic;
}

describe.skipIf(!installed)(`the bridge to IRC${installed ? "" : ` (skipped: ${needs})`}`, () => {
  let folder: string;
  let irc: IrcServer;
  let server: TestApp;
  let bridge: BridgeProcess;
  let options: string[];
  let port: number;
  let alice: Client;
  let bob: IrcPerson;
  let carol: IrcPerson;
  /** The room of #Hearth[1]. */
  let room: string;

  const startServer = (databaseUrl?: string): Promise<TestApp> =>
    startApp({ databaseUrl, config: { port, serviceFiles: [join(folder, "irc.yaml")] } });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-bridge-"));
    const [bridgePort, serverPort] = await Promise.all([freePort(), freePort()]);
    port = serverPort;
    options = [
      ...["--registration", join(folder, "irc.yaml"), "--listen", `http://127.0.0.1:${bridgePort}`],
      ...["--homeserver", `http://127.0.0.1:${port}`, "--data", join(folder, "data"), "--line-interval", "0"],
    ];
    const registering = new BridgeProcess("--register", ...options);
    irc = await IrcServer.start();
    options.push("--irc", `127.0.0.1:${irc.port}`);
    expect(await registering.exit()).toBe(0);
    server = await startServer();
    bridge = new BridgeProcess(...options);
    [bob, carol, alice] = await Promise.all([
      IrcPerson.connect(irc.port, "Bob"),
      IrcPerson.connect(irc.port, "ca|rol"),
      server.user("alice"),
    ]);
    bob.send("JOIN #Hearth[1]");
    await bridge.ready();
    room = await joinAlias(alice, "#irc_#hearth[1]:localhost");
  });
  afterEach(() => {
    expect(server.errors).toEqual([]);
  });
  afterAll(async () => {
    await bridge?.end("SIGKILL");
    await Promise.all([bob?.close(), carol?.close()]);
    await irc?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("[AS-3] [AS-13] an unknown alias becomes the channel's room, whose members are in both", async () => {
    await bob.gets(":alice[m]!~alice@127.0.0.1 JOIN :#hearth[1]");
    await sees(alice, room, "@irc_bob:localhost");
    expect(await membersOf(alice, room)).toMatchObject({ "@irc_bob:localhost": "Bob", "@alice:localhost": null });
    carol.send("JOIN #HEARTH[1]");
    await sees(alice, room, "@irc_ca=7crol:localhost");
    // What can't be a channel is no alias, and neither is another spelling of one.
    for (const never of ["#irc_nothing:localhost", "#irc_#a=2cb:localhost", "#irc_#HEARTH[1]:localhost"]) {
      await expect(joinAlias(alice, never)).rejects.toThrow("NOT_FOUND");
    }
  });

  test("[AS-5] [AS-6] messages, emotes and notices go both ways, once", async () => {
    await alice.send(room, "Is it warm?");
    await alice.message(room, { content: { text: { body: "shivers", msgtype: "m.emote" } } });
    expect(await bob.gets("shivers")).toBe(":alice[m]!~alice@127.0.0.1 PRIVMSG #Hearth[1] :\u0001ACTION shivers\u0001");
    expect(bob.saidBy("alice[m]")).toEqual(["Is it warm?", "\u0001ACTION shivers\u0001"]);

    bob.send("PRIVMSG #hearth[1] :\u0002Very\u000f, see https://example.org/warm", "NOTICE #hearth[1] :beep");
    bob.send("PRIVMSG #hearth[1] :\u0001ACTION fetches wood\u0001");
    await hears(alice, room, "fetches wood");
    const sender = "@irc_bob:localhost";
    expect(await saidIn(alice, room)).toEqual([
      { sender: "@alice:localhost", msgtype: "m.text", body: "Is it warm?" },
      { sender: "@alice:localhost", msgtype: "m.emote", body: "shivers" },
      { sender, msgtype: "m.text", body: "Very, see https://example.org/warm" },
      { sender, msgtype: "m.notice", body: "beep" },
      { sender, msgtype: "m.emote", body: "fetches wood" },
    ]);
    // Each event comes back to the bridge, and each line is heard by it.
    expect(bob.count("PRIVMSG")).toBe(2);
    expect(carol.saidBy("Bob")).toHaveLength(2);
  });

  test("[AS-13] replies quote, long messages are cut, longer ones and files are links", async () => {
    const question = (await alice.timeline(room)).at(-1)!;
    bob.send("PRIVMSG #hearth[1] :Who is for tea?");
    await hears(alice, room, "tea?");
    const [tea] = (await alice.timeline(room)).slice(-1);
    expect(tea).not.toBe(question);
    await alice.reply(room, tea!, "I am.", "m.in_reply_to");
    expect(await bob.gets("I am.")).toContain('PRIVMSG #Hearth[1] :Bob: "Who is for tea?" I am.');

    const long = "ä€🔥".repeat(150);
    await alice.send(room, long);
    const pieces = () => bob.lines.filter((line) => line.includes("€"));
    const whole = () =>
      pieces()
        .map((line) => line.slice(line.indexOf(" :") + 2))
        .join("");
    await until(() => whole().length >= long.length, whole);
    expect(whole()).toBe(long);
    expect(pieces().length).toBe(3);
    for (const line of pieces()) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(510);

    const poem = Array.from({ length: 40 }, (_, line) => `verse ${line}`).join("\n");
    await alice.send(room, poem);
    const [, link] = / (http:\S+)$/.exec(await bob.gets("verse 1 verse 2"))!;
    expect(await (await fetch(link!)).text()).toBe(poem);

    const mxc = await upload(alice, "\u0089PNG and so on", { type: "image/png", name: "fire.png" });
    await alice.message(room, { content: { media: { mxc, body: "fire.png", msgtype: "m.image", size: 12_345 } } });
    const [, address] = /sent fire\.png \(12\.3 kB\): (\S+\/fire\.png)\u0001$/.exec(await bob.gets("sent fire.png"))!;
    expect(await (await fetch(address!)).text()).toBe("\u0089PNG and so on");
  });

  test("[AS-13] topics go both ways", async () => {
    bob.send("TOPIC #hearth[1] :Tea at \u0002five\u0002");
    await until(async () => (await topicOf(alice, room)) === "Tea at five");
    await alice.setState(room, "m.room.topic", { topic: "Tea at six" });
    await bob.gets(":alice[m]!~alice@127.0.0.1 TOPIC #hearth[1] :Tea at six");
    // What is within a topic is no command.
    await alice.setState(room, "m.room.topic", { topic: "Tea\r\nQUIT :gone\nPART #hearth[1]" });
    await bob.gets(" TOPIC #hearth[1] :Tea QUIT :gone PART #hearth[1]");
    // The bridge may still be hearing of its own topic, which bob heard of first: then his counts when he says it again.
    let said = 0;
    await until(
      async () => {
        if (said++ % 100 === 0) bob.send("TOPIC #hearth[1] :Tea at seven");
        return (await topicOf(alice, room)) === "Tea at seven";
      },
      undefined,
      20_000,
    );
    // Where a channel lets only its operators, the user hears of it, and the room shows what holds.
    bob.send("MODE #hearth[1] +t");
    await bob.gets("MODE #Hearth[1] +t");
    await alice.setState(room, "m.room.topic", { topic: "No tea" });
    expect(await hears(alice, room, "IRC refused a topic")).toMatchObject({ sender: "@ircbot:localhost" });
    await until(async () => (await topicOf(alice, room)) === "Tea at seven");
  });

  test("[AS-4] [AS-13] private chats go both ways, whoever begins", async () => {
    const direct = await alice.createRoom({ name: "Bob" });
    await alice.membership("invite", direct, "@irc_bob:localhost");
    await sees(alice, direct, "@irc_bob:localhost");
    await alice.send(direct, "Between us");
    expect(await bob.gets("Between us")).toContain(" PRIVMSG Bob :Between us");
    bob.send("PRIVMSG alice[m] :What is it?");
    await hears(alice, direct, "What is it?");

    // Whom nobody has seen before, the homeserver asks for; whoever isn't there, IRC doesn't know.
    const nobody = await alice.createRoom({ name: "Nobody" });
    await alice.membership("invite", nobody, "@irc_no=5ebody:localhost");
    await sees(alice, nobody, "@irc_no=5ebody:localhost");
    await alice.send(nobody, "Hello?");
    expect(await hears(alice, nobody, "IRC refused")).toMatchObject({ sender: "@irc_no=5ebody:localhost" });
    await expect(alice.membership("invite", nobody, "@irc_9lives:localhost")).rejects.toThrow();

    carol.send("PRIVMSG alice[m] :psst");
    const invites = async () => {
      const { viewer } = await alice.do<{
        viewer: { invites: { inviter: { id: string }; event: { roomId: string } }[] };
      }>("{ viewer { invites { inviter { id } event { roomId } } } }");
      return viewer.invites.filter(({ inviter }) => inviter.id === "@irc_ca=7crol:localhost");
    };
    await until(
      async () => (await invites()).length > 0,
      () => `there is no invitation: ${bridge.output}`,
    );
    const [invite] = await invites();
    const secret = invite!.event.roomId;
    await alice.join(secret);
    await hears(alice, secret, "psst");
    await alice.send(secret, "Yes?");
    expect(await carol.gets("Yes?")).toContain(" PRIVMSG ca|rol :Yes?");
    expect(bob.count("Yes?")).toBe(0);
  });

  test("[AS-13] ghosts are called as they are on IRC, and leave with them", async () => {
    carol.send("NICK Carol");
    await sees(alice, room, "@irc_carol:localhost");
    await sees(alice, room, "@irc_ca=7crol:localhost", false);
    carol.send("PART #hearth[1] :bye");
    await sees(alice, room, "@irc_carol:localhost", false);
    carol.send("JOIN #hearth[1]");
    await sees(alice, room, "@irc_carol:localhost");
    bob.send("KICK #hearth[1] Carol :no tea left");
    await sees(alice, room, "@irc_carol:localhost", false);
  });

  test("[AS-13] who leaves the room parts, who is thrown out of either is out of both, and the last one's connection ends", async () => {
    const dave = await server.user("dave");
    // Somebody is called so already.
    carol.send("NICK dave[m]");
    await carol.gets("NICK :dave[m]");
    await joinAlias(dave, "#irc_#hearth[1]:localhost");
    await bob.gets(":dave1[m]!~dave@127.0.0.1 JOIN");
    await dave.send(room, "I have to go");
    await dave.leave(room);
    await bob.gets(":dave1[m]!~dave@127.0.0.1 PART #Hearth[1]");
    expect(bob.saidBy("dave1[m]")).toEqual(["I have to go"]);
    await until(() => {
      bob.send("ISON dave1[m]");
      return bob.count(" 303 Bob :") > 0 && bob.lines.findLast((line) => line.includes(" 303 "))!.endsWith(" :");
    });
    await dave.join(room);
    await until(() => bob.count(":dave1[m]!~dave@127.0.0.1 JOIN") === 2);
    bob.send("KICK #hearth[1] dave1[m] :no tea for you");
    await sees(alice, room, "@dave:localhost", false);
  });

  test("[AS-5] [AS-13] nothing is lost when the bridge, the homeserver or IRC falls over", async () => {
    const say = async (from: number, to: number) => {
      for (let number = from; number < to; number++) await alice.send(room, `line ${number}`);
    };
    await say(0, 8);
    await bob.gets("line 0");
    await bridge.end("SIGKILL");
    await say(8, 15);
    bridge = new BridgeProcess(...options);
    await bridge.ready();
    await bob.gets("line 14");
    const lines = bob.saidBy("alice[m]", "line ");
    const expected = Array.from({ length: 15 }, (_, number) => `line ${number}`);
    expect(lines.filter((line, index) => line !== lines[index - 1])).toEqual(expected);
    // Only what was on its way when the bridge fell can have come twice.
    expect(lines.length).toBeLessThanOrEqual(16);

    const { databaseUrl } = server;
    await server.close();
    bob.send("PRIVMSG #hearth[1] :Is anybody there?", "PRIVMSG #hearth[1] :I'll wait.");
    bob.send("PING waited");
    await bob.gets("waited");
    // It gets what it heard to the homeserver after a restart, too.
    expect(await bridge.end("SIGTERM")).toBe(0);
    server = await startServer(databaseUrl);
    bridge = new BridgeProcess(...options);
    await bridge.ready();
    await hears(alice, room, "I'll wait.");
    const bodies = (await saidIn(alice, room)).map(({ body }) => body);
    expect(bodies.slice(-2)).toEqual(["Is anybody there?", "I'll wait."]);
    expect(bodies.filter((body) => body === "I'll wait.")).toHaveLength(1);

    await irc.kill();
    await alice.send(room, "Who put it out?");
    await irc.begin();
    const eve = await IrcPerson.connect(irc.port, "Eve");
    eve.send("JOIN #hearth[1]");
    await sees(alice, room, "@irc_eve:localhost");
    await sees(alice, room, "@irc_bob:localhost", false);
    await alice.send(room, "Good morning");
    await eve.gets("Good morning");
    await eve.close();
  });
});
