import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { command } from "./command.ts";
import { ok, problem, short, type Finding, type Findings } from "./doctor/finding.ts";
import { Interrupted } from "./problem.ts";
import { configOf, say, withStore, type CommonOptions } from "./visit.ts";

const help = `
Looks at the settings, the data directory, the store, files, application services, TURN servers, the policy hook and the
server, if one runs; says of each whether it is well, and what to do if it isn't. Nothing is changed, but for a few bytes that are
put among the files and taken away again. No secret is shown. The exit code is 1 when there is a problem.
`;

type Options = CommonOptions & { json?: boolean };

/** `hearth doctor` */
export function addDoctor(parent: Command): void {
  command(parent, "doctor", "Checks everything that the server needs, and says what to do.", help, (added) =>
    added.option("--json", "an array of findings for machines: level, about, what, todo"),
  ).action(run);
}

async function run(options: Options): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of examine(options)) {
    findings.push(finding);
    if (options.json !== true) say(lineOf(finding));
  }
  if (options.json === true) say(JSON.stringify(findings, ["level", "about", "what", "todo"], 2));
  if (findings.some(({ level }) => level === "problem")) process.exitCode = 1;
}

function lineOf({ level, about, what, todo }: Finding): string {
  return `${level.padEnd(7)}  ${about}: ${what}${todo === null ? "" : `\n         → ${todo}`}`;
}

async function* examine(options: Options): AsyncGenerator<Finding> {
  const { checkNode, checkSettings } = await import("./doctor/settings.ts");
  yield checkNode(process.versions.node);
  let config: Config;
  try {
    config = await configOf(options);
  } catch (error) {
    return yield problem("settings", short(error), "correct it; README.md lists all settings");
  }
  yield* checkSettings(config, process.env);
  const { checkDataDirectory } = await import("./doctor/disk.ts");
  yield* checked("data directory", checkDataDirectory(config));
  yield* checkedStore(config);
  const { checkMedia } = await import("./doctor/media.ts");
  if (config.media.s3 === null && !existsSync(resolve(config.dataDir))) yield ok("files", "there are none yet");
  else yield* checked("files", checkMedia(config));
  const { checkTurn } = await import("./doctor/turn.ts");
  yield* checked("TURN", checkTurn(config));
  const { checkPolicy, checkServer } = await import("./doctor/reach.ts");
  yield* checked("policy hook", checkPolicy(config));
  yield* checked("server", checkServer(config));
}

/** The store, and what is registered in it. */
async function* checkedStore(config: Config): AsyncGenerator<Finding> {
  const { checkServiceFiles, checkServices } = await import("./doctor/services.ts");
  const { checkStore } = await import("./doctor/store.ts");
  const { checkFiles } = await import("./doctor/media.ts");
  yield* checked("application services", checkServiceFiles(config));
  if (config.databaseUrl === null && !existsSync(join(resolve(config.dataDir), "postgres"))) {
    return yield ok("store", "there is none yet: hearth start makes it");
  }
  const findings: Finding[] = [];
  try {
    await withStore(config, async (databaseUrl) => {
      for await (const finding of checked("store", checkStore(config, databaseUrl))) findings.push(finding);
      if (findings.some(({ usable }) => usable === false)) return;
      for await (const finding of checked("application services", checkServices(config, databaseUrl)))
        findings.push(finding);
      for await (const finding of checked("files", checkFiles(config, databaseUrl))) findings.push(finding);
    });
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    findings.push(problem("store", short(error), "see that the database runs, and that the settings name it"));
  }
  yield* findings;
}

/** A check that fails itself is a problem, too: the others go on. */
async function* checked(about: string, findings: Findings): AsyncGenerator<Finding> {
  try {
    yield* findings;
  } catch (error) {
    yield problem(about, `it can't be checked: ${short(error)}`, "see that the settings are those of the server");
  }
}
