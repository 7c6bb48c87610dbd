import { Chat } from "./chat.ts";
import { isQuit, runCommand, speechOf } from "./commands.ts";
import { Connection, ServerError, UnreachableError } from "./connection.ts";
import { EventFeed } from "./eventFeed.ts";
import { LogoutDocument } from "./generated/graphql.ts";
import { help, readOptions, UsageError } from "./options.ts";
import { Screen } from "./screen.ts";
import { signIn } from "./signIn.ts";

/** Errors that are nobody's mistake in this program, in words for its user. */
function explain(error: unknown): string {
  if (error instanceof ServerError) return `${error.message} [${error.code}]`;
  if (error instanceof UsageError || error instanceof UnreachableError) return error.message;
  throw error;
}

/** Runs tasks one after the other, in the order in which they were given. */
function oneAtATime(): (task: () => Promise<void>) => Promise<void> {
  let last = Promise.resolve();
  return (task) => {
    const run = last.then(task);
    last = run.catch(() => undefined);
    return run;
  };
}

async function converse(connection: Connection, screen: Screen, userId: string): Promise<void> {
  const chat = new Chat(connection, screen, userId);
  const inTurn = oneAtATime();
  let live = (): void => undefined;
  const beLive = new Promise<void>((resolve) => (live = resolve));
  const feed = new EventFeed(connection, {
    chunk: async (chunk) => {
      live();
      await inTurn(() => chat.take(chunk));
    },
    lost: () => screen.print("-- The connection is lost; trying again."),
    back: () => screen.print("-- Connected again."),
  });
  // Settles only when the server refuses to go on, or at the end.
  const following = feed.run();
  try {
    await Promise.race([beLive, following]);
    screen.print(`Signed in as ${userId}. /help lists the commands.`);
    await inTurn(() => chat.rooms());
    for (;;) {
      const line = await Promise.race([screen.next(), following.then(() => null)]);
      if (line === null || isQuit(line)) return;
      await inTurn(() => obey(line, chat, screen));
    }
  } finally {
    await feed.stop();
  }
}

async function obey(line: string, chat: Chat, screen: Screen): Promise<void> {
  if (line.trim() === "") return;
  const speech = speechOf(line);
  try {
    if (speech !== null) return await chat.say(speech);
    if (screen.interactive) screen.print(screen.style.dim(line));
    await runCommand(chat, line, (text) => screen.print(text));
  } catch (error) {
    screen.print(`!! ${explain(error)}`);
    if (speech !== null) screen.print(`!! Not sent: ${speech}`);
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return console.log(help);
  const connection = new Connection(options.endpoint);
  const screen = new Screen();
  try {
    const userId = await signIn(connection, screen, options);
    await converse(connection, screen, userId);
    await connection.execute(LogoutDocument);
  } finally {
    screen.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(`!! ${explain(error)}`);
  process.exitCode = 1;
}
