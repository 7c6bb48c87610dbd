import { cpus, totalmem } from "node:os";

export type Row = Record<string, string | number>;

export interface Report {
  /** What ran as the server: the compiled build or the sources. */
  server: string;
  rows: Row[];
  /** What else was measured, or the same seen otherwise. */
  tables?: Table[];
}

export interface Table {
  title: string;
  rows: Row[];
}

/** Prints tables for people and then, as the last line, the same as JSON for machines. */
export function printReport(workload: string, { server, rows, tables = [] }: Report): void {
  process.stdout.write(`\n${workload}: server from ${server}; ${machine()}\n\n${table(rows)}\n\n`);
  for (const each of tables) process.stdout.write(`${each.title}\n\n${table(each.rows)}\n\n`);
  process.stdout.write(`${JSON.stringify({ workload, server, machine: machine(), rows, tables })}\n`);
}

/** What the figures were measured on, in general terms. */
export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${memory} GB, Node ${process.version}`;
}

/** Tells how far it is, apart from the results. */
export function progress(message: string): void {
  const seconds = Math.round(performance.now() / 1000);
  process.stderr.write(`… ${String(seconds).padStart(4)} s  ${message}\n`);
}

/** A number with three significant digits or no decimals, whichever shows more. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

function table(rows: readonly Row[]): string {
  const lines = rowCells(rows);
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const texts = lines.map((line) => line.map((cell, column) => cell.padStart(widths[column]!)).join("  "));
  texts.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return texts.join("\n");
}

/** The cells of a table: a line of all columns' names, then one for each row. */
export function rowCells(rows: readonly Row[]): string[][] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [names, ...rows.map((row) => names.map((name) => shown(row[name])))];
}

function shown(value: string | number | undefined): string {
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 4 }) : (value ?? "");
}
