import { expect, test } from "vitest";
import { openDatabase } from "../../src/store/database.ts";
import { filterOf, type FilterInput } from "../../src/model/filter.ts";
import { eventPages } from "../../src/store/pages.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";
import { pagesOf, watchPlans } from "../kit/plans.ts";

test("[SCR-3] a page reads as much of the index in the middle of a large room as at its end", async () => {
  const url = await freshDatabase();
  await sql(
    url,
    "INSERT INTO room (room_id, creator, created_at, auth_version) VALUES ('!large:localhost', '@a:localhost', now(), 1)",
  );
  await sql(
    url,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content)
     SELECT n, '$' || n, '!large:localhost', n, '', 'm.room.message', '@a:localhost', n, '{}' FROM generate_series(1, 50000) AS n`,
  );
  await sql(url, "VACUUM ANALYZE event");
  const database = openDatabase(url, { readers: 1 });
  const cost = async (direction: "before" | "after", major: number): Promise<number> => {
    const { connection, plans } = watchPlans(database.reader);
    const room = { roomId: "!large:localhost", spans: [{ from: 0, to: null }], from: { major, minor: "" } };
    const { selection } = filterOf();
    const request = { rooms: [room], head: 50_000, limit: 20, direction, selection };
    const [page] = await eventPages(connection, request);
    expect(page!.events().map((event) => event.position)).toEqual(
      Array.from({ length: 20 }, (_, index) => (direction === "before" ? major - 20 + index : major + 1 + index)),
    );
    return pagesOf(plans);
  };
  for (const direction of ["before", "after"] as const) {
    for (const major of [1000, 25_000, 49_000]) expect(await cost(direction, major)).toBeLessThan(60);
  }
  await database.close();
});

test("[FIL-7] what a filter seldom lets through is found by a few index probes, however it is described", async () => {
  const url = await freshDatabase();
  await sql(
    url,
    `INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content)
     SELECT n, '$' || n, '!large:localhost', n, '', CASE WHEN n IN (10, 20) THEN 'org.rare' ELSE 'm.room.message' END,
       CASE WHEN n IN (10, 30) THEN '@rare:localhost' ELSE '@a:localhost' END, n, '{}' FROM generate_series(1, 50000) AS n`,
  );
  await sql(url, "VACUUM ANALYZE event");
  const database = openDatabase(url, { readers: 1 });
  const room = { roomId: "!large:localhost", spans: [{ from: 0, to: null }], from: null };
  const cases: [FilterInput, number[]][] = [
    [{ types: ["org.rare"] }, [10, 20]],
    [{ types: ["message:org.*"] }, [10, 20]],
    [{ types: ["-m.room.message"] }, [10, 20]],
    [{ senders: ["@rare:localhost"] }, [10, 30]],
    [{ senders: ["@rare*"] }, [10, 30]],
    [{ types: ["org.rare"], senders: ["@a:localhost"] }, [20]],
    [{ types: ["org.*"], senders: ["@r*"] }, [10]],
  ];
  for (const [definition, found] of cases) {
    const { selection } = filterOf(definition);
    const { connection, plans } = watchPlans(database.reader);
    const request = { rooms: [room], head: 50_000, limit: 20, direction: "before" as const, selection };
    const [page] = await eventPages(connection, request);
    expect(page!.events().map((event) => event.position)).toEqual(found);
    expect(pagesOf(plans)).toBeLessThan(150);
  }
  await database.close();
});
