import { existsSync } from "node:fs";
import { join } from "node:path";

/** One generation of bridge software: a library as npm has it. */
export interface Generation {
  /** Its name in test/bridges/package.json, and that of its driver. */
  library: string;
  /** What its ghosts and aliases begin with. Upper case and odd characters occur. */
  prefix: string;
  /** It registers itself over REST and has no file. */
  registersItself: boolean;
  /** It doesn't look at transaction ids, and passes on again what comes again. */
  takesTwice: boolean;
}

export const generations: readonly Generation[] = [
  { library: "appservice-0.0.3", prefix: "oldest_", registersItself: true, takesTwice: true },
  { library: "bridge-0.1.5", prefix: "irc_-Server-_", registersItself: false, takesTwice: false },
  { library: "bridge-1.4.0", prefix: "_Slack_", registersItself: false, takesTwice: false },
  { library: "bridge-2.7.0", prefix: "_gitter=_", registersItself: false, takesTwice: false },
  { library: "bridge-10.3.3", prefix: "_xmpp_", registersItself: false, takesTwice: false },
  { library: "bot-sdk-0.7.1", prefix: "_bot.sdk_", registersItself: false, takesTwice: false },
];

const home = join(import.meta.dirname, "..");

/** Of Node 23 and later the older libraries miss functions that were there for twenty years. */
const newestNode = 22;

/** Why the libraries can't be run here; undefined if they can. */
export function missing(): string | undefined {
  if (Number(process.versions.node.split(".")[0]) > newestNode) return `needs Node ${newestNode} or earlier`;
  const installed = generations.every(({ library }) => existsSync(join(home, "node_modules", library, "package.json")));
  return installed ? undefined : "needs npm ci --prefix test/bridges";
}

export function driverOf({ library }: Generation): string {
  return join(home, "drivers", `${library}.mjs`);
}
