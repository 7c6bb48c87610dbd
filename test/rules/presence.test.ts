import fc from "fast-check";
import { expect, test } from "vitest";
import { presenceOf } from "../../src/domain/rules/presence.ts";
import type { DevicePresence } from "../../src/model/session.ts";

const setting = { status: "at work", appearOffline: false };
const device = (presence: DevicePresence | null, activeAt = 1000, capabilities: string | null = null) => ({
  presence,
  activeAt,
  capabilities,
});
const stateOf = (...said: (DevicePresence | null)[]) =>
  presenceOf(
    "@a:b",
    said.map((each) => device(each)),
    setting,
    { own: false },
  ).state;

test.each<[DevicePresence, (DevicePresence | null)[]]>([
  ["OFFLINE", []],
  ["OFFLINE", [null]],
  ["OFFLINE", ["OFFLINE", null]],
  ["IDLE", ["IDLE"]],
  ["IDLE", ["IDLE", "OFFLINE"]],
  ["IDLE", ["IDLE", "IDLE", null]],
  ["ONLINE", ["ONLINE"]],
  ["ONLINE", ["IDLE", "ONLINE"]],
  ["ONLINE", ["OFFLINE", "ONLINE"]],
])("[PRE-2] %s is what devices that say %j are together", (expected, said) => {
  expect(stateOf(...said)).toBe(expected);
});

test("[PRE-5] the capabilities are those of the devices that are connected, each once", () => {
  const devices = [
    device("ONLINE", 1000, "b"),
    device("IDLE", 2000, "a"),
    device("ONLINE", 1500, "b"),
    device("OFFLINE", 3000, "c"),
  ];
  const shown = presenceOf("@a:b", devices, setting, { own: false });
  expect(shown).toEqual({
    ...{ userId: "@a:b", state: "ONLINE", status: "at work" },
    ...{ lastActiveAt: new Date(2000), capabilityHashes: ["a", "b"] },
  });
});

const devices = fc.array(
  fc.record({
    presence: fc.constantFrom<DevicePresence | null>("ONLINE", "IDLE", "OFFLINE", null),
    activeAt: fc.nat(),
    capabilities: fc.option(fc.string()),
  }),
);

test("[PRE-2] to others who appears offline looks exactly like who is; to themselves like before", () => {
  fc.assert(
    fc.property(devices, fc.option(fc.string()), (each, status) => {
      const hidden = { status, appearOffline: true };
      const absent = presenceOf("@a:b", [], { status, appearOffline: false }, { own: false });
      expect(presenceOf("@a:b", each, hidden, { own: false })).toEqual(absent);
      const plain = presenceOf("@a:b", each, { status, appearOffline: false }, { own: false });
      expect(presenceOf("@a:b", each, hidden, { own: true })).toEqual(plain);
    }),
  );
});
