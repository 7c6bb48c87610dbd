import { insertAccount } from "../../store/accounts.ts";
import { addInterestedIn, holdRegistry } from "../../store/appServices.ts";
import type { Connection } from "../../store/database.ts";
import type { Registry } from "./registry.ts";
import type { RegistrySnapshot } from "./snapshot.ts";

/**
 * Makes an account, in a transaction that holds the registrations of the snapshot, and notes the services that are told of
 * it; false when the name is taken, or was once.
 */
export async function makeAccount(
  connection: Connection,
  snapshot: RegistrySnapshot,
  userId: string,
  passwordHash: string | null,
): Promise<boolean> {
  if (!(await insertAccount(connection, userId, passwordHash))) return false;
  await addInterestedIn(connection, userId, snapshot.toldOf("users", userId));
  return true;
}

/** The registrations as they are, which nobody changes until the transaction ends. */
export async function heldRegistry(connection: Connection, registry: Registry): Promise<RegistrySnapshot> {
  return registry.at(connection, await holdRegistry(connection));
}
