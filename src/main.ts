#!/usr/bin/env node
import "./production.ts";
import { runCommandLine } from "./commands/commandLine.ts";

await runCommandLine(process.argv.slice(2));
// What was opened before it failed holds nobody up.
if (process.exitCode !== undefined && process.exitCode !== 0) process.exit();
