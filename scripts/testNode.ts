import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/**
 * `npm run test:node -- 22 [files…]` runs the tests on another Node, which comes from npm's `node` package and is kept below
 * ~/.cache/hearth-test. What tests start by `process.execPath` runs on it, too.
 */
const versions: Readonly<Record<string, string>> = { "22": "22.23.3", "24": "24.21.0" };

const [major = "", ...files] = process.argv.slice(2);
const version = versions[major];
if (version === undefined) {
  console.error(`npm run test:node -- ${Object.keys(versions).join("|")} [files of tests]`);
  process.exit(2);
}

const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const place = join(cache, "hearth-test", `node-${version}`);
const node = join(place, "node_modules/node/bin/node");
if (!existsSync(node)) {
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), '{ "private": true }\n');
  // Its install script puts the binary of this platform, another package, in its place.
  const args = ["install", "--prefix", place, "--save-exact", "--foreground-scripts", `node@${version}`];
  const { status } = spawnSync("npm", args, { stdio: "inherit" });
  if (status !== 0 || !existsSync(node)) process.exit(status || 1);
}

// Programs that look for `node` by its name find the same.
const environment = { ...process.env, PATH: `${dirname(node)}:${process.env["PATH"] ?? ""}` };
const tests = spawn(node, ["node_modules/vitest/vitest.mjs", "run", ...files], { stdio: "inherit", env: environment });
tests.on("exit", (code) => (process.exitCode = code ?? 1));
