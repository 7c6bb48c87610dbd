import { spawn, type ChildProcess } from "node:child_process";
import { until } from "../../kit/until.ts";

/** A terminal chat in a process of its own, typed to and read from through pipes. */
export class Terminal {
  readonly #child: ChildProcess;
  #output = "";
  #exit: Promise<number | null>;

  constructor(address: string, ...options: string[]) {
    const program = ["--import", "tsx", "examples/terminal-chat/main.ts", "--server", address, ...options];
    this.#child = spawn(process.execPath, program, { stdio: "pipe" });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream!.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    }
    this.#exit = new Promise((resolve) => this.#child.on("close", resolve));
  }

  /** Registers someone and waits until the chat is ready. */
  static async register(address: string, name: string): Promise<Terminal> {
    const terminal = new Terminal(address, "--register", "--name", name, "--password", "correct horse battery");
    await terminal.shows(`Signed in as @${name}:localhost`);
    return terminal;
  }

  type(...lines: string[]): void {
    for (const line of lines) this.#child.stdin!.write(`${line}\n`);
  }

  /** The lines printed so far. */
  get lines(): string[] {
    return this.#output.split("\n").slice(0, -1);
  }

  /** Waits for a line that has the text; gives the first. */
  async shows(text: string): Promise<string> {
    await until(
      () => this.count(text) > 0,
      () => `no line has “${text}”:\n${this.#output}`,
    );
    return this.lines.find((line) => line.includes(text))!;
  }

  /** How many lines have the text. */
  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** What has been printed since the first line that has the text, that line left out. */
  after(text: string): string[] {
    return this.lines.slice(this.lines.findIndex((line) => line.includes(text)) + 1);
  }

  /** Ends the input and gives the exit code. */
  async end(): Promise<number | null> {
    this.#child.stdin!.end();
    return this.#exit;
  }

  /** For when a test is over, however it went. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }
}
