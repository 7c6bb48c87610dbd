import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { banUser } from "../../src/domain/actions/banUser.ts";
import { createRoom } from "../../src/domain/actions/createRoom.ts";
import { deleteState } from "../../src/domain/actions/deleteState.ts";
import { inviteUser } from "../../src/domain/actions/inviteUser.ts";
import { joinRoom } from "../../src/domain/actions/joinRoom.ts";
import { kickUser } from "../../src/domain/actions/kickUser.ts";
import { leaveRoom } from "../../src/domain/actions/leaveRoom.ts";
import { patchPowerLevels } from "../../src/domain/actions/patchPowerLevels.ts";
import { setStates } from "../../src/domain/actions/setStates.ts";
import { HearthError } from "../../src/model/errors.ts";
import type { Requester } from "../../src/model/requester.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { beginning, cooked, move, removed, type Move } from "../rules/support/powerMoves.ts";
import { Coalition, isValid, Levels, wrongChange, type LevelsContent } from "../rules/support/powerOracle.ts";

const numRuns = Number(process.env["HEARTH_POWER_ROOMS"] ?? 40);
const userCount = 4;
const actors = 3;
const type = "m.room.power_levels";

let server: TestApp;
let store: pg.Client;
let ann: Client;
let bob: Client;
let userIds: string[];
beforeAll(async () => {
  server = await startApp();
  store = new pg.Client({ connectionString: server.databaseUrl });
  await store.connect();
  [ann, bob] = [await server.user("ann"), await server.user("bob")];
  userIds = Array.from({ length: userCount }, (_, number) => `@user${number}:localhost`);
  await store.query("INSERT INTO account (user_id) SELECT unnest($1::text[])", [userIds]);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await store.end();
  await server.close();
});

function as(user: number): Requester {
  return { userId: userIds[user]!, deviceId: "device", admin: false, tokenId: "device" };
}

/** The levels as they are stored, read without the server. */
async function stored(roomId: string): Promise<LevelsContent> {
  const { rows } = await store.query<{ content: string | null }>(
    `SELECT content FROM current_state JOIN event USING (event_id)
     WHERE current_state.room_id = $1 AND current_state.type = $2 AND current_state.state_key = '_'`,
    [roomId, type],
  );
  const content = rows[0]?.content ?? null;
  return content === null ? null : (JSON.parse(content) as LevelsContent);
}

/** Does what the move says by the action for it; false when it was refused. */
async function take(each: Move, roomId: string, levels: LevelsContent): Promise<boolean> {
  const { tools } = server.app.domain;
  const requester = as(each.actor);
  const common = { roomId };
  const perform = async (): Promise<unknown> => {
    switch (each.move) {
      case "levels": {
        const { contents, stateKey } = each;
        const [change, ...more] = contents[0]!.changes;
        if (contents.length === 1 && more.length === 0 && change !== undefined && !contents[0]!.fromNothing) {
          const path = change.path.map((name) => (typeof name === "string" ? name : userIds[name.user]!));
          const value = change.value === removed ? null : change.value;
          return patchPowerLevels(tools, requester, { ...common, path, value });
        }
        let content = levels;
        const states = contents.map((recipe) => {
          content = cooked(recipe, content, userIds);
          return { type, stateKey, content };
        });
        return setStates(tools, requester, { ...common, states });
      }
      case "delete":
        return deleteState(tools, requester, { ...common, type, stateKey: each.stateKey });
      case "member": {
        const userId = userIds[each.target]!;
        if (each.membership === "join") return joinRoom(tools, requester, { target: { roomId } });
        if (each.target === each.actor) return leaveRoom(tools, requester, common);
        const act = each.membership === "ban" ? banUser : each.membership === "invite" ? inviteUser : kickUser;
        return act(tools, requester, { ...common, userId });
      }
    }
  };
  try {
    await perform();
    return true;
  } catch (error) {
    if (error instanceof HearthError && refusals.includes(error.code)) return false;
    throw error;
  }
}
const refusals = ["FORBIDDEN", "BAD_INPUT", "BAD_STATE_KEY", "NOT_FOUND"];

const room = fc.record({
  levels: beginning(userCount),
  creator: fc.nat(userCount - 1),
  moves: fc.array(move(actors, userCount), { minLength: 1, maxLength: 14, size: "max" }),
});

test(
  "[EV-9] [ACT-10] [ACT-7] [ACT-9] the actions themselves give nobody a level above what they were granted",
  { timeout: 60_000 + numRuns * 1000 },
  async () => {
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(room, async ({ levels: first, creator, moves }) => {
        const { tools } = server.app.domain;
        const content = first && cooked(first, null, userIds);
        const state = content && isValid(content) ? [{ type, content }] : [];
        const create = (states: object[]) => createRoom(tools, as(creator), { joinRule: "PUBLIC", state: states });
        const { roomId } = await create(state).catch((error: unknown) => {
          // Not even whoever makes a room grants others as much as they have.
          expect(error).toMatchObject({ code: "FORBIDDEN" });
          return create([]);
        });
        for (const user of userIds.keys()) await joinRoom(tools, as(user), { target: { roomId } });
        let held = await stored(roomId);
        let levels = new Levels(held, userIds[creator]!);
        const coalition = new Coalition(userIds.slice(0, actors), levels);
        for (const each of moves) {
          const taken = await take(each, roomId, held);
          const now = await stored(roomId);
          const after = new Levels(now, userIds[creator]!);
          if (JSON.stringify(now) !== JSON.stringify(held)) {
            expect(taken).toBe(true);
            changed++;
          }
          expect(now === null || isValid(now)).toBe(true);
          const single = each.move !== "levels" || each.contents.length === 1;
          if (single) expect(wrongChange(userIds[each.actor]!, levels, after)).toBeNull();
          expect(coalition.wrongdoing(after, userIds)).toBeNull();
          [held, levels] = [now, after];
        }
      }),
      { numRuns },
    );
    expect(changed).toBeGreaterThan(numRuns / 4);
  },
);

const set = "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }";
const patch = "mutation ($input: PatchPowerLevelsInput!) { patchPowerLevels(input: $input) { event { id } } }";
const remove = "mutation ($input: DeleteStateInput!) { deleteState(input: $input) { event { id } } }";

/** Ann's room, with Bob in it at 50. */
async function shared(more: Record<string, unknown> = {}): Promise<string> {
  const content = { users: { [ann.userId]: 100, [bob.userId]: 50 }, ...more };
  const roomId = await ann.createRoom({ joinRule: "PUBLIC", state: [{ type, content }] });
  await bob.join(roomId);
  return roomId;
}

const setBy = (client: Client, roomId: string, content: object, stateKey = "_"): Promise<string | null> =>
  client.code(set, { input: { roomId, type, stateKey, content } });
const patchBy = (client: Client, roomId: string, path: string[], value: number | null): Promise<string | null> =>
  client.code(patch, { input: { roomId, path, value } });

test("[EV-9] [ACT-10] a moderator gets no further by patches, by whole contents, by deleting, or by other keys", async () => {
  const roomId = await shared();
  const before = await stored(roomId);
  const users = { [ann.userId]: 100, [bob.userId]: 50 };
  for (const [path, value] of [
    [["users", bob.userId], 51],
    [["users", "@friend:localhost"], 50],
    [["users", ann.userId], null],
    [["users_default"], 50],
    [["kick"], 51],
    [["events", type], 51],
  ] as [string[], number | null][]) {
    expect(await patchBy(bob, roomId, path, value)).toBe("FORBIDDEN");
  }
  for (const content of [
    {},
    { users: { ...users, [bob.userId]: 100 } },
    { users, users_default: 50 },
    { users: { [bob.userId]: 50 } },
  ]) {
    expect(await setBy(bob, roomId, content)).toBe("FORBIDDEN");
  }
  for (const content of [{ users: { [bob.userId]: "100" } }, { users: [], users_default: 100 }, { kick: 2 ** 31 }]) {
    expect(await setBy(bob, roomId, content)).toBe("BAD_INPUT");
  }
  // A slot that doesn't count may hold anything.
  expect(await setBy(bob, roomId, { users: { [bob.userId]: 100 } }, "_mine")).toBeNull();
  expect(await setBy(bob, roomId, { users: { [bob.userId]: 100 } }, bob.userId)).toBeNull();
  expect(await stored(roomId)).toEqual(before);
  expect(await patchBy(bob, roomId, ["users", bob.userId], 51)).toBe("FORBIDDEN");
});

test("[EV-9] [ACT-9] deleting the levels gives the creator back only what a higher one may give", async () => {
  const roomId = await shared();
  expect(await setBy(ann, roomId, { users: { [ann.userId]: 60, [bob.userId]: 50 } })).toBeNull();
  expect(await ann.code(remove, { input: { roomId, type } })).toBe("FORBIDDEN");
  expect(await bob.code(remove, { input: { roomId, type } })).toBe("FORBIDDEN");
  await ann.leave(roomId);
  await ann.join(roomId);
  expect(await patchBy(ann, roomId, ["users", ann.userId], 100)).toBe("FORBIDDEN");
});

test("[EV-9] to name a type is to change what it requires of messages as well as of state", async () => {
  const roomId = await shared({ users: { [ann.userId]: 100, [bob.userId]: 10 }, events: { [type]: 10 } });
  expect(await patchBy(bob, roomId, ["events", "m.room.message"], 50)).toBe("FORBIDDEN");
  expect(await patchBy(bob, roomId, ["events", "m.room.name"], 10)).toBe("FORBIDDEN");
  expect(await patchBy(ann, roomId, ["events", "m.room.message"], 50)).toBeNull();
});

test("[EV-9] [ACT-10] a level that isn't one is refused by name, and a name that looks like a prototype's counts", async () => {
  const roomId = await shared();
  const lowest = await ann.ask(patch, { input: { roomId, path: ["kick"], value: -(2 ** 31) } });
  expect(lowest.errors?.[0]).toMatchObject({ extensions: { code: "BAD_INPUT", field: "value" } });
  const named = await ann.ask(set, { input: { roomId, type, content: { users: { [bob.userId]: 1.5 } } } });
  expect(named.errors?.[0]).toMatchObject({
    extensions: { code: "BAD_INPUT", field: `content.users.${bob.userId}` },
  });
  expect(await patchBy(ann, roomId, ["events", "__proto__"], 60)).toBeNull();
  const send =
    "mutation ($roomId: ID!, $message: MessageInput!) { sendMessage(input: { roomId: $roomId, message: $message }) { event { id } } }";
  const message = { type: "__proto__", content: { custom: {} } };
  expect(await bob.code(send, { roomId, message })).toBe("FORBIDDEN");
  expect(await ann.code(send, { roomId, message })).toBeNull();
  expect(await patchBy(bob, roomId, ["events", "__proto__"], 0)).toBe("FORBIDDEN");
});

test("[EV-9] [CRE-1] whoever makes a room is told which of its levels they may not grant", async () => {
  const create = "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
  const equal = { users: { [ann.userId]: 100, [bob.userId]: 100 } };
  const { errors } = await ann.ask(create, { input: { state: [{ type, content: equal }] } });
  expect(errors?.[0]).toMatchObject({ extensions: { code: "FORBIDDEN", field: `state.0.users.${bob.userId}` } });
});
