import type { ChildProcess } from "node:child_process";

const source = `
import { monitorEventLoopDelay } from "node:perf_hooks";
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on("message", () => {
  process.send(delay.max / 1e6);
  delay.reset();
});
// The channel shall not keep a server that stops.
process.channel.unref();
`;

/** A module that a server imports first, to tell how long its event loop stood still. JavaScript: the build has no tsx. */
export const delayReporter = `data:text/javascript,${encodeURIComponent(source)}`;

/** Asks a process that runs with the reporter for the longest delay in milliseconds since it was asked last. */
export function longestDelay(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    if (!child.connected) return reject(new Error("the server was started without the delay reporter"));
    child.once("message", (milliseconds) => resolve(Number(milliseconds)));
    child.send("tell");
  });
}
