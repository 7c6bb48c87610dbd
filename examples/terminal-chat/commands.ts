import type { Chat } from "./chat.ts";
import { UsageError } from "./options.ts";

interface Command {
  /** What follows the name, for people to read; null for nothing. */
  argument: string | null;
  help: string;
  run(chat: Chat, argument: string): Promise<void>;
}

const commands: Record<string, Command> = {
  rooms: { argument: null, help: "list your rooms and invites", run: (chat) => chat.rooms() },
  create: { argument: "NAME", help: "make a room and open it", run: (chat, name) => chat.create(name) },
  join: { argument: "ID", help: "join a room by its id or alias", run: (chat, room) => chat.join(room) },
  invite: { argument: "USER", help: "invite someone to the open room", run: (chat, user) => chat.invite(user) },
  open: { argument: "N", help: "open a room by its number or id", run: (chat, which) => chat.open(which) },
  history: { argument: null, help: "show the messages before those shown", run: (chat) => chat.history() },
  find: { argument: "TEXT", help: "look for published rooms", run: (chat, text) => chat.find(text) },
  publish: { argument: null, help: "let others find and join the open room", run: (chat) => chat.publish() },
  name: { argument: "NAME", help: "tell others what you are called", run: (chat, name) => chat.setName(name) },
  leave: { argument: null, help: "leave the open room", run: (chat) => chat.leave() },
};

const others = { help: "show this", quit: "sign out and end" };

/** The list of commands. */
function commandHelp(): string {
  const rows = Object.entries(commands).map(([name, { argument, help }]) => [`/${name} ${argument ?? ""}`, help]);
  rows.push(...Object.entries(others).map(([name, help]) => [`/${name}`, help]));
  const lines = rows.map(([command, help]) => `  ${command!.padEnd(14)} ${help}`);
  return [...lines, "  Anything else is said in the open room; begin it with // if it begins with a slash."].join("\n");
}

export function isQuit(line: string): boolean {
  return line.trim() === "/quit";
}

/** What a line says in a room, as opposed to a command; null for commands. */
export function speechOf(line: string): string | null {
  if (line.startsWith("//")) return line.slice(1);
  return line.startsWith("/") ? null : line;
}

/** Does what a command says. */
export async function runCommand(chat: Chat, line: string, print: (text: string) => void): Promise<void> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
  if (name === "help") return print(commandHelp());
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError(`There is no command /${name}: /help lists them.`);
  if (command.argument !== null && argument === "") throw new UsageError(`/${name} needs ${command.argument}.`);
  await command.run(chat, argument);
}
