import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const project = resolve(fileURLToPath(import.meta.url), "../..");

/** How the command line is run. */
export interface Program {
  /** For people. */
  from: string;
  /** Node's arguments, before those of the command line. */
  arguments: string[];
}

let known: Program | null = null;

/**
 * As released when the compiled build is newer than every source, since that starts in half the time; else from the
 * sources. Looked at once.
 */
export function program(): Program {
  return (known ??= find());
}

function find(): Program {
  const build = join(project, "dist/src/main.js");
  return existsSync(build) && statSync(build).mtimeMs > newestSource()
    ? { from: "the build in dist", arguments: ["--enable-source-maps", build] }
    : {
        from: "the sources through tsx, since dist is missing or old",
        arguments: ["--import", "tsx", join(project, "src/main.ts")],
      };
}

function newestSource(): number {
  const files = readdirSync(join(project, "src"), { recursive: true, encoding: "utf8" });
  return Math.max(
    ...files.filter((file) => file.endsWith(".ts")).map((file) => statSync(join(project, "src", file)).mtimeMs),
  );
}
