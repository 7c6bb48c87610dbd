import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";

/** How long a process that was told to end may take. */
export const stopMs = 20_000;

/** Lets a process that we started end; kills it if it doesn't. */
export async function endProcess(child: ChildProcess, name: string): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  if ((await Promise.race([ended, delay(stopMs, "late", { ref: false })])) === "late") {
    process.stderr.write(`${name} didn't stop: it is killed\n`);
    child.kill("SIGKILL");
    await ended;
  }
}
