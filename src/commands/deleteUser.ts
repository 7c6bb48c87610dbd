import type { Command } from "commander";
import { command } from "./command.ts";
import { Problem } from "./problem.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
NAME is a name or a user id. Nobody gets in by the account from then on, and its name is never given out again. A server
that runs goes on with what is left to do, such as leaving rooms; while none runs, the next one that starts does. Nothing
asks whether you are sure, and admins are deleted like others.

Example: hearth admin delete-user alice --erase
`;

/** `hearth admin delete-user` [ACC-3] */
export function addDeleteUser(parent: Command): void {
  const eraseHelp = "redact what the user sent, too; also of accounts that were deleted without it";
  command(parent, "delete-user <name>", "Deletes an account of this server for good.", help, (added) =>
    added.option("--erase", eraseHelp),
  ).action(run);
}

async function run(name: string, options: CommonOptions & { erase?: boolean }): Promise<void> {
  const { deleteAccountOf } = await import("../store/deleteAccount.ts");
  const { userId, outcome } = await withStore(await configOf(options), (databaseUrl) =>
    deleteAccountOf(databaseUrl, name, options.erase === true),
  );
  switch (outcome) {
    case "deleted":
      return say(
        `${userId} is deleted. A running server goes on with what is left to do, else the next one that starts.`,
      );
    case "no such user":
      throw new Problem(`There is no user ${userId} on this server.`);
    case "too old":
      throw new Problem("The store is of an earlier release: bring it up to date by hearth migrate.");
  }
}
