import { expect, test } from "vitest";
import { authorise } from "../../src/domain/rules/authorise.ts";
import { RoomAuthority } from "../../src/domain/rules/authority.ts";
import { checkTypeRule, ownerOfKey } from "../../src/domain/rules/stateKeys.ts";
import type { JoinRule, Membership } from "../../src/model/content/typed.ts";
import type { EventDraft } from "../../src/model/event.ts";

const server = "example.org";
const [creator, mod, user, other] = ["@creator", "@mod", "@user", "@other"].map((name) => `${name}:${server}`) as [
  string,
  string,
  string,
  string,
];

function room(
  memberships: Record<string, Membership>,
  joinRule: JoinRule = "invite",
  power: object = {},
): RoomAuthority {
  return new RoomAuthority(
    {
      ...{ roomId: "!room:example.org", version: 1, creator, joinRule, visibility: "shared" },
      powerContent: { users: { [creator]: 100, [mod]: 50 }, ...power },
    },
    new Map(Object.entries({ [creator]: "join", [mod]: "join", ...memberships })),
  );
}

function member(sender: string, target: string, membership: Membership | null): EventDraft {
  const content = membership === null ? null : JSON.stringify({ membership });
  return { type: "m.room.member", stateKey: target, sender, content };
}

function allowed(event: EventDraft, authority: RoomAuthority): string {
  try {
    authorise(event, authority, server);
    return "allowed";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const none = "leave" as Membership;

test.each<[string, Membership | null, JoinRule, string]>([
  ["join", null, "public", "allowed"],
  ["join", null, "invite", "FORBIDDEN"],
  ["join", null, "private", "FORBIDDEN"],
  ["join", null, "knock", "FORBIDDEN"],
  ["join", "invite", "invite", "allowed"],
  ["join", "invite", "private", "allowed"],
  ["join", "ban", "public", "FORBIDDEN"],
  ["join", "leave", "public", "allowed"],
  ["join", "knock", "knock", "FORBIDDEN"],
  ["leave", "join", "invite", "allowed"],
  ["leave", "invite", "invite", "allowed"],
  ["leave", "knock", "knock", "allowed"],
  ["leave", null, "public", "FORBIDDEN"],
  ["leave", "ban", "public", "FORBIDDEN"],
  ["knock", null, "knock", "allowed"],
  ["knock", null, "public", "FORBIDDEN"],
  ["knock", "ban", "knock", "FORBIDDEN"],
  ["knock", "join", "knock", "FORBIDDEN"],
  ["delete", "invite", "invite", "allowed"],
  ["delete", "join", "invite", "FORBIDDEN"],
  ["ban", "join", "invite", "FORBIDDEN"],
  ["invite", null, "public", "FORBIDDEN"],
])("[EV-9] own membership: %s from %s under %s is %s", (to, from, rule, outcome) => {
  const authority = room(from === null ? {} : { [user]: from }, rule);
  expect(allowed(member(user, user, to === "delete" ? null : (to as Membership)), authority)).toBe(outcome);
});

test.each<[string, string, Membership, Membership | null, string, string]>([
  ["[ACT-3] members invite", user, "invite", null, other, "allowed"],
  ["[ACT-3] nobody invites a member", user, "invite", "join", other, "FORBIDDEN"],
  ["[ACT-3] nobody invites the banned", mod, "invite", "ban", other, "FORBIDDEN"],
  ["[ACT-5] operators kick", mod, "leave", "join", other, "allowed"],
  ["[ACT-5] operators take back invites", mod, "leave", "invite", other, "allowed"],
  ["[ACT-5] users don't kick", user, "leave", "join", other, "FORBIDDEN"],
  ["[ACT-5] nobody kicks who isn't there", mod, "leave", none, other, "FORBIDDEN"],
  ["[EV-9] nobody kicks a higher level", mod, "leave", "join", creator, "FORBIDDEN"],
  ["[EV-9] nobody bans an equal level", mod, "ban", "join", mod, "FORBIDDEN"],
  ["[ACT-5] operators ban", mod, "ban", "join", other, "allowed"],
  ["[ACT-5] operators ban who was never there", mod, "ban", null, other, "allowed"],
  ["[ACT-5] operators unban", mod, "leave", "ban", other, "allowed"],
  ["[ACT-5] users don't unban", user, "leave", "ban", other, "FORBIDDEN"],
  ["[JOI-1] nobody joins for another", mod, "join", null, other, "FORBIDDEN"],
  ["[ACT-6] nobody knocks for another", mod, "knock", null, other, "FORBIDDEN"],
])("%s", (_name, sender, to, from, target, outcome) => {
  const memberships = { [user]: "join" as Membership, ...(from === null ? {} : { [target]: from }) };
  expect(allowed(member(sender, target, to), room(memberships))).toBe(outcome);
});

function state(sender: string, type: string, stateKey: string, content: object = {}): EventDraft {
  return { type, stateKey, sender, content: JSON.stringify(content) };
}

test.each<[string, EventDraft, string]>([
  ["users don't set the name", state(user, "m.room.name", "_"), "FORBIDDEN"],
  ["operators set the name", state(mod, "m.room.name", "_"), "allowed"],
  ["members set their own key", state(user, "colour", user), "allowed"],
  ["members set a path below their own key", state(user, "colour", `${user}/hair`), "allowed"],
  ["members don't set another's key", state(user, "colour", other), "FORBIDDEN"],
  ["operators set another's key", state(mod, "colour", other), "allowed"],
  ["no user sets a server's key", state(creator, "notice", "example.org/some/path"), "FORBIDDEN"],
  ["the server sets its own key", state(server, "notice", "example.org/some/path"), "allowed"],
  ["other keys are refused", state(creator, "colour", "blue"), "BAD_STATE_KEY"],
  ["the old empty key is refused", state(creator, "colour", ""), "BAD_STATE_KEY"],
  ["half a user id is refused", state(creator, "colour", "@nobody"), "BAD_STATE_KEY"],
  ["[EV-3] _@ types take user ids", state(user, "_@colour", user), "allowed"],
  ["[EV-3] _@ types take no path", state(user, "_@colour", `${user}/hair`), "BAD_STATE_KEY"],
  ["[EV-3] _@ types take nothing else", state(mod, "_@colour", "_"), "BAD_STATE_KEY"],
  ["[EV-3] _ types take any key", state(mod, "_colour", "_blue"), "allowed"],
  ["outsiders set nothing", state("@outsider:example.org", "colour", "@outsider:example.org"), "FORBIDDEN"],
])("[EV-2] %s", (_name, event, outcome) => {
  expect(allowed(event, room({ [user]: "join", [other]: "join" }))).toBe(outcome);
});

test("[EV-2] a type that the levels name holds for own keys, too", () => {
  const authority = room({ [user]: "join" }, "invite", { events: { colour: 50 } });
  expect(allowed(state(user, "colour", user), authority)).toBe("FORBIDDEN");
});

test("[EV-2] user ids with slashes own their keys, and paths begin after the server's name", () => {
  expect(ownerOfKey("@irc.example.org/Bob:example.org/away", server)).toEqual({
    kind: "user",
    userId: "@irc.example.org/Bob:example.org",
  });
  expect(() => checkTypeRule("_@x", "@irc.example.org/Bob:example.org")).not.toThrow();
});

test.each<[string, string, object, string]>([
  [
    "a user below the state level changes nothing",
    user,
    { users: { [creator]: 100, [mod]: 50, [user]: 1 } },
    "FORBIDDEN",
  ],
  [
    "a moderator grants less than their own level",
    mod,
    { users: { [creator]: 100, [mod]: 50, [user]: 49 } },
    "allowed",
  ],
  ["a moderator doesn't grant their own level", mod, { users: { [creator]: 100, [mod]: 50, [user]: 50 } }, "FORBIDDEN"],
  ["a moderator doesn't raise themselves", mod, { users: { [creator]: 100, [mod]: 51 } }, "FORBIDDEN"],
  ["a moderator lowers themselves", mod, { users: { [creator]: 100, [mod]: 10 } }, "allowed"],
  ["a moderator doesn't remove the creator", mod, { users: { [mod]: 50 } }, "FORBIDDEN"],
  [
    "a moderator doesn't raise everybody",
    mod,
    { users: { [creator]: 100, [mod]: 50 }, users_default: 50 },
    "FORBIDDEN",
  ],
  [
    "a moderator doesn't require more than they have",
    mod,
    { users: { [creator]: 100, [mod]: 50 }, kick: 51 },
    "FORBIDDEN",
  ],
  ["a moderator lowers a requirement", mod, { users: { [creator]: 100, [mod]: 50 }, ban: 20 }, "allowed"],
  ["a moderator names a type", mod, { users: { [creator]: 100, [mod]: 50 }, events: { poll: 50 } }, "allowed"],
  ["the creator takes the moderator's level away", creator, { users: { [creator]: 100 } }, "allowed"],
])("[EV-9] power levels: %s", (_name, sender, content, outcome) => {
  const event = state(sender, "m.room.power_levels", "_", content);
  expect(allowed(event, room({ [user]: "join" }))).toBe(outcome);
});

test("[EV-9] naming a type doesn't lower what it required before, above one's own level", () => {
  const power = { users: { [creator]: 100, [user]: 25 }, events: { "m.room.power_levels": 25 } };
  const authority = room({ [user]: "join" }, "invite", power);
  const content = { ...power, events: { ...power.events, "m.room.join_rules": 25 } };
  expect(allowed(state(user, "m.room.power_levels", "_", content), authority)).toBe("FORBIDDEN");
});

test.each<[string, Membership | null, JoinRule, object, string]>([
  ["of a member", "join", "invite", {}, "allowed"],
  ["of a member who may not speak", "join", "invite", { events_default: 50 }, "allowed"],
  [
    "of a member where the type has a level",
    "join",
    "invite",
    { events: { "m.room.member.profile": 50 } },
    "FORBIDDEN",
  ],
  ["of who is about to join", null, "public", {}, "allowed"],
  ["of who is invited", "invite", "invite", {}, "allowed"],
  ["of who may not join", null, "invite", {}, "FORBIDDEN"],
  ["of who is banned", "ban", "public", {}, "FORBIDDEN"],
])("[PRO-3] a profile %s", (_name, membership, joinRule, power, answer) => {
  const authority = room({ [user]: membership ?? none, [other]: "join" }, joinRule, power);
  const profile = (sender: string, stateKey: string): EventDraft => ({
    ...{ type: "m.room.member.profile", stateKey, sender, content: "{}" },
  });
  expect(allowed(profile(user, user), authority)).toBe(answer);
  expect(allowed(profile(user, other), authority)).toBe("FORBIDDEN");
  expect(allowed(profile(mod, other), authority)).toBe("FORBIDDEN");
});
