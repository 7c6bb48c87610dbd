import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { program } from "../scripts/program.ts";
import { onEnd } from "./cleanup.ts";
import { delayReporter, longestDelay } from "./eventLoop.ts";
import { endProcess, stopMs } from "./processes.ts";
import { holdToShare } from "./share.ts";
import { memoryOfServer, processesOfServer } from "./usage.ts";

const project = resolve(fileURLToPath(import.meta.url), "../..");

export interface Server {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  pid: number;
  postgresPid: number;
  memory(): { now: number; peak: number };
  /** The longest time in milliseconds that its event loop stood still since this was asked last. Needs `delays`. */
  longestDelay(): Promise<number>;
  /** Lets it shut down; kills it if it doesn't. */
  stop(): Promise<void>;
}

/** Starts a server of its own process on a data directory, and waits until it says that it is ready. */
export async function startServer(
  dataDir: string,
  options: { profile?: string | null; delays?: boolean; share?: number | null } = {},
  settings: Record<string, string> = {},
): Promise<Server> {
  const profile = options.profile ? resolve(options.profile) : null;
  if (profile !== null) mkdirSync(profile, { recursive: true });
  const child = spawn(
    process.execPath,
    [
      // As `npm start` has it.
      "--max-semi-space-size=32",
      ...(profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]),
      ...(options.delays ? ["--import", delayReporter] : []),
      ...program().arguments,
      "start",
    ],
    {
      cwd: project,
      env: { ...environment(dataDir), ...settings },
      stdio: ["ignore", "pipe", "inherit", ...(options.delays ? (["ipc"] as const) : [])],
      // Out of the terminal's reach: on Ctrl-C it is told to stop once, by us, in its turn.
      detached: true,
    },
  );
  let letGo = (): void => undefined;
  const stop = async (): Promise<void> => {
    await endProcess(child, "the server");
    letGo();
    await stopPostgres(dataDir);
  };
  onEnd(stop);
  const address = await addressOf(child);
  const pid = child.pid!;
  const postgresPid = postmasterOf(dataDir) ?? 0;
  if (options.share) letGo = holdToShare(processesOfServer(pid, postgresPid), options.share);
  return {
    address,
    pid,
    postgresPid,
    memory: () => memoryOfServer(pid, postgresPid),
    longestDelay: () => longestDelay(child),
    stop,
  };
}

function environment(dataDir: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("HEARTH_") && name !== "DATABASE_URL",
  );
  return {
    ...Object.fromEntries(inherited),
    HEARTH_DATA_DIR: dataDir,
    HEARTH_PORT: "0",
    HEARTH_LOG_LEVEL: "warn",
    HEARTH_RATE_LIMIT: "off",
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const address = /(http:\/\/\S+)\/graphql/.exec(output)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`the server ended with ${signal ?? code}`)));
  });
}

/** The pid of the PostgreSQL that runs on a data directory; null when none does. */
export function postmasterOf(dataDir: string): number | null {
  try {
    return Number(readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[0]);
  } catch {
    return null;
  }
}

/** For a server that died: its PostgreSQL lives on and would hold the data directory. */
async function stopPostgres(dataDir: string): Promise<void> {
  const pid = postmasterOf(dataDir);
  if (pid === null || !(pid > 1)) return;
  try {
    process.kill(pid, "SIGQUIT");
  } catch {
    return;
  }
  for (let waited = 0; waited < stopMs && postmasterOf(dataDir) !== null; waited += 50) await delay(50);
}
