import { insertEvents } from "../../../src/domain/actions/insertEvents.ts";
import type { StoredEvent } from "../../../src/model/event.ts";
import type { TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";

/** Inserts events as bridges do with history: there is no mutation for it. [EVS-6] */
export async function insert(server: TestApp, user: Client, input: Record<string, unknown>): Promise<StoredEvent[]> {
  const { tools, accounts } = server.app.domain;
  const requester = await accounts.authenticate(user.token!, { ip: null, userAgent: null });
  return insertEvents(tools, requester, input);
}

/** Inserts a message straight after an event; gives the new event's id. */
export async function insertAfter(
  server: TestApp,
  user: Client,
  roomId: string,
  insertAfter: string,
  body: string,
): Promise<string> {
  const events = [{ message: { content: { text: { body } } }, sentAt: 1000 }];
  const [event] = await insert(server, user, { roomId, insertAfter, events });
  return event!.eventId;
}
