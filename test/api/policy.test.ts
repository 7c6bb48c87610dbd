import { isDeepStrictEqual } from "node:util";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import type { Config } from "../../src/config.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client, type Answer } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { accept, startHook, type HookAnswer, type PolicyHook } from "../kit/policyHook.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/until.ts";

const setState = "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }";
const sendMessages = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }";
const createRoom = "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
const sendMessage = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { event { id } } }";
const text = (body: string) => ({ content: { text: { body } } });

function settings(hook: PolicyHook, more: Partial<Config["policy"]> = {}): Partial<Config> {
  return {
    policy: { url: hook.url, token: "hook-secret", timeoutMs: 10_000, failure: "refuse", review: false, ...more },
  };
}

let hook: PolicyHook;
let server: TestApp;
let alice: Client;
let bob: Client;
let room: string;

beforeAll(async () => {
  hook = await startHook();
  server = await startApp({ config: settings(hook) });
  alice = await server.user("alice");
  bob = await server.user("bob");
  room = await alice.createRoom({ joinRule: "PUBLIC" });
});
beforeEach(() => {
  hook.answer = () => accept;
  hook.asked = [];
});
afterAll(async () => {
  await server.close();
  await hook.close();
});

/** The contents that are stored in a room, by position. */
async function stored(roomId: string): Promise<{ type: string; content: Record<string, unknown> }[]> {
  const rows = await sql<{ type: string; content: string | null }>(
    server.databaseUrl,
    "SELECT type, content FROM event WHERE room_id = $1 ORDER BY position",
    [roomId],
  );
  return rows.map(({ type, content }) => ({ type, content: JSON.parse(content ?? "null") as never }));
}

function say(client: Client, body: string, actionId: string | null = null): Promise<Answer> {
  return client.ask(sendMessage, { input: { roomId: room, message: { ...text(body), actionId } } });
}

const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions?.["code"] ?? null;

describe("the policy hook, before events are accepted", () => {
  it("is asked with everything about the events, and its token", async () => {
    const parent = await alice.send(room, "parent");
    hook.asked = [];
    await alice.reply(room, parent, "child");
    expect(hook.asked).toEqual([
      {
        phase: "before",
        action: "sendMessage",
        room_id: room,
        sender: alice.userId,
        device_id: alice.deviceId,
        events: [
          {
            type: "m.room.message",
            sender: alice.userId,
            room_id: room,
            content: { body: "child", msgtype: "m.text" },
            relates_to: [{ type: "m.reference", event_id: parent }],
          },
        ],
      },
    ]);
    expect(hook.headers.at(-1)).toMatchObject({
      authorization: "Bearer hook-secret",
      "content-type": "application/json",
    });

    hook.asked = [];
    await alice.edit(room, parent, "edited");
    await alice.redact(parent);
    expect(hook.asked.map(({ events }) => events.map(({ updates, redacts }) => updates ?? redacts))).toEqual([
      [parent],
      [parent, expect.any(String)],
    ]);

    hook.asked = [];
    await alice.setState(room, "org.example.x", { a: 1 }, "_k");
    await alice.do(
      `mutation ($roomId: ID!) { deleteState(input: { roomId: $roomId, type: "org.example.x", stateKey: "_k" }) { event { id } } }`,
      { roomId: room },
    );
    const state = { type: "org.example.x", state_key: "_k", sender: alice.userId, room_id: room };
    expect(hook.asked.map(({ events }) => events)).toEqual([[{ ...state, content: { a: 1 } }], [state]]);
  });

  it("isn't asked about what the rules refuse, nor about what needs no event", async () => {
    expect(
      await bob.code(setState, { input: { roomId: room, type: "m.room.name", stateKey: "_", content: { name: "x" } } }),
    ).toBe("NOT_FOUND");
    expect(
      await alice.code(setState, { input: { roomId: room, type: "m.room.name", stateKey: "_", content: { name: 1 } } }),
    ).toBe("BAD_INPUT");
    expect(codeOf(await say(alice, "x".repeat(70_000)))).toBe("TOO_LARGE");
    await alice.join(room);
    expect(hook.asked).toEqual([]);
  });

  it("refuses with its reason, and nothing is stored", async () => {
    const before = await stored(room);
    hook.answer = () => ({ decision: "refuse", reason: "No links here." });
    const refused = await say(alice, "http://example.org");
    expect(refused.errors?.[0]).toMatchObject({ message: "No links here.", extensions: { code: "FORBIDDEN" } });
    hook.answer = () => ({ decision: "refuse", reason: "y".repeat(1001) });
    expect((await say(alice, "x")).errors?.[0]?.message).toBe("y".repeat(1000));
    // Whoever may do it by the rules is told, though the room is hidden otherwise.
    const joining = "mutation ($roomId: ID!) { joinRoom(input: { target: { roomId: $roomId } }) { event { id } } }";
    expect(await bob.code(joining, { roomId: room })).toBe("FORBIDDEN");
    for (const odd of [{ decision: "refuse" }, { decision: "refuse", reason: 7 }, { decision: "refuse", reason: "" }]) {
      hook.answer = () => odd;
      expect((await say(alice, "x")).errors?.[0]?.message).toBe("The policy of this server refuses it.");
    }
    expect(await stored(room)).toEqual(before);
  });

  it("changes contents by index, in a batch as well", async () => {
    hook.answer = () => ({
      decision: "change",
      contents: { "1": { msgtype: "m.text", body: "***", "org.example.by": 1 } },
    });
    await alice.do(sendMessages, { input: { roomId: room, messages: [text("one"), text("two"), text("three")] } });
    expect((await stored(room)).slice(-3).map(({ content }) => content["body"])).toEqual(["one", "***", "three"]);
    // What follows the stream got the same: the mirrors check that at the end.
    hook.answer = () => ({ decision: "change", contents: {} });
    await alice.send(room, "as it is");
    expect((await stored(room)).at(-1)?.content).toEqual({ body: "as it is", msgtype: "m.text" });
  });

  it("sees a new room as a whole, and may change or refuse it as a whole", async () => {
    hook.answer = ({ events }) => {
      const name = events.findIndex(({ type }) => type === "m.room.name");
      return { decision: "change", contents: { [name]: { name: "Renamed" } } };
    };
    const made = await alice.createRoom({ name: "Named", invite: [bob.userId], alias: "#made:localhost" });
    expect(hook.asked).toHaveLength(1);
    expect(hook.asked[0]).toMatchObject({ action: "createRoom", room_id: made, sender: alice.userId });
    const events = await stored(made);
    expect(hook.asked[0]?.events.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
    expect(events.find(({ type }) => type === "m.room.name")?.content).toEqual({ name: "Renamed" });

    const rooms = () => sql(server.databaseUrl, "SELECT room_id FROM room");
    const before = await rooms();
    hook.answer = () => ({ decision: "refuse", reason: "No rooms." });
    const refused = await alice.ask(createRoom, { input: { name: "Never", alias: "#never:localhost" } });
    expect(refused.errors?.[0]).toMatchObject({ message: "No rooms.", extensions: { code: "FORBIDDEN" } });
    expect(await rooms()).toEqual(before);
  });

  describe.each<[string, (index: (type: string) => number) => Record<string, unknown> | unknown]>([
    ["the creation", (index) => ({ [index("m.room.create")]: { creator: "@bob:localhost" } })],
    ["the server's own event", (index) => ({ [index("m.room.aliases")]: { aliases: [] } })],
    ["a membership", (index) => ({ [index("m.room.member")]: { membership: "leave" } })],
    ["a membership's other keys", (index) => ({ [index("m.room.member")]: { membership: "join", displayname: "x" } })],
    [
      "the power of the creator beyond theirs",
      (index) => ({ [index("m.room.power_levels")]: { users: { "@alice:localhost": 101 } } }),
    ],
    [
      "power levels so that what follows is forbidden",
      (index) => ({ [index("m.room.power_levels")]: { users: {}, users_default: 0 } }),
    ],
    ["a name to no name", (index) => ({ [index("m.room.name")]: { name: 1 } })],
    ["fractions", (index) => ({ [index("m.room.topic")]: { topic: "x", level: 1.5 } })],
    ["NUL", (index) => ({ [index("m.room.topic")]: { topic: "\0" } })],
    ["too much", (index) => ({ [index("m.room.topic")]: { topic: "x".repeat(66_000) } })],
    ["to no object", (index) => ({ [index("m.room.topic")]: ["x"] })],
    ["an event that isn't there", () => ({ "99": {} })],
    ["an index that is none", () => ({ "00": {} })],
    ["nothing that can be read", () => [1]],
    ["nothing at all", () => undefined],
  ])("changing %s", (_what, contents) => {
    it("refuses the action, and nothing is stored", async () => {
      const before = await sql(server.databaseUrl, "SELECT count(*) FROM event");
      hook.answer = ({ events }) => ({
        decision: "change",
        contents: contents((type) => events.findIndex((event) => event.type === type)),
      });
      const input = { name: "Named", topic: "Topic", alias: "#changed:localhost" };
      const refused = await alice.ask(createRoom, { input });
      expect(refused.errors?.[0]?.message).toBe(
        "The policy of this server refuses it: it wants a change that isn't possible.",
      );
      expect(codeOf(refused)).toBe("FORBIDDEN");
      expect(await sql(server.databaseUrl, "SELECT count(*) FROM event")).toEqual(before);
    });
  });

  it("gives no user power that they don't have", async () => {
    const shared = await alice.createRoom({ joinRule: "PUBLIC" });
    await bob.join(shared);
    await alice.do("mutation ($input: PatchPowerLevelsInput!) { patchPowerLevels(input: $input) { event { id } } }", {
      input: { roomId: shared, path: ["users", bob.userId], value: 60 },
    });
    const mine = { roomId: shared, type: "m.room.power_levels", stateKey: "_" };
    const held = (await stored(shared)).findLast(({ type }) => type === "m.room.power_levels")!.content;
    hook.answer = () => ({ decision: "change", contents: { "0": { ...held, users: { [bob.userId]: 100 } } } });
    expect(await bob.code(setState, { input: { ...mine, content: { ...held, invite: 10 } } })).toBe("FORBIDDEN");
    hook.answer = () => ({ decision: "change", contents: { "0": { ...held, invite: 20 } } });
    expect(await bob.code(setState, { input: { ...mine, content: { ...held, invite: 10 } } })).toBe(null);
    expect((await stored(shared)).at(-1)?.content["invite"]).toBe(20);
    // Alice may ban, but she asked for something else.
    const kicking = "mutation ($i: KickUserInput!) { kickUser(input: $i) { event { id } } }";
    hook.answer = () => ({ decision: "change", contents: { "0": { membership: "ban" } } });
    expect(await alice.code(kicking, { i: { roomId: shared, userId: bob.userId } })).toBe("FORBIDDEN");
    hook.answer = () => ({ decision: "change", contents: { "0": { membership: "leave", reason: "By rule 1." } } });
    await alice.membership("kick", shared, bob.userId);
    expect((await stored(shared)).at(-1)?.content).toEqual({ membership: "leave", reason: "By rule 1." });
  });

  it("changes a redaction's reason and a deletion not at all", async () => {
    await alice.setState(room, "org.example.gone", { a: 1 });
    hook.answer = () => ({ decision: "change", contents: { "0": {} } });
    const deletion = `mutation ($roomId: ID!) { deleteState(input: { roomId: $roomId, type: "org.example.gone" }) { event { id } } }`;
    expect(await alice.code(deletion, { roomId: room })).toBe("FORBIDDEN");
    hook.answer = () => accept;
    const [kept, target] = [await alice.send(room, "kept"), await alice.send(room, "target")];
    hook.answer = () => ({ decision: "change", contents: { "0": { reason: "By rule 3." } } });
    await alice.redact(target);
    expect((await stored(room)).at(-1)).toEqual({ type: "m.room.redaction", content: { reason: "By rule 3." } });
    hook.answer = () => ({ decision: "change", contents: { "0": { other: 1 } } });
    await expect(alice.redact(kept)).rejects.toThrow("FORBIDDEN");
  });

  it("answers many at once: none waits for another", async () => {
    let waiting: ((answer: HookAnswer) => void)[] = [];
    // Nobody is answered before all have asked.
    hook.answer = () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        if (waiting.length < 100) return;
        for (const each of waiting) each(accept);
        waiting = [];
      });
    const sent = await Promise.all(Array.from({ length: 100 }, (_, n) => alice.send(room, `at once ${n}`)));
    expect(new Set(sent).size).toBe(100);
  });

  it("is asked once about events whose room changed meanwhile, and its verdict holds", async () => {
    const busy = await alice.createRoom({ joinRule: "PUBLIC" });
    hook.asked = [];
    hook.answer = async ({ action }) => {
      if (action !== "sendMessage") return accept;
      // Meanwhile the room's auth version moves on, so that the plan is stale.
      await bob.join(busy);
      return { decision: "change", contents: { "0": { msgtype: "m.text", body: "judged" } } };
    };
    await alice.send(busy, "stale");
    expect(hook.asked.filter(({ action }) => action === "sendMessage")).toHaveLength(1);
    expect((await stored(busy)).map(({ content }) => content["body"] ?? content["membership"]).slice(-2)).toEqual([
      "join",
      "judged",
    ]);
  });

  it("does not let pass what the rules refuse by the time it has answered", async () => {
    const busy = await alice.createRoom({ joinRule: "PUBLIC" });
    await bob.join(busy);
    hook.asked = [];
    hook.answer = async ({ action }) => {
      if (action === "sendMessage") await alice.membership("kick", busy, bob.userId);
      return accept;
    };
    expect(await bob.code(sendMessage, { input: { roomId: busy, message: text("late") } })).toBe("FORBIDDEN");
    expect((await stored(busy)).at(-1)?.type).toBe("m.room.member");
  });

  it("[ACT-2] a repeated action has its first outcome, and the hook isn't asked again", async () => {
    const first = await alice.send(room, "once", "act-1");
    hook.asked = [];
    hook.answer = () => ({ decision: "refuse" });
    expect(await alice.send(room, "once", "act-1")).toBe(first);
    expect(codeOf(await say(alice, "another", "act-1"))).toBe("CONFLICT");
    expect(hook.asked).toEqual([]);
    // An action that was refused has no outcome: the same id may be used until the hook lets it pass.
    expect(codeOf(await say(alice, "later", "act-2"))).toBe("FORBIDDEN");
    hook.answer = () => accept;
    expect(codeOf(await say(alice, "later", "act-2"))).toBe(null);
  });

  it("[ACT-2] one action sent several times at once is done once, though each asked the hook", async () => {
    const sent = await Promise.all(Array.from({ length: 5 }, () => alice.send(room, "same", "act-same")));
    expect(new Set(sent).size).toBe(1);
  });
});

describe("a hook that fails", () => {
  const failing: [string, HookAnswer][] = [
    ["is late", () => undefined],
    ["begins an answer and goes on for ever", (response) => void response.write("{")],
    ["redirects", (response) => void response.writeHead(307, { location: "/elsewhere" }).end()],
    ["answers status 500", (response) => void response.writeHead(500).end(JSON.stringify(accept))],
    ["answers no JSON", (response) => void response.end("accept")],
    ["answers nothing", (response) => void response.end()],
    ["answers JSON that is no verdict", { decision: "perhaps" }],
    ["answers more than 1 MB", { ...accept, more: "x".repeat(1_000_001) }],
    ["hangs up", (response) => void response.destroy()],
  ];
  const apps = new Map<string, { server: TestApp; alice: Client; room: string }>();
  let other: PolicyHook;

  beforeAll(async () => {
    other = await startHook();
    for (const failure of ["refuse", "accept"] as const) {
      const server = await startApp({ config: settings(other, { timeoutMs: 400, failure }) });
      other.answer = () => accept;
      const alice = await server.user("alice");
      apps.set(failure, { server, alice, room: await alice.createRoom() });
    }
  });
  afterAll(async () => {
    for (const { server } of apps.values()) await server.close();
    await other.close();
  });

  const expected = { refuse: "OVERLOADED", accept: null } as const;
  describe.each(["refuse", "accept"] as const)("when the setting says %s", (failure) => {
    it.each(failing)("%s", async (_how, answer) => {
      const { alice, room } = apps.get(failure)!;
      other.asked = [];
      other.answer = () => answer;
      const timeline = await alice.timeline(room);
      expect(await alice.code(sendMessage, { input: { roomId: room, message: text("hello") } })).toBe(
        expected[failure],
      );
      expect(other.asked).toHaveLength(1);
      expect((await alice.timeline(room)).length).toBe(timeline.length + (failure === "accept" ? 1 : 0));
    });

    it("refuses, whatever the setting says, what it wants changed in a way that can't be", async () => {
      const { alice, room } = apps.get(failure)!;
      other.answer = () => ({ decision: "change", contents: { "0": { level: 0.5 } } });
      expect(await alice.code(sendMessage, { input: { roomId: room, message: text("hello") } })).toBe("FORBIDDEN");
    });

    it("isn't there", async () => {
      const gone = await startHook();
      await gone.close();
      const server = await startApp({ config: settings(gone, { failure }), mirrors: false });
      const alice = await server.user("alice");
      expect(await alice.code(createRoom, { input: {} })).toBe(expected[failure]);
      await server.close();
    });
  });

  it("[ACT-2] doesn't keep a repeated action from its first outcome", async () => {
    const { alice, room } = apps.get("refuse")!;
    other.answer = () => accept;
    const first = await alice.send(room, "once", "act-1");
    other.answer = () => (response) => void response.destroy();
    expect(await alice.send(room, "once", "act-1")).toBe(first);
  });
});

describe("the policy hook, after events were stored", () => {
  it("[EVS-7] takes back what the review rejects, and restores state", async () => {
    const reviewer = await startHook(({ phase, events }) =>
      phase === "before"
        ? accept
        : {
            reject: events
              .filter(({ content }) => JSON.stringify(content ?? {}).includes("spam"))
              .map(({ event_id }) => ({ event_id, reason: "No spam." })),
          },
    );
    const server = await startApp({ config: settings(reviewer, { review: true }) });
    const alice = await server.user("alice");
    const room = await alice.createRoom({ topic: "tea" });
    const spam = await alice.send(room, "spam");
    await alice.setState(room, "m.room.topic", { topic: "spam" });
    const read = `query ($room: ID!, $spam: ID!) {
      room(id: $room) { topic }
      event(id: $spam) { content redactedBy { senderId typed { ... on RedactionContent { reason } } } }
    }`;
    const redactedBy = { senderId: "localhost", typed: { reason: "No spam." } };
    await until(async () => {
      const data = await alice.do(read, { room, spam });
      return isDeepStrictEqual(data, { room: { topic: "tea" }, event: { content: {}, redactedBy } });
    });
    expect(server.errors).toEqual([]);
    await server.close();
    await reviewer.close();
  });

  it("reviews them where the settings say so, over a restart of the server", async () => {
    const reviewer = await startHook(({ phase }) => (phase === "before" ? accept : { reject: [] }));
    const reviewed = (): unknown[] =>
      reviewer.asked.flatMap(({ phase, events }) => (phase === "after" ? events.map(({ event_id }) => event_id) : []));
    const first = await startApp({ config: settings(reviewer, { review: true }) });
    const alice = await first.user("alice");
    const room = await alice.createRoom();
    const sent = [...(await alice.timeline(room)), await alice.send(room, "hello")];
    await until(() => reviewed().length >= sent.length);
    await first.close();

    const second = await startApp({ config: settings(reviewer, { review: true }), databaseUrl: first.databaseUrl });
    const back = await Client.login(second.address, "alice", "another");
    sent.push(await back.send(room, "again"));
    await until(() => reviewed().includes(sent.at(-1)));
    // The last page may come twice, when the server stopped before it noted that it was done.
    expect([...new Set(reviewed())]).toEqual(sent);
    await second.close();
    await reviewer.close();
  });
});

test("the example of docs/policy.md does what the page says", async () => {
  const source = /```js\n(.*?)```/s.exec(readFileSync("docs/policy.md", "utf8"))![1]!;
  const port = await freePort();
  const example = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    env: { ...process.env, HOOK_TOKEN: "secret", HOOK_PORT: String(port) },
    stdio: "inherit",
  });
  try {
    const url = `http://127.0.0.1:${port}/`;
    const ask = async (question: object, token = "secret"): Promise<unknown> => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(question) });
      return response.ok ? response.json() : response.status;
    };
    await until(() => fetch(url).then(Boolean, () => false));
    expect(await ask({}, "wrong")).toBe(401);
    const spam = { event_id: "$1", content: { body: "spam" } };
    const events = [spam, { ...spam, event_id: "$2", redacted_by: "$3" }, { event_id: "$4" }];
    expect(await ask({ phase: "after", events })).toEqual({ reject: [{ event_id: "$1", reason: "Spam." }] });

    const policy = { url, token: "secret", timeoutMs: 10_000, failure: "refuse", review: false } as const;
    const server = await startApp({ config: { policy } });
    const [alice, bob] = [await server.user("alice"), await server.user("bob")];
    const room = await alice.createRoom({ joinRule: "PUBLIC" });
    await bob.join(room);
    await alice.send(room, "https://example.org");
    await expect(bob.send(room, "https://example.org")).rejects.toThrow("Links are for friends.");
    const sent = await bob.send(room, "darn it");
    const [row] = await sql<{ content: string }>(server.databaseUrl, "SELECT content FROM event WHERE event_id = $1", [
      sent,
    ]);
    expect(JSON.parse(row!.content)).toEqual({ msgtype: "m.text", body: "**** it" });
    await server.close();
  } finally {
    example.kill();
  }
});
