import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { IAppserviceRegistration } from "matrix-bot-sdk";
import { parse, stringify } from "yaml";
import { UsageError, type Options } from "./options.ts";

/** What the homeserver has to know of the bridge, and the bridge of itself. */
export type Registration = IAppserviceRegistration & { url: string };

/** Writes a new registration, with new tokens. Throws when there is a file already. */
export function writeRegistration({ registration, listen, serverName }: Options): void {
  const token = () => randomBytes(32).toString("base64url");
  // The library takes what stands before `.*` for the beginning of all names.
  const namespace = (sigil: string) => [{ exclusive: true, regex: `${sigil}irc_.*:${escaped(serverName)}` }];
  const content: Registration & { id: string } = {
    id: "irc",
    url: listen,
    as_token: token(),
    hs_token: token(),
    sender_localpart: "ircbot",
    namespaces: { users: namespace("@"), aliases: namespace("#"), rooms: [] },
    protocols: ["irc"],
    rate_limited: false,
  };
  try {
    writeFileSync(registration, stringify(content), { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw new UsageError(`${registration} can't be written: ${(error as Error).message}`);
  }
}

/** Reads it. */
export function readRegistration({ registration }: Options): Registration {
  try {
    return parse(readFileSync(registration, "utf8")) as Registration;
  } catch (error) {
    throw new UsageError(`${registration} can't be read, --register writes it: ${(error as Error).message}`);
  }
}

function escaped(text: string): string {
  return text.replace(/[.[\]]/g, "\\$&");
}
