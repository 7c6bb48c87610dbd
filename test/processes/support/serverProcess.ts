import { spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "../../kit/until.ts";

/** The real server in a process of its own. */
export interface ServerProcess {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  /** As `kill -9`: nothing is tidied up. */
  kill(): Promise<void>;
  /** Stops the clock for it, as a machine that is suspended does. */
  pause(): void;
  resume(): void;
  /** As a supervisor stops it; gives the exit code. */
  stop(): Promise<number | null>;
}

const startMs = 30_000;

/** Starts `src/main.ts` with these settings and waits until it serves. */
export async function startServer(settings: Record<string, string>): Promise<ServerProcess> {
  const child = spawn(process.execPath, ["--import", "tsx", "src/main.ts"], {
    // What readers are sent is looked at event by event; presence comes whenever somebody connects.
    env: { ...inherited(), HEARTH_PORT: "0", HEARTH_LOG_LEVEL: "warn", HEARTH_PRESENCE: "off", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  let output = "";
  let log = "";
  child.stdout.on("data", (text) => (output += String(text)));
  // Only the end is of interest, and only when it doesn't start.
  child.stderr.on("data", (text) => (log = (log + String(text)).slice(-4000)));
  const address = (): string | undefined => /(http:\S+)\/graphql/.exec(output)?.[1];
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  try {
    await until(
      () => address() !== undefined || gone(),
      () => `the server isn't ready: ${log}`,
      startMs,
    );
    if (gone()) throw new Error(`the server ended: ${log}`);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return {
    address: address()!,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      child.kill("SIGTERM");
      await exited;
      return child.exitCode;
    },
  };
}

/** The environment without settings of hearth, which are the test's to choose. */
export function inherited(): NodeJS.ProcessEnv {
  const ours = (name: string): boolean => name.startsWith("HEARTH_") || name === "DATABASE_URL";
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours(name)));
}
