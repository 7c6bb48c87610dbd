import { spawn, type ChildProcess } from "node:child_process";
import { until } from "../../kit/until.ts";

/** The bridge to IRC in a process of its own. */
export class BridgeProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #output = "";

  constructor(...options: string[]) {
    const program = ["--import", "tsx", "examples/bridge-irc/main.ts", ...options];
    this.#child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream!.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    }
    this.#exit = new Promise((resolve) => this.#child.on("close", resolve));
  }

  get output(): string {
    return this.#output;
  }

  async ready(): Promise<void> {
    await until(
      () => this.#output.includes(" is ready: "),
      () => `the bridge isn't ready:\n${this.#output}`,
      20_000,
    );
  }

  /** Gives the exit code. */
  exit(): Promise<number | null> {
    return this.#exit;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    this.#child.kill(signal);
    return this.#exit;
  }
}
