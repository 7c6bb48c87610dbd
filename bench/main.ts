import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cleanUp, cleanUpWhenStopped, isEnding, undoAll } from "./cleanup.ts";
import { optionsHelp, readOptions, type Options } from "./options.ts";
import { printReport, progress, type Report } from "./report.ts";
import { writeResults, type Results } from "./results.ts";
import { actions } from "./workloads/actions.ts";
import { appservice } from "./workloads/appservice.ts";
import { day } from "./workloads/day.ts";
import { fanout } from "./workloads/fanout.ts";
import { filter } from "./workloads/filter.ts";
import { followers } from "./workloads/followers.ts";
import { idle } from "./workloads/idle.ts";
import { media } from "./workloads/media.ts";
import { overload } from "./workloads/overload.ts";
import { presence } from "./workloads/presence.ts";
import { profiles } from "./workloads/profiles.ts";
import { published } from "./workloads/published.ts";
import { relations } from "./workloads/relations.ts";
import { scrollback } from "./workloads/scrollback.ts";
import { send } from "./workloads/send.ts";
import { sync } from "./workloads/sync.ts";
import { typing } from "./workloads/typing.ts";
import { workers } from "./workloads/workers.ts";
import { writer } from "./workloads/writer.ts";

type Workload = (options: Options) => Promise<Report>;

/** What runs when no workload is named, in this order. */
const all: Record<string, Workload> = {
  send,
  fanout,
  sync,
  filter,
  scrollback,
  relations,
  published,
  followers,
  presence,
  typing,
  day,
};
const workloads: Record<string, Workload> = {
  ...all,
  actions,
  appservice,
  profiles,
  media,
  overload,
  workers,
  writer,
  idle,
};
const resultsPath = resolve(fileURLToPath(import.meta.url), "../RESULTS.md");

async function main(): Promise<void> {
  const { workload, options } = readOptions();
  if (workload !== undefined && !Object.hasOwn(workloads, workload)) {
    process.stderr.write(`npm run bench -- [${Object.keys(workloads).join("|")}] [options]\n\n${optionsHelp}\n`);
    process.exitCode = 2;
    return;
  }
  try {
    if (workload === undefined) await runAll(options);
    else await runOne(workload, options);
  } finally {
    await cleanUp();
  }
}

async function runOne(name: string, options: Options): Promise<Report> {
  let report: Report;
  try {
    report = await workloads[name]!(options);
  } finally {
    await undoAll();
  }
  // Last of all, after whatever the server says while it stops.
  printReport(name, report);
  return report;
}

/** Runs everything, and writes the results anew after each workload: who stops it has those that are done. */
async function runAll(options: Options): Promise<void> {
  const results: Results = new Map();
  const path = options.results ?? (options.quick ? null : resultsPath);
  for (const name of Object.keys(all)) {
    progress(`${name} begins`);
    try {
      results.set(name, await runOne(name, options));
    } catch (error) {
      if (isEnding()) throw error;
      process.exitCode = 1;
      process.stderr.write(`${name}: ${error instanceof Error ? error.stack : String(error)}\n`);
      results.set(name, error instanceof Error ? error : new Error(String(error)));
    }
    if (path !== null) writeResults(path, results, options);
  }
}

const work = main();
cleanUpWhenStopped(work);
work.then(
  // Sockets that are still closing shall not keep the process. One that was told to end does so in its turn.
  () => isEnding() || process.exit(),
  (error: unknown) => {
    if (isEnding()) return;
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
