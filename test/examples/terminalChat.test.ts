import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { startTcpProxy } from "./support/tcpProxy.ts";
import { until } from "../kit/until.ts";
import { Terminal } from "./support/terminal.ts";

let server: TestApp;
const terminals: Terminal[] = [];

beforeAll(async () => {
  server = await startApp();
});
afterEach(async () => {
  await Promise.all(terminals.splice(0).map((terminal) => terminal.kill()));
  expect(server.errors).toEqual([]);
});
afterAll(async () => {
  await server.close();
});

/** A terminal of a new user. */
async function open(name: string, address = server.address): Promise<Terminal> {
  const terminal = await Terminal.register(address, name);
  terminals.push(terminal);
  return terminal;
}

const roomIdIn = (line: string): string => /!\S+$/.exec(line)![0];

test("[EVS-1] [ACT-3] [JOI-1] two terminals make a room, invite, join, chat and leave", async () => {
  const [alice, bob] = await Promise.all([open("alice"), open("bob")]);
  await alice.shows("You are in no room yet");
  alice.type("/create Around the fire");
  await alice.shows("== Around the fire");
  alice.type("/invite bob");
  await alice.shows("alice invited bob");
  const invitation = await bob.shows("alice invites you to Around the fire: /join ");
  bob.type(`/join ${roomIdIn(invitation)}`);
  await bob.shows("== Around the fire");
  await alice.shows("bob joined");
  alice.type("Warm, isn't it?");
  expect(await bob.shows("Warm, isn't it?")).toMatch(/^\d\d:\d\d alice: Warm, isn't it\?$/);
  bob.type("//shrug", "Very.");
  await alice.shows("bob: /shrug");
  await alice.shows("bob: Very.");
  bob.type("/leave", "/rooms");
  await bob.shows("You left the room.");
  await bob.shows("You are in no room yet");
  await alice.shows("bob left");
  for (const terminal of [alice, bob]) {
    for (const text of ["Warm", "/shrug", "Very."]) expect(terminal.count(text)).toBe(1);
  }
  expect(await alice.end()).toBe(0);
});

test("[DIR-1] [DIR-4] [PRO-3] a published room is found by others, and a name is told in it", async () => {
  const [fay, gus] = await Promise.all([open("fay"), open("gus")]);
  fay.type("/create Chess by the lake", "/publish");
  await fay.shows("Chess by the lake is a room that everybody finds now.");
  gus.type("/find nothing of the kind", "/find CHESS BY");
  await gus.shows("There is no such room.");
  const listed = await gus.shows("Chess by the lake (1)");
  gus.type(`/join ${roomIdIn(listed)}`);
  await gus.shows("== Chess by the lake");
  fay.type("/name Fay Wray");
  await gus.shows("fay is called “Fay Wray”");
});

test("[ACT-11] the list of rooms tells what is unread, and what was shown isn't", async () => {
  const carol = await server.user("carol2");
  const eve = await open("eve");
  const roomId = await carol.createRoom({ name: "Busy", joinRule: "PUBLIC" });
  eve.type(`/join ${roomId}`, "/create Elsewhere");
  await eve.shows("== Elsewhere");
  await carol.send(roomId, "one");
  await carol.message(roomId, { content: { text: { body: "two" } }, mentions: ["@eve:localhost"] });
  await eve.shows("carol2: two");
  eve.type("/rooms");
  await eve.shows("2 unread, 1 for you)");
  eve.type(`/open ${roomId}`);
  await until(() => eve.count("== Busy") === 2);
  await carol.send(roomId, "three");
  await eve.shows("carol2: three");
  // Opening it read two of them, and the third was read as it came.
  eve.type("/rooms");
  await until(() => eve.count("Busy (2 members") === 2);
  expect(eve.lines.findLast((line) => line.includes("Busy (2 members"))).not.toContain("unread");
});

test("[SCR-1] [SCR-3] a room opens with the last twenty messages, and pages back to where it begins", async () => {
  const carol = await server.user("carol");
  const roomId = await carol.createRoom({ name: "Long" });
  const body = (number: number) => `message ${String(number).padStart(2, "0")}`;
  for (let number = 1; number <= 45; number++) {
    await carol.send(roomId, body(number));
    // Changes of the room between the messages must not count as such.
    if (number % 3 === 0) await carol.setState(roomId, "org.example.count", { number });
  }
  const dora = await open("dora");
  await carol.membership("invite", roomId, "@dora:localhost");
  await dora.shows("carol invites you to Long");
  dora.type(`/join ${roomId}`, "/rooms");
  await dora.shows("  1  Long (2 members");
  const shown = (lines: string[]) => lines.flatMap((line) => /carol: (message \d+)$/.exec(line)?.[1] ?? []);
  const bodies = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => body(from + index));
  expect(shown(dora.lines)).toEqual(bodies(26, 45));

  dora.type("/history");
  await dora.shows("That was earlier.");
  expect(shown(dora.after("Earlier in Long"))).toEqual(bodies(6, 25));
  dora.type("/history");
  await dora.shows("This is where the room begins.");
  expect(shown(dora.after("That was earlier."))).toEqual(bodies(1, 5));
  dora.type("/open 1");
  await dora.shows(body(45));
});

test("[EVS-3] [STR-3] what is said while the connection is cut is shown once, and so is what was shown before", async () => {
  const proxy = await startTcpProxy(server.address);
  const erin = await server.user("erin");
  const roomId = await erin.createRoom({ name: "Tunnel", joinRule: "PUBLIC" });
  const frank = await open("frank", proxy.address);
  frank.type(`/join ${roomId}`);
  await frank.shows("== Tunnel");
  for (let round = 1; round <= 3; round++) {
    await erin.send(roomId, `before ${round}`);
    await frank.shows(`before ${round}`);
    proxy.cut();
    await erin.send(roomId, `meanwhile ${round}`);
    await erin.send(roomId, `and then ${round}`);
    proxy.mend();
    await frank.shows(`and then ${round}`);
  }
  const said = frank.lines.flatMap((line) => /erin: (.*)$/.exec(line)?.[1] ?? []);
  expect(said).toEqual([1, 2, 3].flatMap((round) => [`before ${round}`, `meanwhile ${round}`, `and then ${round}`]));
  expect(frank.count("The connection is lost")).toBe(3);
  expect(frank.count("Connected again")).toBe(3);
  await proxy.close();
});

test("[ACT-2] what is typed is said once, though the connection is cut or the server's answer lost", async () => {
  const proxy = await startTcpProxy(server.address);
  const gina = await server.user("gina");
  const roomId = await gina.createRoom({ name: "Bridge", joinRule: "PUBLIC" });
  const hugo = await open("hugo", proxy.address);
  hugo.type(`/join ${roomId}`);
  await hugo.shows("== Bridge");
  proxy.cut();
  hugo.type("Hello over there");
  await hugo.shows("The connection is lost");
  proxy.mend();
  await hugo.shows("hugo: Hello over there");
  proxy.loseAnswerTo("Did you hear");
  hugo.type("Did you hear me?", "Over.");
  await hugo.shows("hugo: Over.");
  const said = hugo.lines.flatMap((line) => /hugo: (.*)$/.exec(line)?.[1] ?? []);
  expect(said).toEqual(["Hello over there", "Did you hear me?", "Over."]);
  await proxy.close();
});

test("[EVS-2] after more than the stream replays, the room is shown anew", async () => {
  const small = await startApp({ config: { streamReplay: 3 } });
  const proxy = await startTcpProxy(small.address);
  const ivan = await small.user("ivan");
  const roomId = await ivan.createRoom({ name: "Rush", joinRule: "PUBLIC" });
  const judy = await open("judy", proxy.address);
  judy.type(`/join ${roomId}`);
  await judy.shows("== Rush");
  proxy.cut();
  for (let number = 1; number <= 10; number++) await ivan.send(roomId, `rush ${number}.`);
  proxy.mend();
  await judy.shows("A lot has happened meanwhile");
  await judy.shows("rush 10.");
  for (let number = 1; number <= 10; number++) expect(judy.count(`rush ${number}.`)).toBe(1);
  await ivan.send(roomId, "calm");
  await judy.shows("ivan: calm");
  await proxy.close();
  await small.close();
});

test("[ACC-2] a session that is ended elsewhere ends the chat with the server's reason", async () => {
  const kate = await open("kate");
  const other = await server
    .stranger()
    .do<{ login: { accessToken: string } }>(
      `mutation { login(input: { username: "kate", password: "correct horse battery", deviceId: "other" }) { accessToken } }`,
    );
  const elsewhere = server.stranger();
  elsewhere.token = other.login.accessToken;
  await elsewhere.do(
    `mutation { changePassword(input: { password: "correct horse battery", newPassword: "a horse of another colour" }) { viewer { admin } } }`,
  );
  await kate.shows("[UNKNOWN_TOKEN]");
  expect(await kate.end()).toBe(1);
});

test("[EV-9] [ACC-1] errors are shown with the server's message and code, and mistakes in plain words", async () => {
  const liam = await open("liam");
  liam.type("/join !nowhere:localhost", "/open 7", "/dance", "/join", "hello?", "/invite bob", "/help");
  expect(await liam.shows("[NOT_FOUND]")).toMatch(/^!! There is no such room/);
  await liam.shows("!! There is no room 7");
  await liam.shows("!! There is no command /dance");
  await liam.shows("!! /join needs ID.");
  await liam.shows("!! Not sent: hello?");
  await liam.shows("sign out and end");
  liam.type("/quit");
  expect(await liam.end()).toBe(0);

  const wrong = new Terminal(server.address, "--name", "liam", "--password", "not the password");
  await wrong.shows("[BAD_CREDENTIALS]");
  expect(await wrong.end()).toBe(1);
  const nobody = new Terminal("http://127.0.0.1:9", "--name", "liam", "--password", "not the password");
  await nobody.shows("!! http://127.0.0.1:9 can't be reached (");
  expect(await nobody.end()).toBe(1);
});

test("[SCR-1] without a terminal, name, password and commands come from the input", async () => {
  await server.user("mona");
  const mona = new Terminal(server.address);
  mona.type("mona", "correct horse battery", "/create Piped", "said by a script");
  expect(await mona.end()).toBe(0);
  expect(mona.lines).toContain("Signed in as @mona:localhost. /help lists the commands.");
  expect(mona.count("== Piped")).toBe(1);
  const again = new Terminal(server.address, "--name", "mona", "--password", "correct horse battery");
  again.type("/open 1");
  expect(await again.end()).toBe(0);
  expect(again.count("mona: said by a script")).toBe(1);
});

test("what others write can't steer the terminal", async () => {
  const nora = await server.user("nora");
  const roomId = await nora.createRoom({ name: "Es\u001b[31mcape", joinRule: "PUBLIC" });
  await nora.send(roomId, "one\u001b[2J\u0007\r\ntwo");
  const otto = await open("otto");
  otto.type(`/join ${roomId}`);
  await otto.shows("two");
  expect(otto.lines.filter((line) => line.includes("\u001b"))).toEqual([]);
  expect(otto.count("nora: one[2J")).toBe(1);
});
