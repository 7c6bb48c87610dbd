import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Memory, type Incoming, type Outgoing } from "../../examples/bridge-irc/memory.ts";
import { isChannel, Names, nicksFor } from "../../examples/bridge-irc/names.ts";
import { readOptions } from "../../examples/bridge-irc/options.ts";
import { Backoff, insist, Pace, Turns } from "../../examples/bridge-irc/retry.ts";
import { isLong, plainText, shortened, split, toIrc } from "../../examples/bridge-irc/text.ts";

const addressOf = (mxc: string, name: string) => `<${mxc} as ${name}>`;
const said = (content: Record<string, unknown>) => toIrc(content, null, addressOf);

describe("names", () => {
  const names = new Names();

  test("upper and lower case are those of RFC 1459, unless the network says what else", () => {
    expect(names.fold("Nick[A]\\~ÄÖ")).toBe("nick{a}|^ÄÖ");
    expect(names.isSame("#Hearth[1]", "#hearth{1}")).toBe(true);
    expect(names.isSame("ä", "Ä")).toBe(false);
    const others = new Names();
    others.caseMapping = "ascii";
    expect(others.fold("Nick[A]\\~")).toBe("nick[a]\\~");
    others.caseMapping = "strict-rfc1459";
    expect(others.fold("Nick[A]\\~")).toBe("nick{a}|~");
  });

  test("[AS-13] ghosts' ids hold any nick, and each id stands for one nick", () => {
    expect(names.suffixOfNick("Bob")).toBe("bob");
    expect(names.suffixOfNick("[Bob]|x^")).toBe("=7bbob=7d=7cx=5e");
    expect(names.nickOfSuffix("=7bbob=7d=7cx=5e")).toBe("{bob}|x^");
    for (const never of ["Bob", "b=6fb", "=7Bbob", "=5bbob", "9lives", "-bob", "", "bo b", "b=20b", "bob=ff"]) {
      expect(names.nickOfSuffix(never)).toBe(null);
    }
  });

  test("[AS-3] aliases hold any channel, and each alias stands for one channel", () => {
    expect(names.suffixOfChannel("#Hearth")).toBe("#hearth");
    expect(names.suffixOfChannel("##c++/ä:x=1")).toBe("##c++/ä=3ax=3d1");
    expect(names.channelOfSuffix("##c++/ä=3ax=3d1")).toBe("##c++/ä:x=1");
    for (const never of ["#Hearth", "hearth", "#a,b", "#a b", "#a=2cb", "#a=20b", `#${"x".repeat(200)}`, "#=c3", ""]) {
      expect(names.channelOfSuffix(never)).toBe(null);
    }
    expect(isChannel("#a\u0007b")).toBe(false);
  });

  test("whatever a channel is called, its alias leads back to it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (name) => {
        fc.pre(isChannel(`#${name}`));
        const suffix = names.suffixOfChannel(`#${name}`);
        expect(names.channelOfSuffix(suffix)).toBe(names.fold(`#${name}`));
        expect(suffix).not.toContain(":");
      }),
    );
  });

  test("nicks that are tried are as long as the network allows, and all different", () => {
    const first = (count: number, ...of: Parameters<typeof nicksFor>) =>
      Array.from(
        { length: count },
        (
          (nicks) => () =>
            nicks.next().value
        )(nicksFor(...of)),
      );
    expect(first(3, "alice", "[m]", 16)).toEqual(["alice[m]", "alice1[m]", "alice2[m]"]);
    expect(first(11, "alexandria", "[m]", 9).slice(8)).toEqual(["alexa8[m]", "alexa9[m]", "alex10[m]"]);
    expect(first(1, "9.lives/=+", "", 9)).toEqual(["_9_lives_"]);
    expect(first(2, "alice", "[matrix]", 4)).toEqual(["_0", "_1"]);
  });
});

describe("what is said on Matrix", () => {
  test("messages, emotes and notices", () => {
    expect(said({ msgtype: "m.text", body: "Hello\tthere\r\nyou" })).toEqual({
      how: "message",
      text: "Hello there\nyou",
    });
    expect(said({ msgtype: "m.emote", body: "waves" })).toEqual({ how: "action", text: "waves" });
    expect(said({ msgtype: "m.notice", body: "beep" })).toEqual({ how: "notice", text: "beep" });
    expect(said({ msgtype: "m.text", body: "a\u0001b\u0000\u0003c" })).toEqual({ how: "message", text: "abc" });
    for (const nothing of [{}, { body: 7 }, { body: " \n" }, { body: "\u0001" }]) expect(said(nothing)).toBe(null);
  });

  test("files are links, with their caption below", () => {
    const file = { msgtype: "m.image", body: "cat.png", url: "mxc://hs/id", info: { size: 12_345 } };
    expect(said(file)).toEqual({ how: "action", text: "sent cat.png (12.3 kB): <mxc://hs/id as cat.png>" });
    expect(said({ ...file, filename: "cat.png", body: "My cat", info: null })).toEqual({
      how: "action",
      text: "sent cat.png: <mxc://hs/id as cat.png>\nMy cat",
    });
    expect(said({ ...file, url: "https://example.org" })?.text).toBe("cat.png");
  });

  test("replies quote what they answer to, in short", () => {
    const relation = { "m.in_reply_to": { event_id: "$1" } };
    const reply = { msgtype: "m.text", body: "> <@bob:hs> Is it\n> warm?\n\n> Very.", "m.relates_to": relation };
    expect(toIrc(reply, { nick: "bob", text: "Is it\nwarm?" }, addressOf)?.text).toBe('bob: "Is it warm?" > Very.');
    expect(toIrc(reply, null, addressOf)?.text).toBe("> Very.");
    // Only replies begin with what isn't their own.
    expect(said({ msgtype: "m.text", body: "> a\n\nb" })?.text).toBe("> a\n\nb");
    expect(shortened("👩‍👩‍👧".repeat(80), 60)).toBe(`${"👩‍👩‍👧".repeat(59)}…`);
  });

  test("edits are said anew", () => {
    const edit = { body: " * warm", "m.new_content": { msgtype: "m.emote", body: "warm" } };
    expect(said({ ...edit, "m.relates_to": { rel_type: "m.replace", event_id: "$1" } })).toEqual({
      how: "action",
      text: "* warm",
    });
  });
});

test("IRC's colours and formats are left out", () => {
  expect(plainText("\u0002bold\u000f \u000304,12red\u0003 \u0004ff0000x\u001f1")).toBe("bold red x1");
  expect(plainText("\u00031234")).toBe("34");
});

describe("long messages", () => {
  test("are cut between lines and words, and in a word only where nothing else helps", () => {
    expect(split("one two three\n\nfour", 8)).toEqual(["one two", "three", "four"]);
    expect(split("a abcdefghij b", 4)).toEqual(["a", "abcd", "efgh", "ij b"]);
    expect(split("  in  a  row", 100)).toEqual(["  in  a  row"]);
  });

  test("are never cut within a letter of UTF-8, nor in what people see as one if it fits", () => {
    expect(split("äöü", 4)).toEqual(["äö", "ü"]);
    expect(split("x👩‍👩‍👧y", 18)).toEqual(["x", "👩‍👩‍👧", "y"]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.integer({ min: 4, max: 60 }), (text, bytes) => {
        const line = text.replaceAll("\n", "");
        const pieces = split(line, bytes);
        for (const piece of pieces) {
          expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(bytes);
          expect(piece.isWellFormed()).toBe(true);
        }
        // Nothing is lost or doubled but the blanks at which it was cut.
        expect(pieces.join("").replaceAll(" ", "")).toBe(line.trim() === "" ? "" : line.replaceAll(" ", ""));
      }),
    );
  });

  test("that would be a flood are known as such", () => {
    expect(isLong("a\nb\nc", 3)).toBe(false);
    expect(isLong("a\nb\nc\nd", 3)).toBe(true);
    expect(isLong("x".repeat(1100), 3)).toBe(true);
  });
});

describe("what the bridge remembers", () => {
  let folder: string;
  const file = () => join(folder, "deep", "memory.json");
  const open = (): Memory =>
    new Memory(file(), (error) => {
      throw error;
    });
  const hello: Outgoing = { id: "$1", user: "@alice:hs", room: "!r:hs", target: "#c", how: "message", text: "Hello" };
  const answer: Incoming = { id: "1", nick: "bob", at: 1, to: { channel: "#c" }, content: { body: "Hi" } };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-bridge-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test("is there after a restart, until it is done", async () => {
    const memory = open();
    expect(memory.hasTaken("$1")).toBe(false);
    await memory.take("$1", [hello]);
    await memory.receive(answer);
    await memory.rememberDirect("!d:hs", { user: "@alice:hs", nick: "bob" });
    const again = open();
    expect(again.hasTaken("$1")).toBe(true);
    expect(again.nextOf("@alice:hs")).toEqual(hello);
    expect(again.nextOf("@carol:hs")).toBe(undefined);
    expect(again.incoming).toEqual([answer]);
    expect(again.roomFor("@alice:hs", "bob")).toBe("!d:hs");
    await Promise.all([again.sent(again.nextOf("@alice:hs")!), again.delivered(again.incoming[0]!)]);
    await again.forgetDirect("!d:hs");
    const last = open();
    expect([last.nextOf("@alice:hs"), last.incoming, last.talkers]).toEqual([undefined, [], new Set()]);
    expect(last.hasTaken("$1")).toBe(true);
  });

  test("is whole at every moment, and told as saved only when it is", async () => {
    const memory = open();
    const takes = Array.from({ length: 1200 }, (_, index) => memory.take(`$n${index}`, []));
    await takes[600];
    expect(open().hasTaken("$n600")).toBe(true);
    await memory.saved();
    const whole = open();
    expect(whole.hasTaken("$n1199")).toBe(true);
    // The oldest are forgotten.
    expect(whole.hasTaken("$n199")).toBe(false);
    expect(await readdir(join(folder, "deep"))).toEqual(["memory.json"]);
    const before = await readFile(file(), "utf8");
    await writeFile(file(), before.slice(0, 100));
    expect(open).toThrow("memory.json can't be read");
  });
});

describe("patience", () => {
  test("a few lines go at once, then one each interval, and after a while a few again", () => {
    const pace = new Pace(700, 3);
    expect([0, 0, 0, 0, 0, 10].map((now) => pace.wait(now))).toEqual([0, 0, 0, 700, 1400, 2090]);
    expect(pace.wait(60_000)).toBe(0);
  });

  test("each try waits longer than the one before, up to the longest", () => {
    const backoff = new Backoff(100, 1000);
    const waits = Array.from({ length: 6 }, () => backoff.next());
    for (const [index, most] of [100, 200, 400, 800, 1000, 1000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(most * 0.75);
      expect(waits[index]).toBeLessThanOrEqual(most * 1.25);
    }
    backoff.reset();
    expect(backoff.next()).toBeLessThanOrEqual(125);
  });

  test("the homeserver is asked again when it can't be reached, and not when it says no", async () => {
    const answers = [Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), { statusCode: 503 }];
    let asked = 0;
    const ask = async () => {
      const answer = answers[asked++];
      if (answer) throw answer;
      return "done";
    };
    expect(await insist(ask)).toBe("done");
    expect(asked).toBe(3);
    await expect(insist(() => Promise.reject({ statusCode: 403 }))).rejects.toEqual({ statusCode: 403 });
    await expect(insist(() => Promise.reject(new TypeError("a bug")))).rejects.toThrow("a bug");
  });

  test("what belongs together keeps its order, and a failure doesn't stop the next", async () => {
    const failures: unknown[] = [];
    const turns = new Turns((error) => failures.push(error));
    const done: string[] = [];
    let open = (): void => undefined;
    const closed = new Promise<void>((resolve) => (open = resolve));
    const slow = turns.take("a", () => closed.then(() => void done.push("slow")));
    const failing = turns.take("a", () => Promise.reject(new Error("no")));
    const last = turns.take("a", async () => void done.push("last"));
    await turns.take("b", async () => void done.push("other"));
    open();
    await Promise.all([slow, failing, last]);
    expect(done).toEqual(["other", "slow", "last"]);
    expect(failures).toEqual([new Error("no")]);
  });
});

test("options tell what is wrong with them", () => {
  expect(readOptions(["--irc", "[::1]:6697", "--homeserver", "http://hs:8008/"])).toMatchObject({
    irc: { host: "::1", port: 6697, tls: false },
    homeserver: "http://hs:8008",
    publicUrl: "http://hs:8008",
  });
  for (const wrong of [["--irc", "host"], ["--homeserver", "hs"], ["--line-interval", "-1"], ["--dance"]]) {
    expect(() => readOptions(wrong)).toThrow(wrong[0]);
  }
});
