import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Turns } from "../../src/transport/turns.ts";
import { Wire } from "../kit/wire.ts";
import { until } from "../kit/until.ts";

let server: Server;

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A server for these requests, with five of them sent at once by a client. */
async function pipelined(handle: (res: ServerResponse, turns: Turns, path: string) => void): Promise<Wire> {
  const turns = new Turns();
  server = createServer((req, res) => {
    turns.begin(req, res);
    handle(res, turns, req.url!);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wire = new Wire(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return wire.write([0, 1, 2, 3, 4].map((n) => `GET /${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(""));
}

test("all answers of a connection learn of its end, also those whose turn it wasn't", async () => {
  const begun: string[] = [];
  const closed: string[] = [];
  const wire = await pipelined((res, _, path) => {
    begun.push(path);
    res.once("close", () => closed.push(path));
    res.write("something");
  });
  await until(() => begun.length === 5);
  wire.socket.destroy();
  await until(() => closed.length === 5);
});

test("who awaits their turn begins when what was before is answered, whole", async () => {
  const begun: string[] = [];
  const wire = await pipelined((res, turns, path) =>
    turns.await(res, () => {
      begun.push(path);
      setTimeout(() => {
        expect(begun.at(-1)).toBe(path);
        res.end(`answer of ${path}`);
      }, 20);
    }),
  );
  await wire.gets("answer of /4");
  expect(begun).toEqual(["/0", "/1", "/2", "/3", "/4"]);
  expect(wire.received.match(/answer of \/\d/g)).toHaveLength(5);
});

test("whose connection ends before their turn never begin", async () => {
  const begun: ServerResponse[] = [];
  let came = 0;
  const wire = await pipelined((res, turns) => {
    came++;
    turns.await(res, () => begun.push(res));
  });
  await until(() => came === 5);
  wire.socket.destroy();
  await until(() => begun[0]!.closed);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(begun).toHaveLength(1);
});
