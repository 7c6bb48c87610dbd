import { afterAll, beforeAll, expect, it } from "vitest";
import { closeRoom } from "../../src/store/roomDeletion.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let root: Client;
let number = 0;
const config = { admins: ["root"] };

beforeAll(async () => {
  server = await startApp({ config });
  root = await server.user("root");
});
afterAll(() => server.close());

const deleteRoom = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";

/** A room of ann's with everything in it that a room may have; bob has joined, carol is invited. */
async function furnished(): Promise<{ ann: Client; bob: Client; carol: Client; roomId: string; alias: string }> {
  const n = number++;
  const [ann, bob, carol] = await Promise.all([
    server.user(`ann${n}`),
    server.user(`bob${n}`),
    server.user(`carol${n}`),
  ]);
  const alias = `#room${n}:localhost`;
  const roomId = await ann.createRoom({ joinRule: "PUBLIC", alias, invite: [carol.userId], name: "Room" });
  await bob.join(roomId);
  const message = await ann.send(roomId, "one");
  await bob.edit(roomId, await bob.send(roomId, "two"), "2");
  await bob.react(roomId, message, "+1");
  await ann.redact(message);
  await bob.mark((await bob.timeline(roomId)).at(-1)!);
  return { ann, bob, carol, roomId, alias };
}

/** Rows that still tell of a room, by table. */
async function leftovers(roomId: string): Promise<Record<string, number>> {
  const tables = ["event", "current_state", "relation", "marker", "room_alias", "visibility_period"];
  const counts = await Promise.all(
    tables.map(async (table) => {
      const [row] = await sql<{ count: string }>(
        server.databaseUrl,
        `SELECT count(*) AS count FROM ${table} WHERE room_id = $1`,
        [roomId],
      );
      return [table, Number(row!.count)] as const;
    }),
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

it("is gone for everybody, who learn of it by their streams and syncs, and nothing of it is left", async () => {
  const { ann, bob, carol, roomId, alias } = await furnished();
  const { initialSync } = await bob.do<{ initialSync: { stream: string } }>("{ initialSync { stream } }");
  const follows = [await ann.follow(), await carol.follow()];
  expect(await root.do(deleteRoom, { input: { roomId, reason: "over" } })).toEqual({ deleteRoom: { roomId } });
  for (const follow of follows) {
    await follow.until(({ chunks }) => chunks.some(({ left }) => left.length > 0));
    const own = follow.events.at(-1)!;
    expect(own).toMatchObject({ senderId: "localhost", content: { membership: "leave", reason: "over" } });
    follow.stop();
  }
  const difference = `query ($stream: StreamToken) { initialSync(stream: $stream) {
    rooms { nodes { room { id } } } left { roomId event { senderId content room { id } } } } }`;
  expect(await bob.do(difference, initialSync)).toEqual({
    initialSync: {
      rooms: { nodes: [] },
      left: [
        { roomId, event: { senderId: "localhost", content: { membership: "leave", reason: "over" }, room: null } },
      ],
    },
  });
  for (const client of [ann, bob, carol]) {
    expect(await client.code("query ($id: ID!) { room(id: $id) { id } }", { id: roomId })).toBe("NOT_FOUND");
    await expect(client.send(roomId, "still there?")).rejects.toThrow("NOT_FOUND");
    await expect(client.join(roomId)).rejects.toThrow("NOT_FOUND");
  }
  expect(await bob.code("query ($alias: ID!) { roomAlias(alias: $alias) { roomId } }", { alias })).toBe("NOT_FOUND");
  // The leaves of ann, bob and carol.
  expect(await leftovers(roomId)).toEqual({ event: 3 });
  const replayed = await bob.follow(initialSync.stream);
  await replayed.until(({ events }) => events.some(({ stateKey }) => stateKey === bob.userId));
  expect(new Set(replayed.events.map(({ content }) => content!["membership"]))).toEqual(new Set(["leave"]));
  replayed.stop();
  // The alias is free, and deleting it again is no error.
  await bob.createRoom({ alias });
  expect(await root.do(deleteRoom, { input: { roomId } })).toEqual({ deleteRoom: { roomId } });
});

it("[ACT-2] the first outcome of what made it is gone with it", async () => {
  const { ann } = await furnished();
  const create = `mutation { createRoom(input: { name: "Brief", actionId: "brief" }) { room { id } } }`;
  const { createRoom } = await ann.do<{ createRoom: { room: { id: string } } }>(create);
  await root.do(deleteRoom, { input: { roomId: createRoom.room.id } });
  expect(await ann.code(create)).toBe("NOT_FOUND");
});

it("is for admins, and for rooms that there are", async () => {
  const { ann, roomId } = await furnished();
  expect(await ann.code(deleteRoom, { input: { roomId } })).toBe("FORBIDDEN");
  expect(await server.stranger().code(deleteRoom, { input: { roomId } })).toBe("UNAUTHENTICATED");
  expect(await root.code(deleteRoom, { input: { roomId: "!nowhere:localhost" } })).toBe("NOT_FOUND");
  expect(await root.code(deleteRoom, { input: { roomId: "nonsense" } })).toBe("BAD_INPUT");
  await ann.send(roomId, "still here");
});

it("goes on at the next start of any process where a crash cut it off", async () => {
  const { ann, bob, roomId } = await furnished();
  const follow = await bob.follow();
  await closeRoom(server.database.reader, roomId, new Date());
  // Another process knows the room as it was.
  await expect(ann.send(roomId, "too late")).rejects.toThrow("NOT_FOUND");
  const other = await startApp({ config, databaseUrl: server.databaseUrl });
  await follow.until(({ chunks }) => chunks.some(({ left }) => left.some((room) => room.roomId === roomId)));
  await until(async () => Object.keys(await leftovers(roomId)).join() === "event");
  follow.stop();
  await other.close();
});

it("of a thousand members is told to each of them", async () => {
  const ann = await server.user(`ann${number++}`);
  const roomId = await ann.createRoom({ joinRule: "PUBLIC" });
  const { authVersion } = await server.database.reader.room.findUniqueOrThrow({ where: { roomId } });
  const events = Array.from({ length: 1000 }, (_, n) => ({
    ...{
      eventId: `$join${n}`,
      type: "m.room.member",
      stateKey: `@guest${n}:localhost`,
      sender: `@guest${n}:localhost`,
    },
    ...{ content: '{"membership":"join"}', sentAt: 0, device: null, suppressed: false },
    authVersion: Number(authVersion) + 1 + n,
  }));
  await server.app.domain.tools.writer.append({
    ...{ roomId, version: Number(authVersion), nextVersion: Number(authVersion) + 1000 },
    ...{ newRoom: null, action: null, answerIds: [], events },
  });
  await root.do(deleteRoom, { input: { roomId } });
  const rows = await sql<{ membership: string }>(
    server.databaseUrl,
    "SELECT DISTINCT membership FROM member WHERE room_id = $1",
    [roomId],
  );
  expect(rows).toEqual([{ membership: "leave" }]);
  expect(await leftovers(roomId)).toEqual({ event: 1001 });
});
