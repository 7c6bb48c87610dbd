import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { holdAppendLock, sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let root: Client;
let number = 0;

beforeAll(async () => {
  server = await startApp({ config: { admins: ["root"] } });
  root = await server.user("root");
});
afterAll(() => server.close());

const reject = `mutation ($input: RejectEventInput!) { rejectEvent(input: $input) {
  redaction { id senderId sender { id } typed { ... on RedactionContent { redactsId reason } } }
  restored { id senderId type stateKey content deleted replacesId }
} }`;

interface Rejected {
  redaction: { id: string; senderId: string; sender: unknown; typed: { redactsId: string; reason: string | null } };
  restored: { id: string; senderId: string; content: unknown; deleted: boolean; replacesId: string } | null;
}

async function rejectEvent(eventId: string, more: Record<string, unknown> = {}): Promise<Rejected> {
  return (await root.do<{ rejectEvent: Rejected }>(reject, { input: { eventId, ...more } })).rejectEvent;
}

async function people(): Promise<{ ann: Client; bob: Client; roomId: string }> {
  const n = number++;
  const [ann, bob] = await Promise.all([server.user(`ann${n}`), server.user(`bob${n}`)]);
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  return { ann, bob, roomId };
}

async function topic(client: Client, roomId: string): Promise<string | null> {
  const { room } = await client.do<{ room: { topic: string | null } }>(
    "query ($roomId: ID!) { room(id: $roomId) { topic } }",
    { roomId },
  );
  return room.topic;
}

describe("[EVS-7] a rejected message", () => {
  it("is redacted by the server, with its edits, for everybody and at once", async () => {
    const { ann, bob, roomId } = await people();
    await bob.join(roomId);
    const message = await bob.send(roomId, "spam");
    const edit = await bob.edit(roomId, message, "more spam");
    const follow = await ann.follow();
    const { redaction, restored } = await rejectEvent(message, { reason: "spam" });
    expect(redaction).toMatchObject({
      ...{ senderId: "localhost", sender: null },
      typed: { redactsId: message, reason: "spam" },
    });
    expect(restored).toBeNull();
    await follow.until(({ events }) => events.length === 2);
    expect(follow.events.map(({ type, senderId }) => [type, senderId])).toEqual([
      ["m.room.redaction", "localhost"],
      ["m.room.redaction", "localhost"],
    ]);
    for (const id of [message, edit]) {
      const read = await ann.do("query ($id: ID!) { event(id: $id) { content redactedBy { senderId } } }", { id });
      expect(read).toEqual({ event: { content: {}, redactedBy: { senderId: "localhost" } } });
    }
    // Twice is once.
    expect((await rejectEvent(message)).redaction.id).toBe(redaction.id);
    follow.stop();
  });
});

it("[EVS-7] of a rejected redaction the reason is gone, and what it redacted stays so", async () => {
  const { ann, roomId } = await people();
  const message = await ann.send(roomId, "one");
  const redaction = `mutation { redactEvent(input: { eventId: "${message}", reason: "buy pills" }) { event { id } } }`;
  const { redactEvent } = await ann.do<{ redactEvent: { event: { id: string } } }>(redaction);
  await rejectEvent(redactEvent.event.id);
  const read = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on MessageEvent { content redactedBy { id } } } }";
  const { nodes } = await ann.do<{ nodes: object[] }>(read, { ids: [message, redactEvent.event.id] });
  expect(nodes).toMatchObject([{ content: {}, redactedBy: { id: redactEvent.event.id } }, { content: {} }]);
});

it("[EVS-7, REL-4] what is rejected or redacted keeps no text of its sender in its relations", async () => {
  const { ann, bob, roomId } = await people();
  await bob.join(roomId);
  const message = await ann.send(roomId, "one");
  const [first, second] = [
    await bob.react(roomId, message, "BUY PILLS"),
    await bob.react(roomId, message, "MORE PILLS"),
  ];
  await rejectEvent(first);
  await ann.redact(second);
  for (const id of [first, second]) {
    const read = await ann.do(
      "query ($id: ID!) { event(id: $id) { json federated: json(format: FEDERATION) ... on MessageEvent { relatesTo { type eventId key } } } }",
      { id },
    );
    expect(JSON.stringify(read)).not.toContain("PILLS");
    expect(read).toMatchObject({ event: { relatesTo: [{ type: "m.annotation", eventId: message, key: null }] } });
  }
  const stored = await sql(
    server.databaseUrl,
    "SELECT relates_to, relation.key FROM event JOIN relation ON child_id = event_id WHERE event_id = ANY ($1)",
    [[first, second]],
  );
  expect(stored).toHaveLength(2);
  expect(JSON.stringify(stored)).not.toContain("PILLS");
});

describe("[EVS-7] rejected state", () => {
  it("in any order and at once leads back to what was never rejected", async () => {
    for (const order of ["newest first", "oldest first", "at once", "twice at once"]) {
      const { ann, bob, roomId } = await people();
      await bob.join(roomId);
      await ann.setState(roomId, "m.room.topic", { topic: "good" });
      const spam = [];
      for (const topic of ["spam 1", "spam 2", "spam 3"]) {
        spam.push(await ann.setState(roomId, "m.room.topic", { topic }));
      }
      const levels = { users: { [ann.userId]: 100, [bob.userId]: 99 } };
      spam.push(await ann.setState(roomId, "m.room.power_levels", levels));
      spam.push(await ann.setState(roomId, "m.room.power_levels", { ...levels, users_default: 1 }));
      const opened = await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "world_readable" });
      spam.push(opened, await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" }));
      const ids = order === "newest first" ? spam.toReversed() : order === "twice at once" ? [...spam, ...spam] : spam;
      const answers: Rejected[] = [];
      if (order.endsWith("at once")) answers.push(...(await Promise.all(ids.map((eventId) => rejectEvent(eventId)))));
      else for (const eventId of ids) answers.push(await rejectEvent(eventId));
      expect(await topic(ann, roomId)).toBe("good");
      await expect(bob.setState(roomId, "m.room.topic", { topic: "mine" })).rejects.toThrow("FORBIDDEN");
      const secret = await ann.send(roomId, "secret");
      const stranger = await server.user(`stranger${number++}`);
      expect(await stranger.code("query ($id: ID!) { event(id: $id) { id } }", { id: secret })).toBe("NOT_FOUND");
      // One redaction of each, whoever asked first; and no text of them in what restored them meanwhile.
      const rows = await sql<{ redacts_id: string; count: string }>(
        server.databaseUrl,
        "SELECT redacts_id, count(*) AS count FROM event WHERE redacts_id = ANY ($1) GROUP BY redacts_id",
        [spam],
      );
      expect(rows.map(({ count }) => count)).toEqual(spam.map(() => "1"));
      const left = await sql(
        server.databaseUrl,
        "SELECT event_id FROM event WHERE room_id = $1 AND (content LIKE '%spam%' OR content LIKE '%99%')",
        [roomId],
      );
      expect(left).toEqual([]);
    }
  });

  it("doesn't overwrite what is set at the same time", async () => {
    const { ann, roomId } = await people();
    await ann.setState(roomId, "m.room.topic", { topic: "good" });
    const spam = await ann.setState(roomId, "m.room.topic", { topic: "spam" });
    const lock = await holdAppendLock(server.databaseUrl);
    const newer = ann.setState(roomId, "m.room.topic", { topic: "newer" });
    await until(async () => (await lock.waiting()) > 0);
    const rejected = rejectEvent(spam);
    await lock.release();
    await Promise.all([newer, rejected]);
    expect(await topic(ann, roomId)).toBe("newer");
    expect((await rejectEvent(spam)).restored).toBeNull();
  });

  it("gives way to what was there before, by an event of the server", async () => {
    const { ann, bob, roomId } = await people();
    await bob.join(roomId);
    await ann.setState(roomId, "m.room.topic", { topic: "first" });
    const second = await ann.setState(roomId, "m.room.topic", { topic: "second" });
    const between = await ann.send(roomId, "between");
    const follow = await bob.follow();
    const { redaction, restored } = await rejectEvent(second, { actionId: "r1" });
    expect(restored).toMatchObject({
      ...{ senderId: "localhost", type: "m.room.topic", stateKey: "_", replacesId: second, deleted: false },
      content: { topic: "first" },
    });
    expect(await topic(bob, roomId)).toBe("first");
    await follow.sees(restored!.id);
    expect(follow.events.map(({ id }) => id)).toEqual([redaction.id, restored!.id]);
    // As if it had never been, also where it held.
    const then = await ann.do(
      `query ($id: ID!) { contextWindow(eventId: $id, before: 0, after: 0) { state(first: 50) { nodes { type content } } } }`,
      { id: between },
    );
    expect(JSON.stringify(then)).toContain('"first"');
    const again = await rejectEvent(second);
    expect([again.redaction.id, again.restored?.id]).toEqual([redaction.id, restored!.id]);
    expect((await rejectEvent(second, { actionId: "r1" })).restored?.id).toBe(restored!.id);
    follow.stop();
  });

  it("that was the first in its slot leaves it empty", async () => {
    const { ann, roomId } = await people();
    const first = await ann.setState(roomId, "m.room.topic", { topic: "first" });
    const { restored } = await rejectEvent(first);
    expect(restored).toMatchObject({ deleted: true, content: null });
    expect(await topic(ann, roomId)).toBeNull();
  });

  it("that held no more is taken out of the past alone", async () => {
    const { ann, roomId } = await people();
    await ann.setState(roomId, "m.room.topic", { topic: "first" });
    const second = await ann.setState(roomId, "m.room.topic", { topic: "second" });
    const between = await ann.send(roomId, "between");
    const third = await ann.setState(roomId, "m.room.topic", { topic: "third" });
    expect((await rejectEvent(second)).restored).toBeNull();
    expect(await topic(ann, roomId)).toBe("third");
    const then = await ann.do(
      `query ($id: ID!) { contextWindow(eventId: $id, before: 0, after: 0) { state(first: 50) { nodes { type content } } } }`,
      { id: between },
    );
    expect(JSON.stringify(then)).toContain('"first"');
    // The next to go leads back over it.
    expect((await rejectEvent(third)).restored).toMatchObject({ content: { topic: "first" } });
  });

  it("that its sender redacted is restored all the same, and a deletion is undone", async () => {
    const { ann, roomId } = await people();
    await ann.setState(roomId, "m.room.topic", { topic: "first" });
    const second = await ann.setState(roomId, "m.room.topic", { topic: "second" });
    const redaction = await ann.redact(second);
    const rejected = await rejectEvent(second);
    expect(rejected.redaction.id).toBe(redaction);
    expect(rejected.restored).toMatchObject({ content: { topic: "first" } });
    const { deleteState } = await ann.do<{ deleteState: { event: { id: string } } }>(
      'mutation ($roomId: ID!) { deleteState(input: { roomId: $roomId, type: "m.room.topic" }) { event { id } } }',
      { roomId },
    );
    expect((await rejectEvent(deleteState.event.id)).restored).toMatchObject({ content: { topic: "first" } });
    const read = await ann.do("query ($id: ID!) { event(id: $id) { content ... on StateEvent { deleted } } }", {
      id: deleteState.event.id,
    });
    expect(read).toEqual({ event: { content: null, deleted: true } });
  });

  it("of power takes the power back; what it had authorised stands", async () => {
    const { ann, bob, roomId } = await people();
    await bob.join(roomId);
    const granted = await ann.setState(roomId, "m.room.power_levels", {
      users: { [ann.userId]: 100, [bob.userId]: 50 },
    });
    await bob.setState(roomId, "m.room.topic", { topic: "by bob" });
    await rejectEvent(granted);
    expect(await topic(ann, roomId)).toBe("by bob");
    await expect(bob.setState(roomId, "m.room.topic", { topic: "no more" })).rejects.toThrow("FORBIDDEN");
    await ann.setState(roomId, "m.room.topic", { topic: "by ann" });
  });
});

describe("[EVS-7, EV-9] a rejected membership or visibility", () => {
  it("a join: whoever came in is out, has seen nothing, and learns of it", async () => {
    const { ann, bob, roomId } = await people();
    await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    const offline = await bob.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
    const join = await bob.join(roomId);
    const { initialSync } = await bob.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
    const secret = await ann.send(roomId, "secret");
    const follow = await bob.follow();
    const { restored } = await rejectEvent(join);
    expect(restored).toMatchObject({ deleted: true });
    await follow.sees(restored!.id);
    expect(follow.chunks.at(-1)!.left).toEqual([{ roomId }]);
    expect(await bob.code("query ($id: ID!) { event(id: $id) { id } }", { id: secret })).toBe("NOT_FOUND");
    expect(await bob.code("query ($id: ID!) { room(id: $id) { id } }", { id: roomId })).toBe("NOT_FOUND");
    const difference =
      "query ($stream: StreamToken) { initialSync(stream: $stream) { rooms { nodes { room { id } } } left { roomId } } }";
    expect(await bob.do(difference, initialSync)).toEqual({
      initialSync: { rooms: { nodes: [] }, left: [{ roomId }] },
    });
    // A stream from before carries nothing of what happened while it seemed to be joined.
    const replayed = await bob.follow(offline.initialSync.stream);
    await replayed.sees(restored!.id);
    expect(replayed.events.map(({ id }) => id)).not.toContain(secret);
    for (const each of [follow, replayed]) each.stop();
  });

  it("a kick: whoever was kicked is back, and sees what happened meanwhile", async () => {
    const { ann, bob, roomId } = await people();
    await bob.join(roomId);
    await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    const kick = await ann.membership("kick", roomId, bob.userId);
    const missed = await ann.send(roomId, "missed");
    expect(await bob.code("query ($id: ID!) { event(id: $id) { id } }", { id: missed })).toBe("NOT_FOUND");
    const follow = await bob.follow();
    const { restored } = await rejectEvent(kick);
    expect(restored).toMatchObject({ content: { membership: "join" } });
    await follow.sees(restored!.id);
    await bob.send(roomId, "back");
    expect(await bob.do("query ($id: ID!) { event(id: $id) { id } }", { id: missed })).toEqual({
      event: { id: missed },
    });
    follow.stop();
  });

  it("an invite and the join that followed it, in either order", async () => {
    for (const order of [0, 1]) {
      const { ann, bob } = await people();
      const roomId = await ann.createRoom({ historyVisibility: "INVITED" });
      const before = await ann.send(roomId, "before");
      const invite = await ann.membership("invite", roomId, bob.userId);
      const during = await ann.send(roomId, "during");
      const join = await bob.join(roomId);
      const after = await ann.send(roomId, "after");
      for (const eventId of order === 0 ? [invite, join] : [join, invite]) await rejectEvent(eventId);
      for (const id of [before, during, after]) {
        expect(await bob.code("query ($id: ID!) { event(id: $id) { id } }", { id })).toBe("NOT_FOUND");
      }
    }
  });

  it("a history visibility: what it showed is hidden again", async () => {
    const { ann, bob, roomId } = await people();
    const opened = await ann.setState(roomId, "m.room.history_visibility", { history_visibility: "world_readable" });
    const shown = await ann.send(roomId, "for all to see");
    const read = "query ($id: ID!) { event(id: $id) { id } }";
    expect(await bob.do(read, { id: shown })).toEqual({ event: { id: shown } });
    await rejectEvent(opened);
    expect(await bob.code(read, { id: shown })).toBe("NOT_FOUND");
    expect(await ann.do(read, { id: shown })).toEqual({ event: { id: shown } });
  });
});

it("[EVS-7] is for admins, and for events that can be rejected", async () => {
  const { ann, roomId } = await people();
  const message = await ann.send(roomId, "one");
  expect(await ann.code(reject, { input: { eventId: message } })).toBe("FORBIDDEN");
  expect(await ann.code(reject, { input: { eventId: "$nothing" } })).toBe("FORBIDDEN");
  expect(await server.stranger().code(reject, { input: { eventId: message } })).toBe("UNAUTHENTICATED");
  expect(await root.code(reject, { input: { eventId: "$nothing" } })).toBe("NOT_FOUND");
  const [created] = await ann.timeline(roomId);
  expect(await root.code(reject, { input: { eventId: created } })).toBe("BAD_INPUT");
});

it("[ACT-14, EVS-7] an edit that is under way doesn't bring back what is redacted or rejected", async () => {
  for (const how of ["redacted first", "edited first", "rejected"]) {
    const { ann, bob, roomId } = await people();
    await bob.join(roomId);
    const message = await bob.send(roomId, "spam");
    const lock = await holdAppendLock(server.databaseUrl);
    const first =
      how === "edited first"
        ? bob.edit(roomId, message, "more spam")
        : how === "rejected"
          ? rejectEvent(message)
          : ann.redact(message);
    await until(async () => (await lock.waiting()) > 0);
    const second = how === "edited first" ? ann.redact(message) : bob.edit(roomId, message, "more spam");
    // The second is on its way, behind the first.
    await ann.do("{ viewer { user { id } } }");
    await lock.release();
    const outcomes = await Promise.allSettled([first, second]);
    if (how !== "edited first") expect(String((outcomes[1] as PromiseRejectedResult).reason)).toContain("BAD_INPUT");
    const rows = await sql(
      server.databaseUrl,
      "SELECT event_id FROM event WHERE room_id = $1 AND content LIKE '%spam%'",
      [roomId],
    );
    expect(rows).toEqual([]);
  }
});

it("[ACT-14] redacting at once makes one redaction", async () => {
  const { ann, bob, roomId } = await people();
  await bob.join(roomId);
  const message = await bob.send(roomId, "one");
  const made = await Promise.all([ann, bob, ann, bob, ann].map((client) => client.redact(message)));
  expect(new Set(made).size).toBe(1);
  const rows = await sql(server.databaseUrl, "SELECT event_id FROM event WHERE redacts_id = $1", [message]);
  expect(rows).toHaveLength(1);
});

describe("[EVS-7] [PRO-3] a rejected profile", () => {
  it("takes the name away from the room, that of the global profile as well, until another one comes", async () => {
    const { ann, bob, roomId } = await people();
    await bob.setProfile("displayname", "Insult");
    await bob.join(roomId);
    const named = "query ($room: ID!, $user: ID!) { room(id: $room) { member(userId: $user) { displayName } } }";
    const name = async (): Promise<unknown> =>
      (await ann.do<{ room: { member: unknown } }>(named, { room: roomId, user: bob.userId })).room.member;
    expect(await name()).toEqual({ displayName: "Insult" });
    const [profile] = await sql<{ event_id: string }>(
      server.databaseUrl,
      "SELECT event_id FROM event WHERE room_id = $1 AND type = 'm.room.member.profile'",
      [roomId],
    );
    expect((await rejectEvent(profile!.event_id)).restored).toMatchObject({ content: {}, deleted: false });
    expect(await name()).toEqual({ displayName: null });
    await bob.setProfile("displayname", "Bob", roomId);
    expect(await name()).toEqual({ displayName: "Bob" });
  });
});
