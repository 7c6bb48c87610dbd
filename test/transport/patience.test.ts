import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { endStalled, Patience } from "../../src/transport/patience.ts";
import { Wire } from "../kit/wire.ts";
import { until } from "../kit/until.ts";

const usualMs = 300;
let server: Server | null = null;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server that looks often, and answers with how many bytes came. Gives its address. */
async function serve(
  handle: (req: IncomingMessage, res: ServerResponse, patience: Patience) => void = () => undefined,
): Promise<string> {
  const patience = new Patience(usualMs, 20);
  server = createServer({ requestTimeout: 0 }, (req, res) => {
    patience.begin(req, res);
    handle(req, res, patience);
    if (res.headersSent || req.url === "/never") return;
    let bytes = 0;
    req.on("data", (piece: Buffer) => (bytes += piece.length)).on("end", () => res.end(`came: ${bytes}`));
  });
  patience.watch();
  server.on("close", () => patience.end());
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function head(path: string, headers: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}

function connections(): Promise<number> {
  return new Promise((resolve) => server!.getConnections((_, count) => resolve(count)));
}

/** Sends a byte now and then, until the connection ends or so many were sent. */
async function trickle(wire: Wire, bytes: number, chunked = false): Promise<void> {
  for (let sent = 0; sent < bytes && !wire.closed; sent++) {
    wire.write(chunked ? "1\r\nx\r\n" : "x");
    await sleep(25);
  }
}

test("a request that trickles is ended after its time, and told why; so is one that nothing follows", async () => {
  const address = await serve();
  const started = performance.now();
  const wires = [
    { wire: new Wire(address).write(head("/", "Content-Length: 1000\r\n")), chunked: false },
    { wire: new Wire(address).write(head("/", "Transfer-Encoding: chunked\r\n")), chunked: true },
  ];
  const silent = new Wire(address).write(head("/", "Content-Length: 5\r\n"));
  await Promise.all(wires.map(({ wire, chunked }) => trickle(wire, 1000, chunked)));
  await silent.ends();
  expect(performance.now() - started).toBeGreaterThan(usualMs);
  for (const { received } of [...wires.map(({ wire }) => wire), silent]) {
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(received).not.toContain("came");
  }
});

test("a long upload that keeps coming isn't, as long as it is allowed; and no longer", async () => {
  const address = await serve((req, _, patience) => {
    if (req.url === "/upload") patience.allow(req, 4 * usualMs);
  });
  const wire = new Wire(address).write(head("/upload", "Content-Length: 30\r\n"));
  const endless = new Wire(address).write(head("/upload", "Content-Length: 1000\r\n"));
  await Promise.all([trickle(wire, 30), trickle(endless, 1000)]);
  await wire.gets("came: 30");
  expect(endless.received).toMatch(/^HTTP\/1\.1 408 /);
});

test("what came whole is left alone, however long its answer takes, and so is the connection after it", async () => {
  let answer = (): void => undefined;
  const address = await serve((req, res) => {
    if (req.url === "/never") answer = () => void res.end("at last");
  });
  const wire = new Wire(address).write(head("/never", "Content-Length: 4\r\n") + "body");
  await sleep(2 * usualMs);
  expect(wire.received).toBe("");
  answer();
  await wire.gets("at last");
  wire.write(head("/", "Content-Length: 4\r\n") + "body");
  await wire.gets("came: 4");
});

test("a request behind one that is still being answered doesn't write into that one's answer", async () => {
  let first: ServerResponse | null = null;
  const address = await serve((req, res) => {
    if (req.method !== "GET") return;
    first = res;
    res.writeHead(200, { "Content-Length": 11 }).write("first");
  });
  const wire = new Wire(address).write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await wire.gets("first");
  wire.write(head("/", "Content-Length: 1000\r\n"));
  await trickle(wire, 25);
  first!.end(" whole");
  await wire.gets("first whole");
  // Its own time begins now.
  await trickle(wire, 1000);
  expect(wire.received).toMatch(/\r\n\r\nfirst wholeHTTP\/1\.1 408 /);
});

test("a client that doesn't take what it was answered is let go of, too", async () => {
  const address = await serve((_, res) => void res.writeHead(200).end(Buffer.alloc(50_000_000)));
  const wire = new Wire(address).write(head("/", "Content-Length: 1000\r\n"));
  wire.socket.pause();
  await until(async () => (await connections()) === 1);
  await until(async () => (await connections()) === 0);
});

/** An answer in pieces of this many bytes, each after so many milliseconds. Gives the client's end of it. */
async function answered(pieces: number, bytes: number, everyMs: number): Promise<Wire> {
  const piece = Buffer.alloc(bytes, "x");
  async function* content(): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < pieces; sent++) {
      await sleep(everyMs);
      yield piece;
    }
  }
  const address = await serve((_, res) => {
    endStalled(res, usualMs);
    res.writeHead(200, { "Content-Length": pieces * bytes });
    Readable.from(content()).pipe(res);
  });
  return new Wire(address).write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

test("an answer of which nothing is taken is ended", async () => {
  const wire = await answered(500, 100_000, 0);
  wire.socket.pause();
  await until(async () => (await connections()) === 1);
  await until(async () => (await connections()) === 0);
});

test("an answer that is taken slowly isn't, nor one that itself comes slowly; and the connection is left for the next", async () => {
  const slow = await answered(3, 5, 2.5 * usualMs);
  await slow.gets("x".repeat(15));
  await sleep(2 * usualMs);
  expect(slow.closed).toBe(false);
  const wire = await answered(300, 100_000, 0);
  let taken = 0;
  wire.socket.on("data", (text) => {
    taken += text.length;
    wire.socket.pause();
    setTimeout(() => wire.socket.resume(), 5);
  });
  await until(() => taken > 300 * 100_000);
});
