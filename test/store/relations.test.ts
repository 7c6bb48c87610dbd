import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";

let server: TestApp;
let ann: Client;
let roomId: string;
beforeAll(async () => {
  // Events are made by SQL, past the streams that mirrors follow.
  server = await startApp({ mirrors: false });
  ann = await server.user("ann");
  roomId = await ann.createRoom();
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
});

const insert = `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, updates_id, relates_to)
  SELECT n, $1::text || n, $2, n, '', 'm.room.message', '@ann:localhost', 0, '{"body":"x","msgtype":"m.text"}', $3::text, $4::text`;

/** Makes the head of the server pass what was inserted at positions before. */
async function pass(): Promise<void> {
  await sql(server.databaseUrl, "SELECT setval('stream_position', (SELECT max(position) FROM event))");
  // As the server does by itself before long: plans that were made for a few events don't suit thousands.
  await sql(server.databaseUrl, "ANALYZE event");
  await ann.send(roomId, "the newest");
}

test("[UPD-1] an event takes a thousand updates and no more", async () => {
  const message = await ann.send(roomId, "often edited");
  await sql(server.databaseUrl, `${insert} FROM generate_series(100001, 100999) AS n`, [
    "$edit",
    roomId,
    message,
    null,
  ]);
  await pass();
  const thousandth = await ann.edit(roomId, message, "the thousandth");
  const send =
    "mutation ($roomId: ID!, $message: MessageInput!) { sendMessage(input: { roomId: $roomId, message: $message }) { event { id } } }";
  for (const updates of [message, thousandth]) {
    expect(await ann.code(send, { roomId, message: { content: { text: { body: "one more" } }, updates } })).toBe(
      "BAD_INPUT",
    );
  }
});

test("[REL-2] an answer bundles at most ten thousand children, however they are spread", async () => {
  const parents = Array.from({ length: 101 }, (_, n) => `$parent${200_001 + n}`);
  await sql(server.databaseUrl, `${insert} FROM generate_series(200001, 200101) AS n`, ["$parent", roomId, null, null]);
  const relates = JSON.stringify([{ type: "m.reference", event_id: "$any" }]);
  await sql(server.databaseUrl, `${insert} FROM generate_series(210001, 220100) AS n`, [
    "$child",
    roomId,
    null,
    relates,
  ]);
  await sql(
    server.databaseUrl,
    `INSERT INTO relation (parent_id, type, major, minor, child_id, room_id)
     SELECT '$parent' || (200001 + n % 101), 'm.reference', n, '', '$child' || n, $1 FROM generate_series(210001, 220100) AS n`,
    [roomId],
  );
  await pass();
  const read = (last: number, bundleRelations: number) =>
    ann.ask(
      `query ($roomId: ID!, $last: Int!, $tweak: FilterInput) { scrollback(roomId: $roomId, last: $last, tweak: $tweak) {
         events { edges { node { id } bundledReplies { nodes { id } } } } } }`,
      { roomId, last, tweak: { bundleRelations } },
    );
  // 101 parents of a hundred children each, and one event after them.
  expect((await read(102, 100)).errors?.[0]?.extensions?.["code"]).toBe("TOO_LARGE");
  const answer = await read(51, 100);
  const { edges } = (
    answer.data!["scrollback"] as { events: { edges: { node: { id: string }; bundledReplies: { nodes: object[] } }[] } }
  ).events;
  expect(edges.slice(0, 50).map(({ node }) => node.id)).toEqual(parents.slice(51));
  for (const { bundledReplies } of edges.slice(0, 50)) expect(bundledReplies.nodes).toHaveLength(100);
});
