import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { lifetime, offer } from "../../model/content/calls.ts";
import type { StoredEvent } from "../../model/event.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { signalDraft } from "./callSignals.ts";
import { appendingMessages } from "./sendMessages.ts";

const placeCallInput = z.strictObject({ ...commonInput, roomId, offer, lifetimeMs: lifetime.default(60_000) });

/**
 * Calls the other one in a room of two; gives the invite. Where the other side has called already and nobody was
 * acknowledged in that call, this one ends at once. [VOIP-1, VOIP-7] Throws `BAD_INPUT` for a room that isn't of two,
 * `TOO_LARGE`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`.
 */
export async function placeCall(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(placeCallInput, given);
  const { roomId, offer, lifetimeMs } = input;
  const content = canonicalJson({ offer, lifetime: lifetimeMs }, "");
  const asked = { type: "m.call.invite", sender: requester.userId, content };
  const [event] = await act(tools, {
    requester,
    name: "placeCall",
    input,
    roomId,
    plan: appendingMessages(tools, roomId, [signalDraft(tools, requester, asked, "call")], () => "call"),
  });
  return event!;
}
