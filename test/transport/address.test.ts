import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { addressReader } from "../../src/transport/address.ts";

function requestOf(peer: string | undefined, forwarded?: string): Pick<IncomingMessage, "socket" | "headers"> {
  const socket = { remoteAddress: peer } as IncomingMessage["socket"];
  return { socket, headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded } };
}

function read(trusted: string[], peer: string | undefined, forwarded?: string): string | null {
  return addressReader(trusted)(requestOf(peer, forwarded));
}

test("without trusted proxies an address is the connection's, whatever headers say", () => {
  expect(read([], "203.0.113.7", "198.51.100.1")).toBe("203.0.113.7");
  expect(read([], "::ffff:203.0.113.7")).toBe("203.0.113.7");
  expect(read([], "2001:db8:0:0:0:0:0:1")).toBe("2001:db8::1");
  expect(read([], "fe80::1%eth0")).toBe("fe80::1");
  expect(read([], undefined, "198.51.100.1")).toBeNull();
});

test("who isn't a trusted proxy says nothing of where others are", () => {
  expect(read(["10.0.0.0/8"], "203.0.113.7", "198.51.100.1")).toBe("203.0.113.7");
  expect(read(["2001:db8::/32"], "10.0.0.1", "198.51.100.1")).toBe("10.0.0.1");
});

describe("behind trusted proxies", () => {
  const trusted = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"];

  test.each([
    ["one proxy", "127.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["a proxy that IPv6 is wrapped around", "::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"],
    ["two proxies", "127.0.0.1", "203.0.113.7, 10.9.9.9", "203.0.113.7"],
    ["proxies of IPv6", "2001:db8:1::5", "2001:db8:2::1, 2001:db8:1:ffff::1", "2001:db8:2::1"],
    ["what the client wrote before", "127.0.0.1", "1.1.1.1, 10.0.0.1, 203.0.113.7", "203.0.113.7"],
    ["what the client wrote in many lines", "127.0.0.1", "1.1.1.1,,,\t, 203.0.113.7", "203.0.113.7"],
    ["spaces and a port", "127.0.0.1", "  203.0.113.7:4711 ", "203.0.113.7"],
    ["brackets and a port", "127.0.0.1", "[2001:db8:2::1]:4711", "2001:db8:2::1"],
    ["a client among the proxies", "127.0.0.1", "10.0.0.7", "10.0.0.7"],
    ["nothing", "127.0.0.1", undefined, "127.0.0.1"],
    ["an empty header", "127.0.0.1", "", "127.0.0.1"],
    ["nonsense", "127.0.0.1", "unknown", "127.0.0.1"],
    ["nonsense before a proxy", "127.0.0.1", "'; DROP TABLE, 10.0.0.9", "10.0.0.9"],
    ["addresses in odd notations", "127.0.0.1", "203.0.113.7, 0x7f.1", "127.0.0.1"],
    ["a very long header", "127.0.0.1", "10.0.0.1,".repeat(1800) + "203.0.113.7", "203.0.113.7"],
  ])("%s", (_name, peer, forwarded, expected) => {
    expect(read(trusted, peer, forwarded)).toBe(expected);
  });
});

test.each([
  ["::ffff:10.0.0.0/104", "10.1.2.3"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["10.1.2.3", "::ffff:10.1.2.3"],
])("a proxy of %s is trusted at %s", (range, peer) => {
  expect(read([range], peer, "203.0.113.7")).toBe("203.0.113.7");
  expect(read([range], "11.1.2.3", "203.0.113.7")).toBe("11.1.2.3");
});
