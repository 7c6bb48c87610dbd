import type { Command } from "commander";
import { command } from "./command.ts";
import { Problem } from "./problem.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
NAME is a name or a user id, of somebody who has registered. A server that runs needs no restart. Admins can take the
rights away again with the mutation setUserAdmin.

Example: hearth admin make-admin alice
`;

/** `hearth admin make-admin` */
export function addMakeAdmin(parent: Command): void {
  command(parent, "make-admin <name>", "Makes a user an admin of this server.", help).action(run);
}

async function run(name: string, options: CommonOptions): Promise<void> {
  const { makeAdmin } = await import("../store/makeAdmin.ts");
  const { userId, outcome } = await withStore(await configOf(options), (databaseUrl) => makeAdmin(databaseUrl, name));
  switch (outcome) {
    case "made":
      return say(`${userId} is an admin now.`);
    case "was already":
      return say(`${userId} was an admin already.`);
    case "no such user":
      throw new Problem(`There is no user ${userId} on this server: register first.`);
    case "deactivated":
      throw new Problem(
        `${userId} is deactivated, and was not made admin: an admin must reactivate the account first.`,
      );
  }
}
