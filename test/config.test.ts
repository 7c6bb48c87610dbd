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
])("a wrong %s is refused by name", (name, value) => {
  expect(() => readConfig({ [name]: value }, null)).toThrow(ConfigError);
  expect(() => readConfig({ [name]: value }, null)).toThrow(name);
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
