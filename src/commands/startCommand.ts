import type { Command } from "commander";
import { Problem, tell } from "./problem.ts";
import { configOf, type CommonOptions } from "./visit.ts";
import { command } from "./command.ts";

const help = `
Brings the store up to date, as hearth migrate does, and serves until SIGINT or SIGTERM. On SIGHUP the registration files
of application services are read again.
`;

/** `hearth start` */
export function addStart(parent: Command): void {
  command(parent, "start", "Runs the server.", help).action(async (options: CommonOptions) => {
    try {
      const config = await configOf(options);
      const { start } = await import("./start.ts");
      await start(config);
    } catch (error) {
      throw new Problem(`hearth can't start: ${tell(error)}`);
    }
  });
}
