import { createLog } from "../../../src/commands/log.ts";
import type { Config } from "../../../src/config.ts";
import type { Log } from "../../../src/model/ports.ts";

/** A line of the log, parsed. */
export type Line = Record<string, unknown> & { msg: string; level: number };

export interface KeptLog {
  log: Log;
  /** All that was written, as it was written. */
  text(): string;
  lines(): Line[];
}

/** The server's own log, kept instead of printed. */
export function keepLog(logLevel: Config["logLevel"] = "trace"): KeptLog {
  let text = "";
  return {
    log: createLog({ logLevel }, { write: (line) => void (text += line) }),
    text: () => text,
    lines: () =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Line),
  };
}
