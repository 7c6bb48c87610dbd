import { constants } from "node:os";
import { Command, CommanderError } from "commander";
import { version } from "../model/version.ts";
import { addAdmin } from "./admin.ts";
import { addDoctor } from "./doctor.ts";
import { addExport } from "./export.ts";
import { addImport } from "./import.ts";
import { addMigrate } from "./migrate.ts";
import { Interrupted, tell, UsageError } from "./problem.ts";
import { addStart } from "./startCommand.ts";

/** Help is as wide as this wherever it is shown, so that docs/commands.md shows the same. */
const helpWidth = 120;

/** All commands, each of which loads what it needs when it is called. */
export function commandLine(): Command {
  const program = new Command("hearth")
    .description("A chat homeserver whose front door is GraphQL.")
    .version(version, "-V, --version", "the release")
    .helpOption("-h, --help", "this text")
    .helpCommand(false)
    .showHelpAfterError()
    .exitOverride()
    .configureOutput({ getOutHelpWidth: () => helpWidth, getErrHelpWidth: () => helpWidth })
    .addHelpText("after", afterHelp);
  addStart(program);
  addMigrate(program);
  addAdmin(program);
  addExport(program);
  addImport(program);
  addDoctor(program);
  return program;
}

const afterHelp = `
Settings come from the environment, and from hearth.config.json or the file that --config names: the same for all
commands. Run them where the server is started, and they find what it works with.
`;

/** Runs one command; the exit code is 0 when it was done, 1 when it couldn't be, 2 for a call that makes no sense, 128 and more after a signal. */
export async function runCommandLine(parameters: readonly string[]): Promise<void> {
  const program = commandLine();
  try {
    await program.parseAsync(parameters, { from: "user" });
  } catch (error) {
    // It has said what is to be said; help that was asked for is no failure.
    if (error instanceof CommanderError) return void (process.exitCode = error.exitCode === 0 ? 0 : 2);
    // As shells tell of what a signal ended.
    if (error instanceof Interrupted) return void (process.exitCode = 128 + constants.signals[error.signal]);
    process.exitCode = error instanceof UsageError ? 2 : 1;
    process.stderr.write(`${tell(error)}\n`);
  }
}
