import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { Problem, UsageError } from "./problem.ts";

/** More than any password may have. */
const maxBytes = 65_536;

/** A password from the standard input, or asked for twice at a terminal, which doesn't show it. */
export async function newPassword(fromInput: boolean): Promise<string> {
  if (fromInput) return lineOfInput();
  if (!process.stdin.isTTY) throw new UsageError("There is no terminal to ask for the password: use --password-stdin.");
  const password = await ask("Password: ");
  if ((await ask("Once more: ")) !== password) throw new Problem("The two passwords differ; nothing was done.");
  return password;
}

async function lineOfInput(): Promise<string> {
  let text = "";
  for await (const piece of process.stdin.setEncoding("utf8")) {
    text += piece as string;
    if (text.length > maxBytes) throw new UsageError("The standard input holds more than a password.");
  }
  const line = text.replace(/\r?\n$/, "");
  if (/[\r\n]/.test(line)) throw new UsageError("The standard input holds more than one line.");
  return line;
}

/** Asks at the terminal, where what is typed doesn't appear. */
async function ask(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_piece, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // Asked only now that the terminal shows nothing of what is typed.
  process.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once("close", () => reject(new Problem("No password was given; nothing was done.")));
      lines.once("line", resolve);
    });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
