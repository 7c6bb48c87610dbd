import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc; the kernel's interface fixes it at 100 on every common platform. */
const ticks = 100;

interface ProcessTimes {
  parent: number;
  /** Seconds of user and system time. */
  own: number;
  /** The same of children that ended and were waited for. */
  ended: number;
}

function timesOf(pid: number | string): ProcessTimes | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold spaces: fields are counted from behind it, where the third of the line comes.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (from: number): number => (Number(fields[from]) + Number(fields[from + 1])) / ticks;
    return { parent: Number(fields[1]), own: seconds(11), ended: seconds(13) };
  } catch {
    return null;
  }
}

/** All processes, by their id; none where there is no /proc. */
function allProcesses(): Map<number, ProcessTimes> {
  const all = new Map<number, ProcessTimes>();
  try {
    for (const name of readdirSync("/proc")) {
      const times = /^\d+$/.test(name) ? timesOf(name) : null;
      if (times) all.set(Number(name), times);
    }
  } catch {
    // Told as 0.
  }
  return all;
}

/** CPU seconds that a process and all below it have used; 0 where there is no /proc. */
function cpuOfTree(root: number): number {
  const all = allProcesses();
  const below = (pid: number): number => {
    const { own = 0, ended = 0 } = all.get(pid) ?? {};
    return [...all].reduce((sum, [child, { parent }]) => (parent === pid ? sum + below(child) : sum), own + ended);
  };
  return below(root);
}

/** A process's resident memory in MB, now and at its peak. */
export function memoryOf(pid: number): { now: number; peak: number } {
  let status = "";
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // No such process, or no /proc: told as 0.
  }
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return { now: Math.round(field("VmRSS") / 1024), peak: Math.round(field("VmHWM") / 1024) };
}

/** A server and its workers, without its PostgreSQL. */
export function processesOfServer(pid: number, postgresPid: number): number[] {
  const workers = [...allProcesses()].filter(([child, { parent }]) => parent === pid && child !== postgresPid);
  return [pid, ...workers.map(([worker]) => worker)];
}

/** The same of a server and its workers together, without its PostgreSQL. */
export function memoryOfServer(pid: number, postgresPid: number): { now: number; peak: number } {
  const each = processesOfServer(pid, postgresPid).map(memoryOf);
  const sum = (what: "now" | "peak"): number => each.reduce((all, memory) => all + memory[what], 0);
  return { now: sum("now"), peak: sum("peak") };
}

/** How many files this process may have open; Infinity where that can't be told. */
export function openFilesLimit(): number {
  try {
    const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined || limit === "unlimited" ? Infinity : Number(limit);
  } catch {
    return Infinity;
  }
}

export interface Measured {
  /** Wall seconds between start and stop. */
  seconds: number;
  /** CPU seconds per wall second: of the server, its workers included, of PostgreSQL, of this process. */
  node: number;
  postgres: number;
  load: number;
}

/** Starts measuring a server and its PostgreSQL, if it has one; the returned function stops it. */
export function measure(node: number, postgres: number | null): () => Measured {
  const read = () => {
    // This process may be the server itself. PostgreSQL is below the server, too.
    const database = postgres === null ? 0 : cpuOfTree(postgres);
    const server = node === process.pid ? ownCpu() : cpuOfTree(node) - database;
    return [performance.now() / 1000, server, database, ownCpu()] as const;
  };
  const before = read();
  return () => {
    const [seconds, ...used] = read().map((value, index) => value - before[index]!) as [number, number, number, number];
    const [nodeUsed, postgresUsed, load] = used.map((each) => each / seconds) as [number, number, number];
    return { seconds, node: nodeUsed, postgres: postgresUsed, load };
  };
}

function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
