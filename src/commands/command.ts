import type { Command } from "commander";

/**
 * Adds a command that takes `--config` and `--help` after options of its own. `syntax` is its name with its arguments, such
 * as `make-admin <name>`; `help` is shown below the options.
 */
export function command(
  parent: Command,
  syntax: string,
  description: string,
  help: string,
  addOptions: (command: Command) => Command = (added) => added,
): Command {
  return addOptions(parent.command(syntax).description(description))
    .option("--config <file>", "settings from this file instead of hearth.config.json")
    .helpOption("-h, --help", "this text")
    .allowExcessArguments(false)
    .addHelpText("after", help);
}
