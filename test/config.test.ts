import { expect, test } from "vitest";
import { ConfigError, readConfig, unknownSettings } from "../src/config.ts";

test("settings come from the environment, checked and with defaults", () => {
  expect(readConfig({ HEARTH_PORT: "9000", HEARTH_ADMINS: "alice, bob" }, null)).toMatchObject({
    ...{ port: 9000, admins: ["alice", "bob"], serverName: "localhost", host: "127.0.0.1", databaseUrl: null },
    ...{ registration: "open", streamReplay: 1000, dataDir: "./data" },
  });
});

test.each([
  ["HEARTH_PORT", "abc"],
  ["HEARTH_PORT", "70000"],
  ["HEARTH_SERVER_NAME", "no server name"],
  ["HEARTH_REGISTRATION", "perhaps"],
  ["HEARTH_POLICY_URL", "localhost:9000"],
  ["HEARTH_POLICY_URL", "ftp://localhost/"],
  ["HEARTH_POLICY_URL", "http://user:secret@localhost/"],
  ["HEARTH_POLICY_TOKEN", "two words"],
  ["HEARTH_POLICY_TIMEOUT_MS", "0"],
  ["HEARTH_POLICY_FAILURE", "ignore"],
  ["HEARTH_POLICY_REVIEW", "on"],
  ["HEARTH_TURN_URIS", "https://turn.example.org"],
  ["HEARTH_TURN_URIS", "turn:turn.example.org"],
  ["HEARTH_TURN_SECRET", "alone"],
  ["HEARTH_PUBLIC_URL", "chat.example.org"],
  ["HEARTH_PUBLIC_URL", "https://chat.example.org/?x"],
  ["HEARTH_TRUSTED_PROXIES", "proxy.example.org"],
  ["HEARTH_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/64"],
  ["HEARTH_TRUSTED_PROXIES", "10"],
  ["HEARTH_TRUSTED_PROXIES", "010.0.0.1"],
  ["HEARTH_TRUSTED_PROXIES", "10/8"],
  ["DATABASE_URL", "host/database"],
  ["HEARTH_RATE_LIMIT", "no"],
  ["HEARTH_RATE_REQUESTS", "0"],
  ["HEARTH_RATE_ACTIONS", "0.5"],
  ["HEARTH_RATE_LOGINS", "0"],
  ["HEARTH_PERSISTED_OPERATIONS", "yes"],
  ["HEARTH_PERSISTED_OPERATIONS", "only"],
  ["HEARTH_MEDIA_MAX_BYTES", "0"],
  ["HEARTH_MEDIA_QUOTA_BYTES", "-1"],
  ["HEARTH_MEDIA_S3_BUCKET", "alone"],
  ["HEARTH_MEDIA_S3_ENDPOINT", "s3.example.org"],
  ["HEARTH_METRICS_TOKEN", "short"],
  ["HEARTH_OTLP_ENDPOINT", "127.0.0.1:4318"],
  ["HEARTH_TRACE_SAMPLE", "2"],
  ["HEARTH_METRICS_TOKEN", "sixteen and more, yet with spaces"],
])("a wrong %s is refused by name", (name, value) => {
  expect(() => readConfig({ [name]: value }, null)).toThrow(ConfigError);
  expect(() => readConfig({ [name]: value }, null)).toThrow(name);
});

test("rates are limited unless they aren't to be", () => {
  expect(readConfig({}, null)).toMatchObject({ rates: { requests: 50, actions: 10, logins: 10 }, trustedProxies: [] });
  expect(readConfig({ HEARTH_RATE_LIMIT: "off", HEARTH_RATE_ACTIONS: "5" }, null).rates).toBeNull();
  const given = { HEARTH_RATE_REQUESTS: "5", HEARTH_RATE_ACTIONS: "2", HEARTH_TRUSTED_PROXIES: "::1, 10.0.0.0/8" };
  expect(readConfig(given, null)).toMatchObject({
    rates: { requests: 5, actions: 2 },
    trustedProxies: ["::1", "10.0.0.0/8"],
  });
});

test("[VOIP-8] TURN servers share one secret", () => {
  expect(readConfig({}, null).turn).toBe(null);
  const given = { HEARTH_TURN_URIS: "turn:a.example.org, turns:b.example.org:443", HEARTH_TURN_SECRET: "north" };
  expect(readConfig(given, null).turn).toEqual({
    uris: ["turn:a.example.org", "turns:b.example.org:443"],
    secret: "north",
  });
});

test("the policy hook is off without its address, and strict unless told otherwise", () => {
  expect(readConfig({ HEARTH_POLICY_TOKEN: "unused" }, null).policy).toBe(null);
  const url = "http://127.0.0.1:9000/hook";
  expect(readConfig({ HEARTH_POLICY_URL: url }, null).policy).toEqual({
    ...{ url, token: null, timeoutMs: 1000, failure: "refuse", review: false },
  });
  const all = { HEARTH_POLICY_TOKEN: "secret", HEARTH_POLICY_TIMEOUT_MS: "250", HEARTH_POLICY_FAILURE: "accept" };
  expect(readConfig({ HEARTH_POLICY_URL: url, ...all, HEARTH_POLICY_REVIEW: "on" }, null).policy).toEqual({
    ...{ url, token: "secret", timeoutMs: 250, failure: "accept", review: true },
  });
});

test("a settings file that isn't there, or no JSON, is refused", () => {
  expect(() => readConfig({}, "no-such-file.json")).toThrow("can't be read");
  expect(() => readConfig({}, "README.md")).toThrow("is no JSON");
});

test("misspelt settings are told, those of the terminal client are not", () => {
  expect(unknownSettings({ HEARTH_PROT: "1", HEARTH_CHAT_NAME: "x", HEARTH_PORT: "1", PATH: "" })).toEqual([
    "HEARTH_PROT",
  ]);
});

test("traces are off without a collector, and of a tenth of the requests unless told otherwise", () => {
  expect(readConfig({ HEARTH_TRACE_SAMPLE: "1" }, null).traces).toBe(null);
  const endpoint = "http://127.0.0.1:4318";
  expect(readConfig({ HEARTH_OTLP_ENDPOINT: endpoint }, null).traces).toEqual({ endpoint, sample: 0.1 });
});
