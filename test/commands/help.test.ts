import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { commandLine } from "../../src/commands/commandLine.ts";

const page = readFileSync("docs/commands.md", "utf8");
const program = commandLine();

/** Every command that does something, with its whole name. */
function leaves(command: Command, name: string): [string, Command][] {
  if (command.commands.length === 0) return [[name, command]];
  return command.commands.flatMap((each) => leaves(each, `${name} ${each.name()}`));
}

/** What `--help` shows. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp();
  return text;
}

test.each(leaves(program, "hearth"))("docs/commands.md shows the help of %s as it is", (name, command) => {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${name}\n`));
  const shown = /^```text\n(Usage: .*?)^```$/ms.exec(section ?? "")?.[1];
  expect(shown).toBe(helpOf(command).replace(/\n+$/, "\n"));
});

test("docs/commands.md shows no command that isn't there", () => {
  const shown = [...page.matchAll(/^## (hearth.*)$/gm)].map(([, name]) => name);
  expect(shown.sort()).toEqual(
    leaves(program, "hearth")
      .map(([name]) => name)
      .sort(),
  );
});
