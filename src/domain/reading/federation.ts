import type { StoredEvent } from "../../model/event.ts";
import { federationJson } from "../../model/federation.ts";
import type { Signer } from "../../model/signing.ts";
import { federationContexts } from "../../store/federation.ts";
import type { Reading } from "./reading.ts";

/**
 * Events in federation form, in their order; one statement for all. [EV-6]
 * The caller has seen to it that the reader may see the events. The ids of those before and behind them are shown
 * whether or not the reader may see these: without them the signature wouldn't verify.
 */
export async function federationEvents(
  { connection }: Pick<Reading, "connection">,
  signer: Signer,
  events: readonly StoredEvent[],
): Promise<Record<string, unknown>[]> {
  const contexts = await federationContexts(connection, events);
  return events.map((event) => federationJson(event, contexts.get(event.eventId)!, signer));
}
