#!/usr/bin/env node
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ConfigError, readConfig, type Config } from "./config.ts";
import { EmbeddedPostgresError } from "./store/embedded/embedded.ts";
import { visitEmbeddedPostgres, type Visit } from "./store/embedded/visit.ts";
import { makeAdmin } from "./store/makeAdmin.ts";

const help = `npm run admin -- NAME [--config FILE]

Makes a user an admin of this server: npm run admin -- alice

NAME is a name or a user id, of somebody who has registered. The store is found by the settings, as the server finds
it: run this where the server is started, with the same environment. It works while the server runs, which then needs
no restart, and while it doesn't. Admins can take the rights away again with the mutation setUserAdmin.

  --config FILE   settings from this file instead of hearth.config.json
  --help          this text
`;

/** How the command was called is wrong; the message says how. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

async function main(): Promise<void> {
  const { values, positionals } = read();
  if (values.help) return void process.stdout.write(help);
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new UsageError("it takes one name or user id.");
  const visit = await reach(readConfig(process.env, values.config ?? null));
  try {
    const { userId, outcome } = await makeAdmin(visit.url, name);
    const said = {
      made: `${userId} is an admin now.`,
      "was already": `${userId} was an admin already.`,
      "no such user": `There is no user ${userId} on this server: register first.`,
      deactivated: `${userId} is deactivated, and was not made admin: an admin must reactivate the account first.`,
    }[outcome];
    const done = outcome === "made" || outcome === "was already";
    (done ? process.stdout : process.stderr).write(`${said}\n`);
    if (!done) process.exitCode = 1;
  } finally {
    await visit.end();
  }
}

function read() {
  try {
    return parseArgs({
      options: { config: { type: "string" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function reach({ databaseUrl, dataDir }: Config): Promise<Visit> {
  if (databaseUrl !== null) return { url: databaseUrl, end: () => Promise.resolve() };
  const log = (message: string): void => void process.stderr.write(`${message}\n`);
  return visitEmbeddedPostgres({ dataDir: resolve(dataDir), log });
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${help}`);
    process.exitCode = 2;
    return;
  }
  const forPeople = error instanceof ConfigError || error instanceof EmbeddedPostgresError || "code" in Object(error);
  // Several addresses of one host fail as one error without a message of its own.
  const { message, errors, stack } = error as AggregateError;
  const plain = message || (errors ?? []).map((each) => (each as Error).message).join(", ");
  process.stderr.write(`The store can't be changed: ${forPeople ? plain : (stack ?? String(error))}\n`);
  process.exitCode = 1;
});
