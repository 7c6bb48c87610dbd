import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createReview, type Review, type ReviewOptions } from "../../src/domain/policy/review.ts";
import { HearthError } from "../../src/model/errors.ts";
import { beginReview, keepReview, leaveReview, takeReview } from "../../src/store/policyReview.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { startHook, type Asked, type PolicyHook } from "../kit/policyHook.ts";
import { until } from "../kit/until.ts";

let hook: PolicyHook;
let server: TestApp;
let alice: Client;
let room: string;
let rejected: [eventId: string, reason: string | null][];
let logged: string[];
const opened: (Review | TestApp)[] = [];

beforeEach(async () => {
  rejected = [];
  logged = [];
  hook = await startHook(() => ({ reject: [] }));
  server = await startApp();
  opened.push(server);
  alice = await server.user("alice");
  room = await alice.createRoom({ joinRule: "PUBLIC", alias: "#room:localhost" });
});
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
  await hook.close();
});

/** Reviews as an app does, with what rejects events under the test's eye. */
async function review(more: Partial<ReviewOptions> = {}, app: TestApp = server, processId = "one"): Promise<Review> {
  const note = (fields: object, message: string): void => void logged.push(message);
  const review = await createReview({
    settings: { url: hook.url, token: null, timeoutMs: 5000, failure: "refuse" },
    database: app.database,
    head: app.app.domain.head,
    serverName: "localhost",
    processId,
    fetch,
    log: { debug: note, info: note, warn: note, error: note },
    firstPauseMs: 5,
    async reject(eventId, reason) {
      rejected.push([eventId, reason]);
    },
    ...more,
  });
  opened.push(review);
  return review;
}

const shown = (): string[] => hook.asked.flatMap(({ events }) => events.map((event) => event.event_id!));
const reviewed = async (): Promise<number> =>
  Number((await sql<{ position: string }>(server.databaseUrl, "SELECT position FROM policy_review"))[0]?.position);
const settled = (): Promise<void> =>
  until(
    async () => (await reviewed()) === server.app.domain.head.position,
    () => `reviewed less than all: ${logged.join(", ")}`,
  );

/** Rejects what says "bad". */
const rejectBad = ({ events }: Asked): object => ({
  reject: events
    .filter(({ content }) => content?.["body"] === "bad")
    .map(({ event_id }) => ({ event_id, reason: "It says so." })),
});

describe("the review of stored events by the policy hook", () => {
  it("[EVS-7] starts from now, shows events as clients see them, and rejects what the hook wants", async () => {
    await alice.send(room, "before");
    await review();
    hook.answer = rejectBad;
    const good = await alice.send(room, "good", "act-1");
    const bad = await alice.send(room, "bad");
    await settled();
    expect(rejected).toEqual([[bad, "It says so."]]);
    expect(shown()).toEqual([good, bad]);
    expect(hook.asked[0]?.phase).toBe("after");
    expect(hook.asked[0]?.events[0]).toEqual({
      event_id: good,
      type: "message:m.room.message",
      room_id: room,
      sender: alice.userId,
      origin_server_ts: expect.any(Number),
      content: { body: "good", msgtype: "m.text" },
    });
  });

  it("never shows what the server itself sent", async () => {
    await review();
    const made = await alice.createRoom({ alias: "#other:localhost" });
    await settled();
    const types = hook.asked.flatMap(({ events }) =>
      events.filter(({ room_id }) => room_id === made).map(({ type }) => type),
    );
    expect(types).toContain("state:m.room.create");
    expect(types).not.toContain("state:m.room.aliases");
  });

  it("shows pages of up to 100 events, in order, and none twice", async () => {
    await review();
    const sent: string[] = [];
    const texts = Array.from({ length: 90 }, (_, n) => ({ content: { text: { body: `${n}` } } }));
    for (let batch = 0; batch < 3; batch++) {
      const { sendMessages } = await alice.do<{ sendMessages: { events: { id: string }[] } }>(
        "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }",
        { input: { roomId: room, messages: texts } },
      );
      sent.push(...sendMessages.events.map(({ id }) => id));
    }
    await settled();
    expect(shown()).toEqual(sent);
    expect(Math.max(...hook.asked.map(({ events }) => events.length))).toBeLessThanOrEqual(100);
  });

  it("goes on after a restart where it was, without leaving anything out", async () => {
    const first = await review();
    const sent = [await alice.send(room, "first")];
    await settled();
    await first.close();
    sent.push(await alice.send(room, "while away"));
    await review({}, server, "two");
    sent.push(await alice.send(room, "last"));
    await settled();
    expect(shown()).toEqual(sent);
  });

  it("shows the last page again after it was stopped in the middle of it", async () => {
    const first = await review();
    hook.answer = () => new Promise(() => undefined);
    const sent = [await alice.send(room, "one")];
    await until(() => hook.asked.length === 1);
    await first.close();
    hook.answer = rejectBad;
    sent.push(await alice.send(room, "bad"));
    await review({}, server, "two");
    await settled();
    expect(shown()).toEqual([sent[0], ...sent]);
    expect(rejected.map(([id]) => id)).toEqual([sent[1]]);
  });

  it("is done once by two processes on one database, and by the other one when one stops", async () => {
    const other = await startApp({ databaseUrl: server.databaseUrl });
    opened.push(other);
    hook.answer = rejectBad;
    const first = await review();
    const second = await review({}, other, "two");
    const sent: string[] = [];
    for (let n = 0; n < 20; n++) sent.push(await alice.send(room, n % 5 === 0 ? "bad" : "good"));
    await settled();
    expect(shown()).toEqual(sent);
    expect(rejected).toHaveLength(4);
    await first.close();
    sent.push(await alice.send(room, "after the first"));
    await settled();
    await second.close();
    expect(shown()).toEqual(sent);
  });

  it("takes over from a process that died once its turn has lapsed, and not before", async () => {
    const first = await review();
    await first.close();
    await sql(
      server.databaseUrl,
      "UPDATE policy_review SET lease_process = 'dead', lease_until = now() + interval '1 hour'",
    );
    let tries = 0;
    const counting = new Proxy(server.database.reader, {
      get(target, name, receiver) {
        if (name === "$queryRawUnsafe") tries += 1;
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const sent = await alice.send(room, "left behind");
    await review({ database: { ...server.database, reader: counting } }, server, "two");
    // Its first statement makes the row if needed, each further one is a try to take the turn.
    await until(() => tries >= 3);
    expect(hook.asked).toEqual([]);
    await sql(server.databaseUrl, "UPDATE policy_review SET lease_until = now() - interval '1 second'");
    await settled();
    expect(shown()).toEqual([sent]);
  });

  it("stops rejecting, and moves nothing, when another process took over meanwhile", async () => {
    hook.answer = rejectBad;
    await review({
      async reject(eventId, reason) {
        rejected.push([eventId, reason]);
        const stolen =
          "UPDATE policy_review SET lease_process = 'thief', lease_number = lease_number + 1, lease_until = now() + interval '1 hour'";
        if (rejected.length === 1) await sql(server.databaseUrl, stolen);
      },
    });
    const from = await reviewed();
    const message = { content: { text: { body: "bad" } } };
    const { sendMessages } = await alice.do<{ sendMessages: { events: { id: string }[] } }>(
      "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }",
      { input: { roomId: room, messages: [message, message, message] } },
    );
    const bad = sendMessages.events.map(({ id }) => id);
    await until(() => rejected.length === 1);
    await sql(server.databaseUrl, "UPDATE policy_review SET position = $1 WHERE lease_process = 'thief'", [from]);
    await sql(server.databaseUrl, "UPDATE policy_review SET lease_until = now() - interval '1 second'");
    await settled();
    // The first one again, since nobody noted the page; but the interrupted run itself rejected no more than one.
    expect(rejected.map(([id]) => id)).toEqual([bad[0], ...bad]);
  });

  it("takes no word of a turn that was lost, even from a process that has a new one", async () => {
    const { reader } = server.database;
    await beginReview(reader);
    const turn = (await takeReview(reader, "one", 60_000))!;
    expect(await takeReview(reader, "two", 60_000)).toBe(null);
    await leaveReview(reader, "one");
    await takeReview(reader, "two", 60_000);
    await leaveReview(reader, "two");
    const next = (await takeReview(reader, "one", 60_000))!;
    expect(await keepReview(reader, "one", { ...turn, position: 1 }, 60_000)).toBe(false);
    expect(await keepReview(reader, "one", next, 60_000)).toBe(true);
    expect(await reviewed()).toBe(next.position);
  });

  it("asks a failing hook again and again when nothing may pass without it", async () => {
    await review();
    hook.answer = () => (hook.asked.length <= 8 ? { no: "verdict" } : rejectBad(hook.asked.at(-1)!));
    const bad = await alice.send(room, "bad");
    await settled();
    expect(shown()).toEqual(Array.from({ length: 9 }, () => bad));
    expect(rejected).toEqual([[bad, "It says so."]]);
  });

  it("passes over a page after five failures when that is to be accepted, and says so", async () => {
    await review({ settings: { url: hook.url, token: null, timeoutMs: 5000, failure: "accept" } });
    hook.answer = () => (response) => void response.writeHead(503).end();
    const lost = await alice.send(room, "bad");
    await settled();
    expect(shown()).toEqual(Array.from({ length: 5 }, () => lost));
    expect(logged).toContain("events were not reviewed by the policy hook");
    hook.answer = rejectBad;
    const bad = await alice.send(room, "bad");
    await settled();
    expect(rejected).toEqual([[bad, "It says so."]]);
  });

  it("tries again what the store couldn't do, and goes on after what can't be rejected", async () => {
    const failures = [new HearthError("OVERLOADED", "away"), new Error("away"), new HearthError("BAD_INPUT", "never")];
    await review({
      settings: { url: hook.url, token: null, timeoutMs: 5000, failure: "accept" },
      async reject(eventId, reason) {
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        rejected.push([eventId, reason]);
      },
    });
    hook.answer = ({ events }) => ({
      // Neither unknown events nor odd reasons keep the others from being rejected.
      reject: [{ event_id: "$unknown" }, ...events.map(({ event_id }) => ({ event_id, reason: 7 }))],
    });
    const first = await alice.send(room, "never");
    await settled();
    expect(shown()).toEqual([first, first, first]);
    const second = await alice.send(room, "now");
    await settled();
    expect(rejected).toEqual([[second, null]]);
  });
});
