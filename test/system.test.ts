import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { publicFetch, randomIds } from "../src/system.ts";

test("event ids of one moment begin alike, and no two are the same", () => {
  const made = Array.from({ length: 10_000 }, () => randomIds.eventId(1_800_000_000_000));
  expect(new Set(made).size).toBe(made.length);
  // Nor do neighbours share anything but the time: each draws bytes of its own.
  expect(new Set(made.map((eventId) => eventId.slice(9, 17))).size).toBe(made.length);
  expect(new Set(made.map((eventId) => eventId.slice(0, 9))).size).toBe(1);
  expect(made.every((eventId) => /^\$[\w-]{24}$/.test(eventId))).toBe(true);
});

test.each([
  ...["http://127.0.0.1", "http://[::1]", "http://localhost", "http://0.0.0.0", "http://[::]"],
  ...["http://10.0.0.1", "http://172.16.0.1", "http://192.168.1.1", "http://100.64.0.1", "http://[fd00::1]"],
  // What clouds tell their machines, in several spellings.
  ...["http://169.254.169.254/latest/meta-data", "http://[fe80::1]", "http://2852039166", "http://0xa9fea9fe"],
  // IPv4 within IPv6.
  ...["http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]", "http://[64:ff9b::7f00:1]", "http://[2002:7f00:1::]"],
])("whom strangers name at %s is not called", async (address) => {
  const asked: string[] = [];
  const server = createServer((req, res) => void (asked.push(req.url!), res.end("{}")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = new URL(address);
  url.port = String(port);
  const refused: unknown = await publicFetch(url.href, {}).then(
    () => null,
    (error: unknown) => (error as { cause?: unknown }).cause ?? error,
  );
  await new Promise((resolve) => server.close(resolve));
  expect(String(refused)).toContain("is no public address");
  expect(asked).toEqual([]);
});
