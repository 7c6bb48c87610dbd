import type { Command } from "commander";
import { addCreateUser } from "./createUser.ts";
import { addDeleteUser } from "./deleteUser.ts";
import { addExportUser } from "./exportUser.ts";
import { addMakeAdmin } from "./makeAdmin.ts";

/** `hearth admin …`: what whoever runs the server does about users. */
export function addAdmin(parent: Command): void {
  const admin = parent
    .command("admin")
    .description("Looks after users, while the server runs and while it doesn't.")
    .helpOption("-h, --help", "this text")
    .helpCommand(false);
  addCreateUser(admin);
  addMakeAdmin(admin);
  addExportUser(admin);
  addDeleteUser(admin);
}
