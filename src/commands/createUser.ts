import type { Command } from "commander";
import type { Config } from "../config.ts";
import { noLog } from "../model/ports.ts";
import { command } from "./command.ts";
import { migrationsDir } from "./migrationsDir.ts";
import { newPassword } from "./newPassword.ts";
import { Problem } from "./problem.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
NAME is lower case letters, digits and . _ = / + -; no registration token is needed, and registration may be closed. The
password is asked for, and not shown; it takes at least 8 characters.

Examples: hearth admin create-user alice --admin
          pass show hearth/bob | hearth admin create-user bob --password-stdin
`;

type Options = CommonOptions & { admin?: boolean; passwordStdin?: boolean };

/** `hearth admin create-user` [ACC-1] */
export function addCreateUser(parent: Command): void {
  command(parent, "create-user <name>", "Makes an account.", help, (added) =>
    added
      .option("--admin", "who has it is an admin of this server")
      .option("--password-stdin", "takes the password from the standard input, one line, instead of asking for it"),
  ).action(run);
}

async function run(username: string, options: Options): Promise<void> {
  const config = await configOf(options);
  const password = await newPassword(options.passwordStdin === true);
  const admin = options.admin === true;
  const userId = await withStore(config, (url) => createUser(url, config, { username, password, admin }));
  say(`${userId} can log in${admin ? ", and is an admin" : ""}.`);
}

async function createUser(databaseUrl: string, config: Config, input: object): Promise<string> {
  const { migrationStatus } = await import("../store/migrate.ts");
  const { pending } = await migrationStatus(databaseUrl, migrationsDir());
  if (pending.length > 0) throw new Problem("The store isn't up to date: run hearth migrate first.");
  const { createAccounts } = await import("../domain/accounts.ts");
  const { createRegistry } = await import("../domain/appservice/registry.ts");
  const { createAttempts } = await import("../domain/limits/attempts.ts");
  const { createLimits } = await import("../domain/limits/limits.ts");
  const { createPasswords } = await import("../domain/passwords.ts");
  const { databaseSetting } = await import("../store/accounts.ts");
  const { openDatabase } = await import("../store/database.ts");
  const { randomIds, systemClock } = await import("../system.ts");
  const database = openDatabase(databaseUrl, { readers: 2 });
  try {
    // The server whose store it is, whatever the settings here say.
    const serverName = await databaseSetting(database.reader, "server_name", config.serverName);
    const registry = await createRegistry({ connection: database.reader, serverName, log: noLog });
    const accounts = createAccounts({
      ...{
        database,
        registry,
        limits: createLimits({ rates: null, registry, clock: systemClock }),
        attempts: createAttempts({ rates: null, connection: database.reader, clock: systemClock }),
        serverName,
        clock: systemClock,
        ids: randomIds,
        log: noLog,
        passwords: createPasswords(),
      },
      // Asked of those who register or act, and nobody does here.
      ...{ registration: "closed", registrationTokens: [], admins: new Set<string>(), onRevoked: () => undefined },
    });
    return await accounts.create(input);
  } finally {
    await database.close();
  }
}
