import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { answer, askSignal, callOf, offer, place, roomOfTwo, signal } from "../kit/calls.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let bob: Client;
let laptop: Client;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  servers = await Promise.all([startServer({ DATABASE_URL: databaseUrl }), startServer({ DATABASE_URL: databaseUrl })]);
  alice = await Client.register(servers[0]!.address, "alice", "phone");
  bob = await Client.register(servers[1]!.address, "bob", "mobile");
  laptop = await Client.login(servers[0]!.address, "bob", "laptop");
});

afterAll(async () => {
  await Promise.all((servers ?? []).map((server) => server.stop()));
});

/** The same device, asking the process of that number. */
function at(number: number, { token, userId, deviceId }: Client): Client {
  return new Client(servers[number % servers.length]!.address, token, userId, deviceId);
}

const of = ({ userId, deviceId }: Client) => ({ userId, deviceId });

/** How many events of a type a call has. */
async function count(callId: string, type: string): Promise<number> {
  const rows = await sql(databaseUrl, "SELECT FROM event WHERE updates_id = $1 AND type = $2", [
    callId.replace("call_", "$"),
    type,
  ]);
  return rows.length;
}

test("[VOIP-2] of acknowledgements at once, by several processes, exactly one wins", async () => {
  for (let round = 0; round < 8; round++) {
    const callId = await place(at(round, alice), await roomOfTwo(at(round, alice), at(round + 1, bob)));
    const both = [at(0, bob), at(1, laptop)];
    await Promise.all(both.map((device) => signal(device, "answerCall", { callId, answer })));
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        askSignal(at(n, alice), "acknowledgeCall", { callId, ...of(both[(n >> 1) % 2]!) }),
      ),
    );
    const codes = answers.map(({ errors }) => errors?.[0]?.extensions?.["code"] ?? null);
    expect(codes.filter((code) => code !== null)).toEqual(Array(5).fill("CALL_TAKEN"));
    expect(await count(callId, "m.call.ack")).toBe(1);
    const won = (codes.indexOf(null) >> 1) % 2;
    expect((await callOf(at(round, alice), callId)).acceptedBy).toEqual({ deviceId: both[won]!.deviceId });
  }
});

test("[VOIP-2] an acknowledgement and a rejection at once leave one truth", async () => {
  for (let round = 0; round < 8; round++) {
    const callId = await place(at(round, alice), await roomOfTwo(at(0, alice), at(1, bob)));
    await signal(at(1, bob), "answerCall", { callId, answer });
    const [acknowledged, rejected] = await Promise.all([
      askSignal(at(round, alice), "acknowledgeCall", { callId, ...of(bob) }),
      askSignal(at(round + 1, bob), "rejectCall", { callId }),
    ]);
    const { state } = await callOf(at(0, alice), callId);
    expect(acknowledged.errors).toBeUndefined();
    // Whichever came first: the acknowledged device had answered still, or had rejected already.
    const tooLate = rejected.errors?.[0]?.extensions?.["code"];
    expect([state, tooLate]).toEqual(tooLate === undefined ? ["ENDED", undefined] : ["CONNECTED", "CALL_TAKEN"]);
  }
});

test("[VOIP-7] of invites that cross in two processes exactly one survives, and both sides know which", async () => {
  for (let round = 0; round < 12; round++) {
    const roomId = await roomOfTwo(at(0, alice), at(1, bob));
    const both = await Promise.all([
      signal(at(0, alice), "placeCall", { roomId, offer }),
      signal(at(1, bob), "placeCall", { roomId, offer }),
    ]);
    const states = await Promise.all(both.map(({ call }, n) => callOf(at(n + 1, [bob, alice][n]!), call.id)));
    expect(states.map(({ state }) => state).sort()).toEqual(["ENDED", "RINGING"]);
    const lost = states.find(({ state }) => state === "ENDED")!;
    expect(lost.endedReason).toBe("GLARE");
    expect(await count(lost.id, "m.call.hangup")).toBe(1);
    // It is the one whose invite stands first in the room, as anybody can see there.
    const timeline = await at(round, alice).timeline(roomId);
    const invites = timeline.filter((id) => both.some(({ event }) => event.id === id));
    expect(lost.id).toBe(invites[1]!.replace("$", "call_"));
  }
});

test("[VOIP-5] an invite that lapses while all processes are gone is ended once when they come back", async () => {
  const roomId = await roomOfTwo(at(0, alice), at(1, bob));
  const callId = await place(at(0, alice), roomId, { lifetimeMs: 1500 });
  await Promise.all(servers.map((server) => server.kill()));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  servers = await Promise.all([startServer({ DATABASE_URL: databaseUrl }), startServer({ DATABASE_URL: databaseUrl })]);
  await until(async () => (await callOf(at(1, alice), callId)).state === "ENDED");
  expect((await callOf(at(0, alice), callId)).endedReason).toBe("EXPIRED");
  // A hangup of the other process would come behind this.
  await at(1, bob).send(roomId, "after it");
  expect(await count(callId, "m.call.hangup")).toBe(1);
});
