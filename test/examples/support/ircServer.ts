import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../kit/ports.ts";
import { until } from "../../kit/until.ts";

/** Whether ngircd, the IRC server of the tests, is there. */
export function hasIrcServer(): boolean {
  try {
    execFileSync("which", ["ngircd"], { stdio: "ignore", env: { ...process.env, PATH: path } });
    return true;
  } catch {
    return false;
  }
}

// Debian has it where only root looks.
const path = `${process.env["PATH"]}:/usr/sbin`;

/** An IRC server that limits nobody. */
export class IrcServer {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start(): Promise<IrcServer> {
    const folder = await mkdtemp(join(tmpdir(), "hearth-irc-"));
    // It becomes another user when root starts it.
    await chmod(folder, 0o755);
    const port = await freePort();
    const lines = [
      ...[
        "[Global]",
        "Name = irc.test",
        "Info = a test",
        "Listen = 127.0.0.1",
        `Ports = ${port}`,
        "MotdPhrase = Hello",
      ],
      ...["[Limits]", "MaxConnectionsIP = 0", "MaxJoins = 0", "MaxNickLength = 16", "MaxPenaltyTime = 0"],
      ...["[Options]", "DNS = no", "Ident = no", "PAM = no"],
    ];
    await writeFile(join(folder, "ngircd.conf"), `${lines.join("\n")}\n`);
    const server = new IrcServer(port, folder);
    await server.begin();
    return server;
  }

  /** Starts it on the same port; what it knew before is gone. */
  async begin(): Promise<void> {
    let output = "";
    this.#child = spawn("ngircd", ["--nodaemon", "--config", join(this.#folder, "ngircd.conf")], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: path },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream!.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    await until(
      () => output.includes("ready"),
      () => `ngircd isn't ready:\n${output}`,
    );
  }

  /** Ends it as a fallen machine would end. */
  async kill(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.kill("SIGKILL")) await once(this.#child, "exit");
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
