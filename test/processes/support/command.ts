import { spawn } from "node:child_process";
import { once } from "node:events";
import { inherited } from "./serverProcess.ts";
import { program } from "../../../scripts/program.ts";

/** How a command ended, and what it said. */
export interface Outcome {
  code: number | null;
  /** What it wrote to its standard output, as text and as it came. */
  output: string;
  bytes: Buffer;
  problem: string;
}

/** Runs `hearth` with these parameters to its end, in a process of its own. */
export async function runCommand(
  parameters: readonly string[],
  settings: Record<string, string>,
  input = "",
): Promise<Outcome> {
  const child = spawn(process.execPath, [...program().arguments, ...parameters], {
    env: { ...inherited(), ...settings },
    stdio: "pipe",
  });
  child.stdin.end(input);
  const pieces: Buffer[] = [];
  let problem = "";
  child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
  child.stderr.on("data", (text) => (problem += String(text)));
  await once(child, "close");
  const bytes = Buffer.concat(pieces);
  return { code: child.exitCode, output: bytes.toString(), bytes, problem };
}
