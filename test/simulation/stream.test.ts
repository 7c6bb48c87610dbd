/**
 * Random schedules on two processes and one database: whatever users do, and however their streams are cut and moved,
 * a client that follows the stream knows what a fresh sync says, and so does one that only takes differences.
 *
 * HEARTH_SCHEDULES=20000   runs so many instead of 300.
 * HEARTH_FROM=1000         begins with this seed instead of 0.
 * HEARTH_SEED=123          runs that one alone. What a schedule does is decided by its seed; when each step meets the
 *                          others' is not, so that a seed that failed once may need HEARTH_REPEAT=50.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Config } from "../../src/config.ts";
import { freshDatabase } from "../kit/app.ts";
import { runSchedule, type Happenings } from "./run.ts";
import { describeSchedule, scheduleOf } from "./schedule.ts";
import { World } from "./world.ts";

const count = Number(process.env["HEARTH_SCHEDULES"] ?? 300);
const from = Number(process.env["HEARTH_FROM"] ?? 0);
const repeat = Number(process.env["HEARTH_REPEAT"] ?? 1);
const onlySeed = process.env["HEARTH_SEED"];
const seeds =
  onlySeed === undefined
    ? Array.from({ length: count }, (_, index) => from + index)
    : Array<number>(repeat).fill(Number(onlySeed));
/** After so many failures there is enough to look at. */
const enoughFailures = 5;

/** The worlds that schedules run in: with room for all events, with streams that hold little, and with crashes. */
const kinds = {
  roomy: { config: {}, atOnce: 12 },
  tight: { config: { streamReplay: 2, streamBacklog: 3 }, atOnce: 8 },
  crashing: { config: {}, atOnce: 1 },
} satisfies Record<string, { config: Partial<Config>; atOnce: number }>;
type Kind = keyof typeof kinds;

function kindOf(seed: number): Kind {
  if (seed % 25 === 7) return "crashing";
  return seed % 3 === 1 ? "tight" : "roomy";
}

const worlds = new Map<Kind, World>();

beforeAll(async () => {
  // A database each, since every process reads what all others write.
  for (const kind of Object.keys(kinds) as Kind[]) {
    worlds.set(kind, await World.open(await freshDatabase(), kinds[kind].config));
  }
});

afterAll(async () => {
  for (const world of worlds.values()) await world.close();
});

/** Runs seeds in their worlds, several at once; gives what failed, with what it takes to see it again. */
async function runAll(seeds: readonly number[]): Promise<{ failures: string[]; happenings: Happenings[] }> {
  const failures: string[] = [];
  const happenings: Happenings[] = [];
  const lanes = (Object.keys(kinds) as Kind[]).flatMap((kind) => {
    const left = seeds.filter((seed) => kindOf(seed) === kind);
    return Array.from({ length: kinds[kind].atOnce }, async () => {
      for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
        if (failures.length >= enoughFailures) return;
        const schedule = scheduleOf(seed, { crashes: kind === "crashing" });
        try {
          happenings.push(await runSchedule(worlds.get(kind)!, schedule));
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          failures.push(`HEARTH_SEED=${seed}\n${reason}\n${describeSchedule(schedule)}`);
        }
      }
    });
  });
  await Promise.all(lanes);
  return { failures, happenings };
}

test(
  `[STR-3] [EVS-3] [SYN-2] ${seeds.length} random schedules: the stream leads every client to what a fresh sync says`,
  { timeout: 60_000 + seeds.length * 300 },
  async () => {
    const { failures, happenings } = await runAll(seeds);
    expect(failures.join("\n\n")).toBe("");
    expect([...worlds.values()].flatMap((world) => world.errors)).toEqual([]);
    const sum = (what: keyof Happenings): number => happenings.reduce((total, each) => total + each[what], 0);
    if (onlySeed !== undefined) return;
    // A schedule in which nobody does anything proves nothing.
    expect(sum("events")).toBeGreaterThan(15 * count);
    expect(sum("delivered")).toBeGreaterThan(15 * count);
    expect(sum("limited")).toBeGreaterThan(0.03 * count);
    expect(sum("refusals")).toBeGreaterThan(0.5 * count);
    expect(sum("moves")).toBeGreaterThan(count);
    expect(sum("rejected")).toBeGreaterThan(0.3 * count);
    expect(sum("inserted")).toBeGreaterThan(0.5 * count);
  },
);
