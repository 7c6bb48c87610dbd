import { expect, test } from "vitest";
import { openDatabase, type Connection } from "../../src/store/database.ts";
import { freshDatabase } from "../kit/app.ts";
import { addBulk } from "../kit/bulk.ts";
import { sql } from "../kit/database.ts";
import { everyRead, indexesOfReads, wholeReads } from "../kit/everyRead.ts";
import { pagesOf, watchPlans, type Scan } from "../kit/plans.ts";

const all = { ...everyRead, ...wholeReads };
const [tiny, small, large] = [1000, 5000, 50_000];

interface Cost {
  pages: number;
  rows: number;
  scans: Scan[];
}

/** What each read costs. */
async function costs(connection: Connection, head: number): Promise<Map<string, Cost>> {
  const found = new Map<string, Cost>();
  for (const [name, read] of Object.entries(all)) {
    const watched = watchPlans(connection);
    await read(watched.connection, head);
    const scans = watched.plans.flatMap((plan) => plan.scans);
    const rows = scans.reduce((sum, scan) => sum + scan.rows, 0);
    found.set(name, { pages: pagesOf(watched.plans), rows, scans });
  }
  return found;
}

/** By plans that are made now. */
async function costsAfresh(url: string, head: number): Promise<Map<string, Cost>> {
  const database = openDatabase(url, { readers: 1 });
  const found = await costs(database.reader, head);
  await database.close();
  return found;
}

/** Fails where a read went through a table, or by other indexes of the big tables than those that are right for it. */
function checkIndexes(found: Map<string, Cost>): void {
  const used = [...found].map(([name, { scans }]) => {
    const indexes = new Set(scans.map(({ table, index }) => index ?? `all of ${table}`));
    const telling = /^(all|event|relation|current_state|membership_period|visibility_period|room_pkey)/;
    return [
      name,
      name === "an overview"
        ? ""
        : [...indexes]
            .filter((index) => telling.test(index))
            .sort()
            .join(" "),
    ];
  });
  expect(Object.fromEntries(used)).toEqual(indexesOfReads);
}

/** Reads whose cost is beyond what it was elsewhere, with both. */
function dearer(found: Map<string, Cost>, elsewhere: Map<string, Cost>, names: object): unknown[] {
  return Object.keys(names).flatMap((name) => {
    const [{ pages, rows }, before] = [found.get(name)!, elsewhere.get(name)!];
    // An index of a larger table is a level deeper, and each probe looks at a page of each level.
    const same = rows <= 1.2 * before.rows + 50 && pages <= 1.8 * before.pages + 50;
    return same ? [] : [{ name, rows, pages, before: { rows: before.rows, pages: before.pages } }];
  });
}

test("[SCR-3, SYN-2, REL-1] every hot read goes by its indexes, and costs the same in data of ten times the size", async () => {
  const url = await freshDatabase();
  await addBulk(url, 0, small);
  await sql(url, "VACUUM ANALYZE");
  const atSmall = await costsAfresh(url, small);
  await addBulk(url, small, large);
  await sql(url, "VACUUM ANALYZE");
  const atLarge = await costsAfresh(url, large);
  checkIndexes(atLarge);
  expect(dearer(atLarge, atSmall, everyRead)).toEqual([]);
  // Each of twenty-one events is looked at once, and its updates by one probe of two or three pages.
  for (const name of ["the newest page", "a page before a place", "a page after a place", "a page of a type"]) {
    expect(atLarge.get(name)!.rows, name).toBeLessThanOrEqual(50);
    expect(atLarge.get(name)!.pages, name).toBeLessThanOrEqual(75);
  }
});

test.each(["analysed", "never analysed"])(
  "plans that were made while tables were tiny, and %s, are right when they have grown",
  async (how) => {
    const url = await freshDatabase();
    // The databases of a test run share a server that would look at them in between.
    for (const { name } of await sql<{ name: string }>(url, "SELECT relname AS name FROM pg_stat_user_tables")) {
      await sql(url, `ALTER TABLE ${name} SET (autovacuum_enabled = false)`);
    }
    await addBulk(url, 0, tiny);
    if (how === "analysed") await sql(url, "VACUUM ANALYZE");
    const database = openDatabase(url, { readers: 1 });
    for (const read of Object.values(all)) await read(database.reader, tiny);
    const kept = await database.reader.$queryRawUnsafe<{ count: number }[]>(
      "SELECT count(*)::integer AS count FROM pg_prepared_statements WHERE generic_plans > 0",
    );
    expect(kept[0]!.count).toBeGreaterThan(30);
    await addBulk(url, tiny, large);
    const old = await costs(database.reader, large);
    await database.close();
    checkIndexes(old);
    await sql(url, "VACUUM ANALYZE");
    expect(dearer(old, await costsAfresh(url, large), everyRead)).toEqual([]);
  },
  60_000,
);
