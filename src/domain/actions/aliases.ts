import { canonicalJson } from "../../model/canonicalJson.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { serverOf } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import type { AliasChange, HeldSlot } from "../../store/append.ts";
import { aliasesOf } from "../../store/aliases.ts";
import type { Connection } from "../../store/database.ts";
import { endless, stateInSlots } from "../../store/state.ts";
import type { RegistrySnapshot } from "../appservice/snapshot.ts";

export const aliasesType = "m.room.aliases";

/** Throws `BAD_INPUT` for an alias that only another server can give out. [ALI-2] */
export function checkOwnAlias({ serverName }: { serverName: string }, alias: string): void {
  if (serverOf(alias) !== serverName) throw badInput("alias", `is not one of this server, ${serverName}`);
}

/** Throws `EXCLUSIVE` for an alias that only an application service may make, and another one than acts. [AS-8] */
export function demandFreeAlias(services: RegistrySnapshot, { service }: Requester, alias: string): void {
  if (!services.isTaken("aliases", alias, service?.id ?? null)) return;
  throw new HearthError("EXCLUSIVE", "alias: is one of an application service.", { field: "alias" });
}

/** What a unit says of an alias that it makes. */
export function newAlias(
  services: RegistrySnapshot,
  creator: string,
  alias: string,
): { aliases: AliasChange[]; registry: number } {
  return { aliases: [{ alias, creator, services: services.toldOf("aliases", alias) }], registry: services.version };
}

/** The state by which a room tells its aliases on this server. [ALI-2] */
export function aliasesDraft(serverName: string, aliases: readonly string[]): EventDraft {
  const content = canonicalJson({ aliases }, "alias");
  return { type: aliasesType, stateKey: serverName, sender: serverName, content };
}

/** The aliases of a room, the oldest first, and the event that tells them, for plans that change them. */
export async function presentAliases(
  connection: Connection,
  roomId: string,
  serverName: string,
): Promise<{ aliases: string[]; slot: HeldSlot }> {
  const name = { type: aliasesType, stateKey: serverName };
  const [held] = await stateInSlots(connection, [{ roomId, ...name, at: endless }]);
  const aliases = await aliasesOf(connection, roomId);
  return { aliases, slot: { ...name, holder: held?.redactedById === null ? held.eventId : null } };
}
