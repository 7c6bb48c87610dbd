import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { Wire } from "../kit/wire.ts";

let server: TestApp;
let alice: Client;
let room: string;

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
  room = await alice.createRoom({ name: "Besieged" });
  const body = "x".repeat(20_000);
  const messages = Array.from({ length: 25 }, () => ({ content: { text: { body } } }));
  for (let batch = 0; batch < 4; batch++) {
    await alice.do("mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { events { id } } }", {
      input: { roomId: room, messages },
    });
  }
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

function head(length: number, more = ""): string {
  const authorization = `Authorization: Bearer ${alice.token}\r\n`;
  return `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${authorization}Content-Length: ${length}\r\n${more}\r\n`;
}

function post(query: string, more = ""): string {
  const body = JSON.stringify({ query });
  return head(Buffer.byteLength(body), more) + body;
}

/** The same of somebody without a token. */
function unsigned(request: string): string {
  return request.replace(/^Authorization: .*\r\n/m, "");
}

function say(body: string): string {
  return `mutation { sendMessage(input: { roomId: "${room}", message: { content: { text: { body: "${body}" } } } }) { event { id } } }`;
}

/** Bodies of the room's newest messages, the oldest first. */
async function said(last = 10): Promise<string[]> {
  const { scrollback } = await alice.do<{ scrollback: { events: { nodes: { typed: { body: string } }[] } } }>(
    "query ($room: ID!, $last: Int!) { scrollback(roomId: $room, last: $last) { events { nodes { typed { ... on TextContent { body } } } } } }",
    { room, last },
  );
  return scrollback.events.nodes.map(({ typed }) => typed.body);
}

describe.each(["lean", "yoga"])("by the %s way,", (way) => {
  let address: string;

  beforeEach(() => {
    address = way === "lean" ? server.address : server.yogaAddress;
  });

  test("a body that comes byte by byte is answered when it is complete", async () => {
    const wire = new Wire(address);
    for (const character of post(`{ server { name } }`)) {
      wire.write(character);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await wire.gets('{"data":{"server":{"name":"localhost"}}}');
    wire.socket.destroy();
  });

  test("a body that ends too soon does nothing, and the server goes on", async () => {
    const body = JSON.stringify({ query: say(`${way} cut off`) });
    for (const sent of ["", body.slice(0, -1), body]) {
      const wire = new Wire(address).write(head(Buffer.byteLength(body) + 10) + sent);
      await new Promise((resolve) => wire.socket.once("connect", resolve));
      await alice.do("{ server { name } }");
      wire.socket.destroy();
      await wire.ends();
    }
    // Ended politely in the middle, it can still be told what was wrong with it.
    const half = new Wire(address);
    half.socket.end(head(Buffer.byteLength(body)) + body.slice(0, 20));
    await half.ends();
    expect(half.received).toMatch(/^HTTP\/1.1 400 /);
    expect(await said()).not.toContain(`${way} cut off`);
  });

  test("more than Content-Length says is another request, and a bad one", async () => {
    const wire = new Wire(address).write(post("{ server { name } }") + '{"query":"{ server { version } }"}');
    await wire.ends();
    expect(wire.received).toContain("HTTP/1.1 400 ");
    expect(wire.received).not.toContain("version");
  });

  test("a body that says it is too large is refused before it comes", async () => {
    const wire = new Wire(address).write(head(1024 * 1024 + 1));
    await wire.gets('"code":"TOO_LARGE"');
    expect(wire.received).toMatch(/^HTTP\/1.1 413 /);
    wire.socket.destroy();
  });

  test("pipelined requests are answered in their order, refused ones and those of other kinds among them", async () => {
    const slow = `{ scrollback(roomId: "${room}", last: 100) { events { nodes { id content } } } }`;
    const wire = new Wire(address).write(
      post(slow) +
        post(say(`${way} piped`)) +
        post("{") +
        post("{ server { name } }", "Accept: text/html\r\n") +
        post("{ last: server { name } }", "Connection: close\r\n"),
    );
    await wire.ends();
    const marks = [
      '{"data":{"scrollback"',
      '{"data":{"sendMessage"',
      "Syntax Error",
      "HTTP/1.1 406",
      '{"data":{"last"',
    ];
    const places = marks.map((mark) => wire.received.indexOf(mark));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(wire.received.match(/HTTP\/1\.1 \d+/g)).toEqual([200, 200, 200, 406, 200].map((each) => `HTTP/1.1 ${each}`));
    expect(await said()).toContain(`${way} piped`);
  });

  test("a client that vanishes before its answer has acted all the same", async () => {
    const wire = new Wire(address).write(post(say(`${way} vanished`)));
    await new Promise((resolve) => wire.socket.once("connect", resolve));
    // Given to the system, so that it arrives before the end of the connection does.
    await until(() => wire.socket.writableLength === 0);
    wire.socket.end();
    await until(async () => (await said()).includes(`${way} vanished`));
  });

  test("a client that vanishes in the middle of a large answer disturbs nobody", async () => {
    const page = (n: number) =>
      `p${n}: scrollback(roomId: "${room}", last: 100) { events { nodes { id type senderId sentAt content } } }`;
    const query = `{ ${Array.from({ length: 12 }, (_, n) => page(n)).join(" ")} }`;
    const wire = new Wire(address).write(post(query));
    await wire.gets("200 OK");
    wire.socket.destroy();
    await wire.ends();
    expect(await alice.code("{ server { name } }")).toBeNull();
  });
});

test("a server that stops answers what is in flight, and cuts off what never ends", async () => {
  const stopping = await startApp({ mirrors: false });
  const bob = await stopping.user("bob");
  const roomId = await bob.createRoom();
  const idle = new Wire(stopping.address).write(unsigned(post("{ server { name } }")));
  await idle.gets('{"data"');
  const upload = new Wire(stopping.address).write(unsigned(`${head(100)}{"query"`));
  // Holds up the writer until it is let go.
  const holder = new pg.Client(stopping.databaseUrl);
  await holder.connect();
  await holder.query("BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE");
  const sends = Array.from({ length: 20 }, (_, n) => bob.send(roomId, `in flight ${n}`).catch(() => null));
  await until(async () => (await waitingForLocks(stopping.databaseUrl)) > 0);
  const closed = stopping.close();
  await idle.ends();
  await expect(fetch(`${stopping.address}/graphql`)).rejects.toThrow();
  await holder.query("ROLLBACK");
  await holder.end();
  const acknowledged = (await Promise.all(sends)).filter((eventId) => eventId !== null);
  await closed;
  expect(upload.closed).toBe(true);
  const stored = await sql<{ event_id: string }>(
    stopping.databaseUrl,
    "SELECT event_id FROM event WHERE type = 'm.room.message'",
  );
  // Those that went by yoga lost their connection at once, as the test kit closes that server.
  expect(acknowledged.length).toBeGreaterThanOrEqual(10);
  expect(stored.map((row) => row.event_id)).toEqual(expect.arrayContaining(acknowledged));
  expect(stopping.errors).toEqual([]);
});

async function waitingForLocks(databaseUrl: string): Promise<number> {
  const rows = await sql(databaseUrl, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'event'::regclass");
  return rows.length;
}
