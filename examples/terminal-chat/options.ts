import { parseArgs } from "node:util";

export interface Options {
  endpoint: URL;
  name: string | null;
  password: string | null;
  register: boolean;
  help: boolean;
}

/** Something about how the program was called is wrong; the message says what. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const help = `A chat in the terminal, for a hearth server.

  node --import tsx examples/terminal-chat/main.ts [options]

  --server ADDRESS     the server; default http://127.0.0.1:8008      (or HEARTH_CHAT_SERVER)
  --name NAME          who to sign in as; asked for if left out       (or HEARTH_CHAT_NAME)
  --password PASSWORD  others on this machine can read options: better leave it out and
                       be asked, or put it into the environment       (or HEARTH_CHAT_PASSWORD)
  --register           make a new account with this name and password
  --help               show this`;

/** Reads the command line, then the environment. */
export function readOptions(args: string[], environment: NodeJS.ProcessEnv): Options {
  const { server, name, password, register, help: wanted } = parse(args);
  const address = server ?? environment["HEARTH_CHAT_SERVER"] ?? "http://127.0.0.1:8008";
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new UsageError(`--server ${address}: give an address such as http://127.0.0.1:8008.`);
  }
  return {
    endpoint: new URL("/graphql", address),
    name: name ?? environment["HEARTH_CHAT_NAME"] ?? null,
    password: password ?? environment["HEARTH_CHAT_PASSWORD"] ?? null,
    register: register ?? false,
    help: wanted ?? false,
  };
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({ args, options: { server: text, name: text, password: text, register: flag, help: flag } })
      .values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} --help lists the options.`);
  }
}
