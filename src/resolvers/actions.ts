import type { InputObjectRef, ObjectRef } from "@pothos/core";
import type { ActionTools } from "../domain/actions/act.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Requester } from "../model/requester.ts";
import { builder, type Types } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { Room, StateEvent } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { domainOf, loadAnew, signedIn } from "./context.ts";

/** What an action gave, and the action id that it was asked for with. */
export interface Acted {
  event: StoredEvent;
  actionId: string | null;
}

/** What a batch gave. */
export interface ActedBatch {
  events: StoredEvent[];
  actionId: string | null;
}

/** Runs an action of the domain for the signed-in requester. What is loaded afterwards sees what it changed. */
export async function run<Result>(
  context: Context,
  action: (tools: ActionTools, requester: Requester, input: unknown) => Promise<Result>,
  input: unknown,
): Promise<Result> {
  const requester = signedIn(context);
  const domain = domainOf(context);
  const result = await action(domain.tools, requester, input);
  loadAnew(context);
  return result;
}

/** The fields that most payloads of state actions share. */
export function statePayload(name: string, { room = true } = {}) {
  return builder.objectRef<Acted>(name).implement({
    fields: (t) => ({
      event: t.field({ type: StateEvent, resolve: ({ event }) => event }),
      actionId: t.exposeString("actionId", { nullable: true }),
      ...(room
        ? { room: t.field({ type: Room, resolve: ({ event }, _args, context) => roomOf(event, context) }) }
        : { roomId: t.id({ resolve: ({ event }) => event.roomId }) }),
    }),
  });
}

/** Adds a mutation that runs an action and answers with its one event. */
export function actionField(
  name: string,
  payload: ObjectRef<Types, Acted>,
  inputType: InputObjectRef<Types, { actionId?: string | null | undefined }>,
  action: (tools: ActionTools, requester: Requester, input: unknown) => Promise<StoredEvent>,
  description?: string,
): void {
  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      nullable: true,
      ...(description === undefined ? {} : { description }),
      args: { input: t.arg({ type: inputType, required: true }) },
      resolve: async (_root, { input }, context): Promise<Acted> => ({
        event: await run(context, action, input),
        actionId: input.actionId ?? null,
      }),
    }),
  );
}
