import { cpus } from "node:os";

export type Row = Record<string, string | number>;

export interface Report {
  /** What ran as the server: the compiled build or the sources. */
  server: string;
  rows: Row[];
  /** Figures of several servers side by side, if there were several. */
  compared?: Row[];
}

/** Prints tables for people and then, as the last line, the same as JSON for machines. */
export function printReport(workload: string, { server, rows, compared = [] }: Report): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown CPU"}, Node ${process.version}`;
  process.stdout.write(`\n${workload}: server from ${server}; ${machine}\n\n${table(rows)}\n\n`);
  if (compared.length > 0) process.stdout.write(`${table(compared)}\n\n`);
  process.stdout.write(`${JSON.stringify({ workload, server, machine, rows, compared })}\n`);
}

/** Tells how far it is, apart from the results. */
export function progress(message: string): void {
  process.stderr.write(`… ${message}\n`);
}

/** A number with three significant digits or no decimals, whichever shows more. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

function table(rows: Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names, ...rows.map((row) => names.map((name) => shown(row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const texts = lines.map((line) => line.map((cell, column) => cell.padStart(widths[column]!)).join("  "));
  texts.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return texts.join("\n");
}

function shown(value: string | number | undefined): string {
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 4 }) : (value ?? "");
}
