import { createHmac } from "node:crypto";
import { eachOf } from "../../eachOf.ts";
import { HttpClient } from "../../http.ts";
import { progress } from "../../report.ts";
import { benchPassword, seededText, type Client, type Plan, type PlannedRoom } from "../peer.ts";
import { synapseClient } from "./client.ts";
import type { Filled } from "./kept.ts";

const atOnce = 8;

/** Fills a Synapse through its API, there being no other way in. */
export async function fillSynapse(
  address: string,
  { plan, sharedSecret, name }: { plan: Plan; sharedSecret: string; name: string },
): Promise<Filled> {
  progress(`${name} is filled with ${plan.users} users and ${plan.rooms.length} rooms`);
  const admin = new HttpClient(address, null);
  const users = Array.from({ length: plan.users }, (_, number) => `user${number}`);
  const made = await eachOf(users, atOnce, (username) => register(admin, username, sharedSecret));
  admin.close();
  const https = made.map(({ accessToken }) => new HttpClient(address, `Bearer ${accessToken}`));
  const clients = made.map(({ userId, accessToken }) => synapseClient(address, userId, accessToken));
  const rooms = await eachOf(plan.rooms, atOnce, (room) => addRoom(https, clients, room));
  for (const http of https) http.close();
  for (const client of clients) client.close();
  return { users: made, rooms, sharedSecret };
}

/** Registers by the secret that admins' tools have, which asks for no second step. */
async function register(http: HttpClient, username: string, sharedSecret: string): Promise<Filled["users"][number]> {
  const path = "/_synapse/admin/v1/register";
  const { nonce } = JSON.parse((await http.ask({ method: "GET", path })).text()) as { nonce: string };
  const mac = createHmac("sha1", sharedSecret)
    .update([nonce, username, benchPassword, "notadmin"].join("\0"))
    .digest("hex");
  const body = JSON.stringify({ nonce, username, password: benchPassword, admin: false, mac });
  const answer = JSON.parse((await http.ask({ method: "POST", path, body })).text()) as Record<string, string>;
  return { userId: answer.user_id!, accessToken: answer.access_token! };
}

async function addRoom(
  https: readonly HttpClient[],
  clients: readonly Client[],
  { members, messagesEach }: PlannedRoom,
): Promise<string> {
  const [creator, ...others] = members;
  const body = JSON.stringify({ preset: "public_chat", name: "Bench" });
  const created = await https[creator!]!.ask({ method: "POST", path: "/_matrix/client/v3/createRoom", body });
  const { room_id: roomId } = JSON.parse(created.text()) as { room_id: string };
  const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
  for (const member of others) (await https[member]!.ask({ method: "POST", path, body: "{}" })).text();
  let sent = 0;
  for (const member of members) {
    for (let count = 0; count < messagesEach; count++) await clients[member]!.send(roomId, seededText(sent++));
  }
  return roomId;
}
