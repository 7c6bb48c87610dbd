import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { onEnd } from "../../cleanup.ts";
import { endProcess } from "../../processes.ts";
import { progress } from "../../report.ts";

export const synapseVersion = "1.163.2";
const packages = [`matrix-synapse==${synapseVersion}`, "psycopg2-binary==2.9.13"];

/** What is kept between runs: outside of the project, among the user's caches. */
export function cachesDir(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "hearth-bench");
}

const environment = join(cachesDir(), `synapse-${synapseVersion}`);
const python = join(environment, "bin/python");
/** Written last: without it an installation was cut off, and is made anew. */
const complete = join(environment, "complete");

/** Whether Synapse is there already. */
export function isSynapseInstalled(): boolean {
  return existsSync(complete);
}

/** Installs Synapse from PyPI into an environment of its own, unless it is there; gives the Python that runs it. */
export async function installSynapse(): Promise<string> {
  if (isSynapseInstalled()) return python;
  progress(`Synapse ${synapseVersion} is installed into ${environment}`);
  mkdirSync(environment, { recursive: true });
  await run("python3", ["-m", "venv", "--clear", environment]);
  await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages]);
  writeFileSync(complete, `${packages.join("\n")}\n`);
  return python;
}

function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  onEnd(() => endProcess(child, command));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}`));
    });
  });
}
