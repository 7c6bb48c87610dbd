import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The kernel's control groups: the newer kind has all of them in one place, the older one place for CPU time. */
const root = "/sys/fs/cgroup";
const newer = existsSync(join(root, "cgroup.controllers"));
const place = newer ? root : join(root, "cpu");

/** Microseconds in which a share is counted: short, so that nobody stands still for long when it is used up. */
const period = 10_000;

/**
 * Holds each process to a share of one core, where it is Linux and root asks: so that what one and what several do can be
 * compared on a machine that has too few cores for them, PostgreSQL and the load. Returns what removes the limits when
 * the processes are gone.
 */
export function holdToShare(pids: readonly number[], share: number): () => void {
  if (newer) writeFileSync(join(root, "cgroup.subtree_control"), "+cpu");
  const groups = pids.map((pid) => {
    const group = join(place, `hearth-bench-${pid}`);
    mkdirSync(group);
    const quota = Math.round(share * period);
    if (newer) writeFileSync(join(group, "cpu.max"), `${quota} ${period}`);
    else {
      writeFileSync(join(group, "cpu.cfs_period_us"), String(period));
      writeFileSync(join(group, "cpu.cfs_quota_us"), String(quota));
    }
    writeFileSync(join(group, "cgroup.procs"), String(pid));
    return group;
  });
  return () => {
    for (const group of groups.splice(0)) rmdirSync(group);
  };
}
