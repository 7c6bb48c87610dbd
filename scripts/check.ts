import { spawn } from "node:child_process";
import { existsSync } from "node:fs";

/** Runs every static check, two at a time, and then the tests. The output of a static check is shown only if it fails. */
const staticChecks = ["types", "lint", "format", "layers", "unused", "schema"].map((name) => `check:${name}`);
// The bridge has packages of its own, which nobody needs for anything else.
if (existsSync("examples/bridge-irc/node_modules")) staticChecks.push("check:bridge");
const parallel = 2;

function npmRun(script: string, stdio: "pipe" | "inherit"): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["run", "--silent", script], { stdio: ["ignore", stdio, stdio] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

const waiting = [...staticChecks];
const failed: string[] = [];

async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const started = performance.now();
    const { ok, output } = await npmRun(name, "pipe");
    console.log(`${ok ? "ok    " : "FAILED"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    if (ok) continue;
    failed.push(name);
    console.log(output);
  }
}

await Promise.all(Array.from({ length: parallel }, work));

if (failed.length > 0) {
  console.log(`Failed: ${failed.join(", ")}. The tests were not run. Static checks:`);
  console.log(`${staticChecks.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = 1;
} else {
  const { ok } = await npmRun("test", "inherit");
  process.exitCode = ok ? 0 : 1;
}
