import { expect } from "vitest";
import { startApp, type TestApp } from "../../../kit/app.ts";
import { startService, type ScriptedService } from "../../../kit/scriptedService.ts";
import { Caller, type Answered } from "./callers.ts";

type Json = Record<string, unknown>;

/** A server with an application service that is told of its users' rooms, on real sockets. */
export interface Bridged {
  app: TestApp;
  service: ScriptedService;
  /** Who calls as the service's own user, `@ircbot:localhost`. */
  bot: Caller;
  /** Has the service make a user; gives who calls as them. */
  ghost(localpart: string): Promise<Caller>;
  close(): Promise<void>;
}

export async function startBridged(): Promise<Bridged> {
  const app = await startApp();
  const service = await startService();
  const registration = service.registration();
  await app.app.domain.services.registrations.takeFiles([registration]);
  const bot = new Caller(app.address, registration.content["as_token"] as string);
  return {
    ...{ app, service, bot },
    ghost: async (localpart) => bot.as(await app.app.domain.accounts.registerByService("irc", localpart)),
    async close() {
      await app.close();
      await service.close();
    },
  };
}

export const id = encodeURIComponent;
export const userOf = (localpart: string): string => `@${localpart}:localhost`;
export const forbidden = { status: 403, body: { errcode: "M_FORBIDDEN" } };

/** What a call that has to succeed answers. */
export function ok({ status, body }: Answered): Json {
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
}

/** The id of the event that a call made. */
export function made(answered: Answered): string {
  return ok(answered)["event_id"] as string;
}

export async function roomOf(caller: Caller, body: object = { preset: "public_chat" }): Promise<string> {
  return ok(await caller.post("/createRoom", body))["room_id"] as string;
}

let transactions = 0;
export async function say(
  caller: Caller,
  roomId: string,
  body: string | object = "hello",
  type = "m.room.message",
): Promise<string> {
  const content = typeof body === "string" ? { msgtype: "m.text", body } : body;
  return made(await caller.put(`/rooms/${id(roomId)}/send/${id(type)}/t${transactions++}`, content));
}

export async function eventIn(caller: Caller, roomId: string, eventId: string): Promise<Json> {
  return ok(await caller.get(`/rooms/${id(roomId)}/event/${id(eventId)}`));
}

export async function stateIn(caller: Caller, roomId: string, type: string, key = ""): Promise<Json> {
  return ok(await caller.get(`/rooms/${id(roomId)}/state/${id(type)}/${id(key)}`));
}

/** All events of a room's state. */
export async function allStateIn(caller: Caller, roomId: string): Promise<Json[]> {
  return ok(await caller.get(`/rooms/${id(roomId)}/state`)) as unknown as Json[];
}

/** The events of a page. */
export async function chunkOf(caller: Caller, path: string, query: Record<string, string> = {}): Promise<Json[]> {
  return ok(await caller.get(path, query))["chunk"] as Json[];
}
