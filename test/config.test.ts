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
])("a wrong %s is refused by name", (name, value) => {
  expect(() => readConfig({ [name]: value }, null)).toThrow(ConfigError);
  expect(() => readConfig({ [name]: value }, null)).toThrow(name);
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
