import { joinRoom } from "../../src/domain/actions/joinRoom.ts";
import { sendMessage } from "../../src/domain/actions/sendMessages.ts";
import type { Requester } from "../../src/model/requester.ts";
import type { TestApp } from "./app.ts";

/** A user of an application service's namespaces, as the service acts as them. */
export interface Ghost {
  requester: Requester;
  userId: string;
  join(roomId: string): Promise<void>;
  /** Gives the event's id. */
  send(roomId: string, body: string, more?: { sentAt?: number; actionId?: string }): Promise<string>;
}

/** Has a service make a user. */
export async function makeGhost({ app: { domain } }: TestApp, serviceId: string, name: string): Promise<Ghost> {
  await domain.accounts.registerByService(serviceId, name);
  return ghostOf({ app: { domain } } as TestApp, serviceId, name);
}

/** A user that a service made before. */
export async function ghostOf({ app: { domain } }: TestApp, serviceId: string, name: string): Promise<Ghost> {
  const { registry, identity } = domain.services;
  const userId = `@${name}:localhost`;
  const service = registry.current().withId(serviceId)!;
  const requester = await identity.requester(service, { userId, userToken: null }, { ip: null, userAgent: null });
  return {
    requester,
    userId,
    async join(roomId) {
      await joinRoom(domain.tools, requester, { target: { roomId } });
    },
    async send(roomId, body, { sentAt, actionId } = {}) {
      const message = { content: { text: { body } }, actionId };
      return (await sendMessage(domain.tools, requester, { roomId, message, sentAt })).eventId;
    },
  };
}
