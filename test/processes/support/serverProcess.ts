import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "../../kit/until.ts";
import { program } from "../../../scripts/program.ts";

/** The real server in a process of its own. */
export interface ServerProcess {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  /** As `kill -9`: nothing is tidied up. */
  kill(): Promise<void>;
  /** Ids of the workers that it has now, if it has any. */
  workers(): number[];
  /** Whether it has ended. */
  readonly ended: boolean;
  /** Stops the clock for it, as a machine that is suspended does. */
  pause(): void;
  resume(): void;
  /** Has it read its registration files again. */
  reload(): void;
  /** As a supervisor stops it; gives the exit code. */
  stop(): Promise<number | null>;
}

const startMs = 30_000;

/** Runs `hearth start` with these settings and waits until it serves. */
export async function startServer(
  settings: Record<string, string>,
  { node = process.execPath, log: logTo = "pipe" }: { node?: string; log?: "pipe" | number } = {},
): Promise<ServerProcess> {
  const child = spawn(node, [...program().arguments, "start"], {
    // What readers are sent is looked at event by event; presence comes whenever somebody connects.
    env: {
      ...{ ...inherited(), HEARTH_PORT: "0", HEARTH_LOG_LEVEL: "warn" },
      ...{ HEARTH_PRESENCE: "off", HEARTH_RATE_LIMIT: "off", ...settings },
    },
    stdio: ["ignore", "pipe", logTo],
  });
  const exited = once(child, "exit");
  let output = "";
  let log = "";
  child.stdout!.on("data", (text) => (output += String(text)));
  // Only the end is of interest, and only when it doesn't start.
  child.stderr?.on("data", (text) => (log = (log + String(text)).slice(-4000)));
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
    workers: () =>
      childrenOf(child.pid!)
        .filter(({ program }) => program !== "postgres")
        .map(({ pid }) => pid),
    get ended() {
      return gone();
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    reload: () => void child.kill("SIGHUP"),
    async stop() {
      child.kill("SIGTERM");
      await exited;
      return child.exitCode;
    },
  };
}

/** Processes that a process started, and what they are called: Node itself by its version. */
function childrenOf(parent: number): { pid: number; program: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [, program = "", of] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat) ?? [];
      return Number(of) === parent ? [{ pid: Number(name), program }] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

/** The environment without settings of hearth, which are the test's to choose. */
export function inherited(): NodeJS.ProcessEnv {
  const ours = (name: string): boolean => name.startsWith("HEARTH_") || name === "DATABASE_URL";
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours(name)));
}
