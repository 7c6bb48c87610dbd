import { cleanUp, cleanUpOnSignals } from "./cleanup.ts";
import { optionsHelp, readOptions, type Options } from "./options.ts";
import { printReport, type Report } from "./report.ts";
import { actions } from "./workloads/actions.ts";
import { day } from "./workloads/day.ts";
import { fanout } from "./workloads/fanout.ts";
import { filter } from "./workloads/filter.ts";
import { followers } from "./workloads/followers.ts";
import { idle } from "./workloads/idle.ts";
import { relations } from "./workloads/relations.ts";
import { scrollback } from "./workloads/scrollback.ts";
import { send } from "./workloads/send.ts";
import { sync } from "./workloads/sync.ts";
import { writer } from "./workloads/writer.ts";

const workloads: Record<string, (options: Options) => Promise<Report>> = {
  send,
  actions,
  writer,
  fanout,
  scrollback,
  sync,
  filter,
  relations,
  followers,
  day,
  idle,
};

async function main(): Promise<void> {
  const { workload, options } = readOptions();
  const run = workloads[workload ?? ""];
  if (run === undefined) {
    process.stderr.write(`npm run bench -- <${Object.keys(workloads).join("|")}> [options]\n\n${optionsHelp}\n`);
    process.exitCode = 2;
    return;
  }
  cleanUpOnSignals();
  let report: Report;
  try {
    report = await run(options);
  } finally {
    await cleanUp();
  }
  // Last of all, after whatever the server says while it stops.
  printReport(workload!, report);
}

main().then(
  // Sockets that are still closing shall not keep the process.
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
