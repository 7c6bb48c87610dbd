/**
 * Compiles the server into dist, which is swapped for the build before when the new one is whole: a server that runs from
 * there, or is started meanwhile, finds all its files.
 */
import { chmodSync, renameSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";

const fresh = `dist-${process.pid}-new`;
const former = `dist-${process.pid}-old`;

const { status } = spawnSync("tsc", ["-p", "tsconfig.build.json", "--outDir", fresh], { stdio: "inherit" });
if (status === 0) {
  chmodSync(`${fresh}/src/main.js`, 0o755);
  rename("dist", former);
  renameSync(fresh, "dist");
}
for (const path of [fresh, former]) rmSync(path, { recursive: true, force: true });
process.exitCode = status ?? 1;

/** Moves what may not be there. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
