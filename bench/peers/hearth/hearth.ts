import { createRoom } from "../../../src/domain/actions/createRoom.ts";
import { joinRoom } from "../../../src/domain/actions/joinRoom.ts";
import { sendMessages } from "../../../src/domain/actions/sendMessages.ts";
import { createPasswords } from "../../../src/domain/passwords.ts";
import { addUsers, temporaryDataDir, withDomain, type BenchUser, type Workshop } from "../../data.ts";
import { eachOf } from "../../eachOf.ts";
import type { Options } from "../../options.ts";
import { showProfiles } from "../../profile.ts";
import { settle } from "../../seed.ts";
import { startServer } from "../../server.ts";
import { benchPassword, seededText, type PeerKind, type Plan, type PlannedRoom } from "../peer.ts";
import { hearthClient } from "./client.ts";

const batch = 100;
const roomsAtOnce = 16;

/**
 * hearth itself, as `npm start` runs it, with settings of its own where it is given any. It is filled through its domain,
 * which is faster than through its API.
 */
export function hearth(
  options: Pick<Options, "profile" | "share">,
  name = "hearth",
  settings: Record<string, string> = {},
): PeerKind {
  return {
    name,
    async start(plan) {
      const dataDir = await temporaryDataDir();
      const { users, rooms } = await withDomain(dataDir, (workshop) => fill(workshop, plan));
      const server = await startServer(dataDir, options, settings);
      return {
        ...server,
        async stop() {
          await server.stop();
          if (options.profile !== null) showProfiles(options.profile);
        },
        name,
        rooms,
        clients: users.map(({ requester, authorization }) =>
          hearthClient(server.address, requester.userId, authorization),
        ),
      };
    },
  };
}

async function fill(workshop: Workshop, plan: Plan): Promise<{ users: BenchUser[]; rooms: string[] }> {
  const users = await addUsers(workshop, plan.users, await createPasswords().hash(benchPassword));
  const rooms = await eachOf(plan.rooms, roomsAtOnce, (room) => addPlannedRoom(workshop, users, room));
  await settle(workshop);
  return { users, rooms };
}

async function addPlannedRoom(
  { domain: { tools } }: Workshop,
  users: readonly BenchUser[],
  { members, messagesEach }: PlannedRoom,
): Promise<string> {
  const [creator, ...others] = members.map((number) => users[number]!.requester);
  const { roomId } = await createRoom(tools, creator!, { joinRule: "PUBLIC", name: "Bench" });
  // One after the other, since each join moves the room's version and would make the others start anew.
  for (const requester of others) await joinRoom(tools, requester, { target: { roomId } });
  let sent = 0;
  for (const requester of [creator!, ...others]) {
    for (let left = messagesEach; left > 0; left -= batch) {
      const messages = Array.from({ length: Math.min(left, batch) }, () => ({
        content: { text: { body: seededText(sent++) } },
      }));
      await sendMessages(tools, requester, { roomId, messages });
    }
  }
  return roomId;
}
