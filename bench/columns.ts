import { rounded } from "./report.ts";
import type { Measured } from "./usage.ts";

/** CPU seconds per wall second, by whom. */
export function cpuColumns({
  node,
  postgres,
  load,
}: Measured): Record<"server CPU" | "postgres CPU" | "load CPU", number> {
  return { "server CPU": rounded(node), "postgres CPU": rounded(postgres), "load CPU": rounded(load) };
}

/** The server process's memory. */
export function memoryColumns({ now, peak }: { now: number; peak: number }): Record<"RSS MB" | "peak MB", number> {
  return { "RSS MB": now, "peak MB": peak };
}
