import { z } from "zod";
import { insertHistory } from "../../../domain/actions/insertEvents.ts";
import { redactEvent } from "../../../domain/actions/redactEvent.ts";
import { sendMessage } from "../../../domain/actions/sendMessages.ts";
import { setMembership } from "../../../domain/actions/setMembership.ts";
import { setState } from "../../../domain/actions/setStates.ts";
import type { Domain } from "../../../domain/domain.ts";
import { jsonObject } from "../../../model/check.ts";
import type { StoredEvent } from "../../../model/event.ts";
import { newerKey } from "../../../model/olderKeys.ts";
import type { Requester } from "../../../model/requester.ts";
import { clientPaths, type AddRoutes } from "../routes.ts";
import { actionIdOf, appendingQuery, eventIdAnswer, forbidding, roomGroup, sentAtOf } from "./roomCalls.ts";

const query = z.object({
  ...appendingQuery,
  insert_after: z
    .string()
    .optional()
    .describe("The event that this one comes straight after, in the past of the room; for application services."),
});
type Query = z.output<typeof query>;
const redactionBody = z.object({ reason: z.string().nullish() });
const redactionQuery = z.object(appendingQuery);

/** Messages, state and redactions. [AS-7, AS-10, AS-13] */
export function sendingRoutes(domain: Domain): AddRoutes {
  const { tools, server } = domain;
  const common = { group: roomGroup.sending, access: "user", answer: eventIdAnswer } as const;

  /** Sends a message once, or puts it into the past. */
  async function send(
    requester: Requester,
    { roomId = "", type = "", transaction }: Record<string, string | undefined>,
    { insert_after: insertAfter, ...query }: Query,
    content: Record<string, unknown>,
  ): Promise<{ event_id: string }> {
    const { actionId } = actionIdOf(transaction, "send", roomId, type);
    const sentAt = sentAtOf(requester, query);
    if (type === "m.room.redaction" && typeof content["redacts"] === "string") {
      const { redacts: eventId, reason } = content;
      return idOf(redactEvent(tools, requester, { roomId, eventId, reason, actionId, ...sentAt }));
    }
    const message = { type, content: { older: content } };
    if (insertAfter === undefined) {
      return idOf(sendMessage(tools, requester, { roomId, message: { ...message, actionId }, ...sentAt }));
    }
    const events = [{ message }];
    return idOf(firstOf(insertHistory(tools, requester, { roomId, insertAfter, events, actionId, ...sentAt })));
  }

  async function setStateOf(
    requester: Requester,
    { roomId = "", type = "", key = "" }: Record<string, string | undefined>,
    { insert_after: insertAfter, ...query }: Query,
    content: Record<string, unknown>,
  ): Promise<{ event_id: string }> {
    const common = { roomId, ...sentAtOf(requester, query) };
    if (type === "m.room.member" && insertAfter === undefined) {
      return idOf(setMembership(tools, requester, { ...common, userId: key, content }));
    }
    const state = { type, stateKey: newerKey(key, server.name), content };
    if (insertAfter === undefined) return idOf(setState(tools, requester, { ...common, ...state }));
    return idOf(firstOf(insertHistory(tools, requester, { ...common, insertAfter, events: [{ state }] })));
  }

  return (routes) => {
    routes.call({
      ...{ ...common, method: "PUT", paths: clientPaths("/rooms/:roomId/send/:type/:transaction"), query },
      summary: "Sends a message event; the same transaction again gives the same event.",
      body: jsonObject,
      handle: ({ requester, params, query, body }) => send(requester, params, query, body),
    });
    routes.call({
      ...{ ...common, method: "POST", paths: clientPaths("/rooms/:roomId/send/:type"), query },
      summary: "Sends a message event.",
      body: jsonObject,
      handle: ({ requester, params, query, body }) => send(requester, params, query, body),
    });
    routes.call({
      ...{
        ...common,
        method: "PUT",
        paths: ["/rooms/:roomId/send/:type", ...clientPaths("/rooms/:roomId/send/:type")],
      },
      summary: "Sends a message event, as the application-service draft does.",
      ...{ query, body: jsonObject },
      handle: ({ requester, params, query, body }) => send(requester, params, query, body),
    });
    routes.call({
      ...{ ...common, method: "PUT", paths: clientPaths("/rooms/:roomId/state/:type/:key?"), query },
      summary: "Sets state, a membership among it.",
      body: jsonObject,
      handle: ({ requester, params, query, body }) => setStateOf(requester, params, query, body),
    });

    const redact = async (
      requester: Requester,
      { roomId = "", eventId = "", transaction }: Record<string, string | undefined>,
      query: z.output<typeof redactionQuery>,
      { reason }: z.output<typeof redactionBody>,
    ) => {
      const { actionId } = actionIdOf(transaction, "redact", roomId, eventId);
      const input = { roomId, eventId, reason, actionId, ...sentAtOf(requester, query) };
      return idOf(redactEvent(tools, requester, input));
    };
    routes.call({
      ...{ ...common, method: "PUT", paths: clientPaths("/rooms/:roomId/redact/:eventId/:transaction") },
      summary: "Empties an event for good; the same transaction again gives the same redaction.",
      ...{ query: redactionQuery, body: redactionBody },
      handle: ({ requester, params, query, body }) => redact(requester, params, query, body),
    });
    routes.call({
      ...{ ...common, method: "POST", paths: clientPaths("/rooms/:roomId/redact/:eventId") },
      summary: "Empties an event for good.",
      ...{ query: redactionQuery, body: redactionBody },
      handle: ({ requester, params, query, body }) => redact(requester, params, query, body),
    });
  };
}

async function idOf(sent: Promise<StoredEvent>): Promise<{ event_id: string }> {
  return { event_id: (await forbidding(sent)).eventId };
}

async function firstOf(events: Promise<StoredEvent[]>): Promise<StoredEvent> {
  return (await events)[0]!;
}
