import type { AppService } from "../../model/appService.ts";
import { HearthError } from "../../model/errors.ts";
import type { Log } from "../../model/ports.ts";
import { existingAccounts } from "../../store/accounts.ts";
import { writeProfileKey } from "../../store/profiles.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import type { ActionTools } from "../actions/act.ts";
import { bridgedRoom, type BridgedEvent } from "../actions/bridgedRoom.ts";
import { checkProfileChange } from "../rules/profile.ts";
import { serviceAs } from "./acting.ts";
import { heldRegistry, makeAccount } from "./makeAccount.ts";
import type { DescribedEvent, Provision, RoomAnswer } from "./queries.ts";

/** Makes the users and rooms that services describe in their answers. [AS-3, AS-4] */
export function createProvision(tools: ActionTools, log: Log): Provision {
  async function user(userId: string, profile: Record<string, string | null | undefined>): Promise<void> {
    await tools.database.reader.$transaction(async (connection) => {
      // Of several that heard the answer one makes the user.
      if (!(await makeAccount(connection, await heldRegistry(connection, tools.registry), userId, null))) return;
      for (const [key, value] of Object.entries(profile)) {
        if (value === null || value === undefined || !mayHave(userId, key, value)) continue;
        await writeProfileKey(connection, { userId, key, value: canonicalJson(value, key) });
      }
    });
  }

  /** Whether a profile can have this. A user without it is better than none. */
  function mayHave(userId: string, key: string, value: string): boolean {
    try {
      checkProfileChange({ key, value });
      canonicalJson(value, key);
      return true;
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      log.warn({ userId, key, problem: error.message }, "a part of a described profile was left out");
      return false;
    }
  }

  /** The senders whom the service has in its namespaces and who exist, once it was asked for those who don't. */
  async function knownSenders(service: AppService, answer: RoomAnswer): Promise<Set<string>> {
    const named = [...(answer.state ?? []), ...(answer.events ?? [])].map(senderOf);
    const own = [...new Set(named)].flatMap((id) =>
      id !== undefined && tools.registry.current().has(service.id, "users", id) ? [id] : [],
    );
    await tools.queries.users(own);
    return new Set(await existingAccounts(tools.database.reader, own));
  }

  return {
    user: (_service, userId, { display_name, displayname, avatar_url }) =>
      user(userId, { displayname: display_name ?? displayname, avatar_url }),

    async room(service, alias, answer) {
      const senders = await knownSenders(service, answer);
      const known = (events: readonly DescribedEvent[] = []): BridgedEvent[] =>
        events.flatMap((event) => {
          const sender = senderOf(event) ?? "";
          if (!senders.has(sender)) return [];
          const { type, content, state_key: stateKey, origin_server_ts: sentAt } = event;
          return [{ type, content, sender, stateKey, sentAt }];
        });
      const state = known(answer.state).map((event) => ({ ...event, stateKey: event.stateKey ?? "" }));
      const events = known(answer.events);
      const leftOut = (answer.state?.length ?? 0) + (answer.events?.length ?? 0) - state.length - events.length;
      if (leftOut > 0) log.warn({ service: service.id, alias, leftOut }, "events of unknown senders were left out");
      const creator = state[0]?.sender ?? events[0]?.sender ?? service.sender;
      try {
        await bridgedRoom(tools, serviceAs(service.id, creator), { alias, state, events });
      } catch (error) {
        // Another process may have heard the same answer. What can't be made is as good as unknown.
        if (!(error instanceof HearthError)) throw error;
        log.warn({ service: service.id, alias, problem: error.message }, "a described room wasn't made");
      }
    },
  };
}

function senderOf(event: DescribedEvent): string | undefined {
  return event.user_id ?? event.sender;
}
