import { parseArgs } from "node:util";

export interface Options {
  /** Where the bridge reaches the homeserver. */
  homeserver: string;
  /** Where everybody reaches it. */
  publicUrl: string;
  serverName: string;
  registration: string;
  /** Where the homeserver reaches the bridge: what the registration says. */
  listen: string;
  data: string;
  irc: { host: string; port: number; tls: boolean };
  nick: string;
  nickSuffix: string;
  lineIntervalMs: number;
  maxLines: number;
  register: boolean;
  help: boolean;
}

/** Something about how the program was called is wrong; the message says what. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const help = `A bridge between a hearth server and an IRC network.

  node --import tsx examples/bridge-irc/main.ts [options]

  --register            write the registration that the homeserver needs, and end
  --registration FILE   where it is; default bridge-irc.yaml
  --listen ADDRESS      where the homeserver shall reach the bridge, for --register;
                        default http://127.0.0.1:9009
  --homeserver ADDRESS  the homeserver; default http://127.0.0.1:8008
  --public-url ADDRESS  where people on IRC fetch files; default the same
  --server-name NAME    the part of ids after the colon; default localhost
  --irc HOST:PORT       the IRC server; default 127.0.0.1:6667
  --tls                 speak TLS with it
  --nick NICK           the bridge itself on IRC; default hearth
  --nick-suffix TEXT    what the nicks of Matrix users end with; default [m]
  --line-interval MS    how fast one user may send lines; default 700
  --max-lines NUMBER    longer messages become a link to a file; default 5
  --data DIRECTORY      what the bridge must not forget; default ./bridge-irc-data
  --help                show this`;

/** Reads the command line. */
export function readOptions(args: string[]): Options {
  const values = parse(args);
  const homeserver = address("homeserver", values.homeserver ?? "http://127.0.0.1:8008");
  const publicUrl = values["public-url"];
  const nick = values.nick ?? "hearth";
  return {
    homeserver,
    publicUrl: publicUrl === undefined ? homeserver : address("public-url", publicUrl),
    serverName: values["server-name"] ?? "localhost",
    registration: values.registration ?? "bridge-irc.yaml",
    listen: address("listen", values.listen ?? "http://127.0.0.1:9009"),
    data: values.data ?? "bridge-irc-data",
    irc: { ...hostAndPort(values.irc ?? "127.0.0.1:6667"), tls: values.tls ?? false },
    nick,
    nickSuffix: values["nick-suffix"] ?? "[m]",
    lineIntervalMs: number("line-interval", values["line-interval"] ?? "700"),
    maxLines: number("max-lines", values["max-lines"] ?? "5"),
    register: values.register ?? false,
    help: values.help ?? false,
  };
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args,
      options: {
        register: flag,
        registration: text,
        listen: text,
        homeserver: text,
        "public-url": text,
        "server-name": text,
        irc: text,
        tls: flag,
        nick: text,
        "nick-suffix": text,
        "line-interval": text,
        "max-lines": text,
        data: text,
        help: flag,
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} --help lists the options.`);
  }
}

/** Without a slash at its end. */
function address(option: string, value: string): string {
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return value.replace(/\/+$/, "");
  throw new UsageError(`--${option} ${value}: give an address such as http://127.0.0.1:8008.`);
}

function hostAndPort(value: string): { host: string; port: number } {
  const [, host, port] = /^(?:irc:\/\/)?\[?([^/]+?)\]?:(\d+)$/.exec(value) ?? [];
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageError(`--irc ${value}: give a host and a port such as irc.example.org:6667.`);
  }
  return { host, port: Number(port) };
}

function number(option: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new UsageError(`--${option} ${value}: give a whole number.`);
}
