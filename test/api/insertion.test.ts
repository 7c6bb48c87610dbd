import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { insert, insertAfter } from "./support/insertion.ts";

let server: TestApp;
let second: TestApp;
let number = 0;

beforeAll(async () => {
  server = await startApp();
  second = await startApp({ databaseUrl: server.databaseUrl });
});
afterAll(async () => {
  await second.close();
  await server.close();
});

const said = (body: string): Record<string, unknown> => ({ message: { content: { text: { body } } }, sentAt: 1000 });

async function room(): Promise<{ ann: Client; roomId: string; one: string; two: string }> {
  const ann = await server.user(`ann${number++}`);
  const roomId = await ann.createRoom({ joinRule: "PUBLIC", topic: "now" });
  return { ann, roomId, one: await ann.send(roomId, "one"), two: await ann.send(roomId, "two") };
}

async function events(client: Client, roomId: string, eventIds: readonly string[]) {
  const { nodes } = await client.do<{
    nodes: { id: string; order: string; insertedAfterId: string | null; sentAt: string; cursor: string }[];
  }>(
    "query ($eventIds: [ID!]!) { nodes(ids: $eventIds) { id ... on Event { order insertedAfterId sentAt cursor } } }",
    {
      eventIds,
    },
  );
  return nodes;
}

describe("[EVS-6] inserting into the past of a room", () => {
  it("puts events straight after the one that is named, each after the one before it", async () => {
    const { ann, roomId, one, two } = await room();
    const before = await events(ann, roomId, [one, two]);
    const made = await insert(server, ann, { roomId, insertAfter: one, events: [said("a"), said("b"), said("c")] });
    const ids = made.map(({ eventId }) => eventId);
    const timeline = await ann.timeline(roomId, 3);
    expect(timeline.slice(timeline.indexOf(one))).toEqual([one, ...ids, two]);
    expect((await events(ann, roomId, ids)).map(({ insertedAfterId, sentAt }) => [insertedAfterId, sentAt])).toEqual(
      [one, ...ids.slice(0, 2)].map((id) => [id, "1970-01-01T00:00:01.000Z"]),
    );
    // Between what stands there now, also after an event that was inserted itself; nobody's place changes. [STR-4]
    const nearer = await insertAfter(server, ann, roomId, one, "nearer");
    const between = await insertAfter(server, ann, roomId, ids[0]!, "between");
    const again = await ann.timeline(roomId, 4);
    expect(again.slice(again.indexOf(one))).toEqual([one, nearer, ids[0], between, ...ids.slice(1), two]);
    expect(await events(ann, roomId, [one, two])).toEqual(before);
    const newest = await insertAfter(server, ann, roomId, two, "after the newest");
    expect((await ann.timeline(roomId)).at(-1)).toBe(newest);
    expect((await ann.timeline(roomId)).slice(-2, -1)).toEqual([two]);
  });

  it("of state has no effect on the room, nor on who may do what", async () => {
    const { ann, roomId, one, two } = await room();
    const state = (type: string, content: object): object => ({ state: { type, content }, sentAt: 1000 });
    const made = await insert(server, ann, {
      roomId,
      insertAfter: one,
      events: [
        state("m.room.topic", { topic: "then" }),
        state("m.room.power_levels", { users: { [ann.userId]: 0 } }),
        state("m.room.history_visibility", { history_visibility: "world_readable" }),
      ],
    });
    expect(made).toHaveLength(3);
    const stranger = await server.user(`stranger${number++}`);
    expect(await stranger.code("query ($id: ID!) { event(id: $id) { id } }", { id: two })).toBe("NOT_FOUND");
    await ann.setState(roomId, "m.room.name", { name: "still mine" });
    const data = await ann.do<{ room: { topic: string }; contextWindow: unknown }>(
      `query ($roomId: ID!, $id: ID!) {
         room(id: $roomId) { topic }
         contextWindow(eventId: $id, before: 0, after: 0) { state(first: 50) { nodes { type content } } }
       }`,
      { roomId, id: two },
    );
    expect(data.room.topic).toBe("now");
    expect(JSON.stringify(data.contextWindow)).not.toContain("then");
  });

  it("at one place by many at once, at two processes, leaves all of them in one order", async () => {
    const { ann, roomId, one, two } = await room();
    const ids = await Promise.all(
      Array.from({ length: 24 }, (_, n) => insertAfter(n % 2 === 0 ? server : second, ann, roomId, one, `${n}`)),
    );
    const timeline = await ann.timeline(roomId, 5);
    const between = timeline.slice(timeline.indexOf(one) + 1, timeline.indexOf(two));
    expect(between.toSorted()).toEqual(ids.toSorted());
    expect(await ann.timeline(roomId)).toEqual(timeline);
  });

  it("is sending: for who may send, all or nothing, and once by its action id", async () => {
    const { ann, roomId, one } = await room();
    const bob = await server.user(`bob${number++}`);
    const input = { roomId, insertAfter: one, events: [said("a")] };
    await expect(insert(server, bob, input)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await bob.join(roomId);
    await ann.setState(roomId, "m.room.power_levels", { users: { [ann.userId]: 100 }, events_default: 10 });
    await expect(insert(server, bob, input)).rejects.toMatchObject({ code: "FORBIDDEN" });
    const count = async (): Promise<number> =>
      (await sql(server.databaseUrl, "SELECT event_id FROM event WHERE room_id = $1", [roomId])).length;
    const before = await count();
    const refusals = [
      [{ ...input, insertAfter: "$nothing" }, "NOT_FOUND"],
      [{ ...input, insertAfter: (await room()).one }, "NOT_FOUND"],
      [{ ...input, events: [] }, "BAD_INPUT"],
      [{ ...input, events: [said("a"), { ...said("b"), sentAt: -1 }] }, "BAD_INPUT"],
      [{ ...input, events: [said("a"), { sentAt: 1 }] }, "BAD_INPUT"],
      [{ ...input, events: [said("a"), { state: { type: "m.room.member", content: {} }, sentAt: 1 }] }, "BAD_INPUT"],
      [
        { ...input, events: [said("a"), { state: { type: "x", stateKey: "odd", content: {} }, sentAt: 1 }] },
        "BAD_STATE_KEY",
      ],
    ] as const;
    for (const [refused, code] of refusals) {
      await expect(insert(server, ann, refused)).rejects.toMatchObject({ code });
    }
    expect(await count()).toBe(before);
    const [first] = await insert(server, ann, { ...input, actionId: "i1" });
    expect(await insert(second, ann, { ...input, actionId: "i1" })).toMatchObject([{ eventId: first!.eventId }]);
    await expect(insert(server, ann, { ...input, events: [said("b")], actionId: "i1" })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    expect(await count()).toBe(before + 1);
  });

  it("takes a thousand events at one place, one after the other, in either direction", async () => {
    const { ann, roomId, one, two } = await room();
    const forward: string[] = [];
    for (let n = 0; n < 5; n++) {
      const events = Array.from({ length: 100 }, (_, m) => said(`${n} ${m}`));
      const made = await insert(server, ann, { roomId, insertAfter: forward.at(-1) ?? one, events });
      forward.push(...made.map(({ eventId }) => eventId));
    }
    const backward: string[] = [];
    for (let n = 0; n < 100; n++) backward.unshift(await insertAfter(server, ann, roomId, one, `${n}`));
    const timeline = await ann.timeline(roomId);
    expect(timeline.slice(timeline.indexOf(one))).toEqual([one, ...backward, ...forward, two]);
    const [longest] = await sql<{ bytes: number }>(
      server.databaseUrl,
      "SELECT max(length(minor)) AS bytes FROM event WHERE room_id = $1",
      [roomId],
    );
    expect(longest!.bytes).toBeLessThan(8);
  });
});
