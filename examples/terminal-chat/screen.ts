import { clearLine, clearScreenDown, createInterface, cursorTo, moveCursor, type Interface } from "node:readline";
import { Writable } from "node:stream";
import { coloured, plain, type Style } from "./format.ts";

/** Lines in and lines out: a prompt below the conversation on a terminal, plain lines everywhere else. */
export class Screen {
  readonly interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  readonly style: Style = process.stdout.isTTY && !process.env["NO_COLOR"] ? coloured : plain;
  readonly #typed: string[] = [];
  #reader: Interface | null = null;
  #ended = false;
  #wake: (() => void) | null = null;

  /** Asks one question; null if the input ended instead. Without a terminal, the next line of the input answers it. */
  async ask(question: string, { hidden = false } = {}): Promise<string | null> {
    if (!this.interactive) return this.next();
    // A reader of its own, whose output can be thrown away while a password is typed.
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const reader = createInterface({ input: process.stdin, output: hidden ? nowhere : process.stdout, terminal: true });
    if (hidden) process.stdout.write(question);
    const answer = await new Promise<string | null>((resolve) => {
      reader.on("SIGINT", () => reader.close());
      reader.on("close", () => resolve(null));
      reader.question(hidden ? "" : question, resolve);
    });
    reader.close();
    if (hidden || answer === null) process.stdout.write("\n");
    return answer;
  }

  /** The next line that is typed; null at the end of the input. */
  async next(): Promise<string | null> {
    this.#reader ??= this.#read();
    if (this.interactive) this.#reader.prompt(true);
    while (this.#typed.length === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#typed.shift() ?? null;
  }

  /** Prints above the prompt, leaving alone what is being typed. */
  print(text: string): void {
    if (this.interactive && this.#reader) {
      cursorTo(process.stdout, 0);
      clearLine(process.stdout, 0);
    }
    process.stdout.write(`${text}\n`);
    if (this.interactive && this.#reader && !this.#ended) this.#reader.prompt(true);
  }

  /**
   * Takes a typed line off the terminal as soon as it was typed: a message is shown in its place in the conversation when
   * the server brings it, and a command when its turn comes.
   */
  #retract(line: string): void {
    if (!this.interactive) return;
    const width = (this.#reader?.getPrompt().length ?? 0) + line.length;
    // Some terminals don't know their width and say 0.
    moveCursor(process.stdout, 0, -(Math.floor(width / (process.stdout.columns || 80)) + 1));
    cursorTo(process.stdout, 0);
    clearScreenDown(process.stdout);
  }

  setPrompt(prompt: string): void {
    this.#reader?.setPrompt(prompt);
  }

  close(): void {
    this.#reader?.close();
    process.stdin.pause();
  }

  #read(): Interface {
    const reader = createInterface({ input: process.stdin, output: this.interactive ? process.stdout : undefined });
    const wake = () => this.#wake?.();
    reader.on("line", (line) => {
      this.#retract(line);
      this.#typed.push(line);
      wake();
    });
    reader.on("SIGINT", () => reader.close());
    reader.on("close", () => {
      this.#ended = true;
      wake();
    });
    return reader;
  }
}
