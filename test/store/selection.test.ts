import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listsAlone, selects } from "../../src/domain/rules/filter.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { filterOf, type FilterInput } from "../../src/model/filter.ts";
import { comparePlaces, type Place } from "../../src/model/order.ts";
import type { Span } from "../../src/model/room.ts";
import { openDatabase, query, type Database } from "../../src/store/database.ts";
import { eventPages } from "../../src/store/pages.ts";
import { eventColumns, eventOfRow, type EventRow } from "../../src/store/rows.ts";
import { Parameters, selectionCondition } from "../../src/store/selection.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";

// Few words, and ones that SQL's patterns would take for something else.
const types = ["m.room.message", "m.room.name", "m.room.member", "org.a_b", "org.a%b", "org.axb", "o\\", "état*", "m"];
const senders = ["@a:localhost", "@b:localhost", "@a_b:localhost", "localhost"];
const rooms = ["!one:localhost", "!two:localhost"];
const relationTypes = ["m.annotation", "m.reference", "org.r_x"];

const word = fc.constantFrom(...types, ...senders, ...rooms, ...relationTypes);
const pattern = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.constantFrom("", "", "state:", "message:", "ephemeral:"),
    fc.oneof(
      word,
      word.chain((text) => fc.nat(text.length).map((at) => `${text.slice(0, at)}*`)),
      word.chain((text) => fc.nat(text.length).map((at) => `*${text.slice(at)}`)),
      word.chain((text) => fc.nat(text.length).map((at) => `*${text.slice(at, at + 3)}*`)),
      fc.constant("*"),
    ),
  )
  .map(([sign, kind, text]) => `${sign}${kind}${text}`);
const list = fc.option(fc.array(pattern, { maxLength: 4 }), { nil: null });
const definition: fc.Arbitrary<FilterInput> = fc.record({
  types: list,
  senders: fc.option(fc.array(fc.oneof(fc.constantFrom(...senders), pattern), { maxLength: 3 }), { nil: null }),
  rooms: fc.option(fc.array(fc.constantFrom("!one*", "*", "-!two:localhost", "!two:localhost"), { maxLength: 2 }), {
    nil: null,
  }),
  bundleUpdates: fc.boolean(),
  bundleRelations: fc.constantFrom(0, 3),
  relationTypes: list,
  children: fc.constantFrom(null, true, false),
});

let database: Database;
let url: string;
let events: StoredEvent[];

beforeAll(async () => {
  url = await freshDatabase();
  database = openDatabase(url, { readers: 2 });
  const choose = fc.sample(
    fc.record({
      room: fc.constantFrom(...rooms),
      type: fc.constantFrom(...types),
      state: fc.boolean(),
      sender: fc.constantFrom(...senders),
      updates: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
      relations: fc.option(fc.uniqueArray(fc.constantFrom(...relationTypes), { minLength: 1, maxLength: 2 }), {
        nil: null,
        freq: 2,
      }),
      inserted: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
    { numRuns: 400, seed: 4 },
  );
  for (const [index, each] of choose.entries()) {
    const position = index + 1;
    const relations = each.relations?.map((type) => ({ type, event_id: "$parent" }));
    await sql(
      url,
      `INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content, updates_id, relates_to)
       VALUES ($1::bigint, '$' || $1, $2, $3, decode($4, 'hex'), $5, $6, $7, 0, '{}', $8, $9)`,
      [
        ...[position, each.room, each.inserted ? Math.max(1, position - 50) : position],
        ...[
          each.inserted ? position.toString(16).padStart(4, "0") : "",
          each.type,
          each.state ? "_" : null,
          each.sender,
        ],
        ...[
          each.updates && !each.state ? "$parent" : null,
          relations && !each.state ? JSON.stringify(relations) : null,
        ],
      ],
    );
  }
  const rows = await query<EventRow>(database.reader, `SELECT ${eventColumns} FROM event`);
  events = rows.map(eventOfRow);
}, 60_000);

afterAll(() => database.close());

const ids = (found: StoredEvent[]): string[] => found.map((event) => event.eventId).sort();

describe("a filter's SQL and its predicate agree", () => {
  test("[FIL-7] on what passes, and on what a timeline lists on its own", async () => {
    await fc.assert(
      fc.asyncProperty(definition, fc.boolean(), async (input, alone) => {
        const { selection } = filterOf(input);
        const parameters = new Parameters();
        const condition = selectionCondition(selection, parameters, { alone });
        const rows = await query<{ event_id: string }>(
          database.reader,
          `SELECT event_id FROM event ${condition === "" ? "" : `WHERE ${condition}`}`,
          ...parameters.values,
        );
        const expected = events.filter(
          (event) => selects(selection, event) && (!alone || listsAlone(selection, event)),
        );
        expect(rows.map((row) => row.event_id).sort()).toEqual(ids(expected));
      }),
      { numRuns: 400 },
    );
  });

  test("[SCR-3, FIL-7] and pages hold exactly what passes, whichever index they are found by", async () => {
    const place = fc.option(
      fc.record({ major: fc.integer({ min: 0, max: 401 }), minor: fc.constantFrom("", "00f0") }),
      { nil: null },
    );
    const cuts = fc
      .uniqueArray(fc.integer({ min: 0, max: 401 }), { maxLength: 5 })
      .map((cut) => cut.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(
        ...([definition, cuts, place, fc.constantFrom("before", "after"), fc.integer({ min: 0, max: 12 })] as const),
        fc.integer({ min: 300, max: 400 }),
        async (input, bounds, from, direction, limit, head) => {
          const { selection } = filterOf(input);
          const spans = spansOf(bounds);
          const request = {
            head,
            direction,
            limit,
            selection,
            rooms: rooms.map((roomId) => ({ roomId, spans, from })),
          };
          const pages = await eventPages(database.reader, request);
          for (const [index, roomId] of rooms.entries()) {
            const listed = events
              .filter((event) => event.roomId === roomId && event.position <= head && stands(event.place, spans))
              .filter((event) => selects(selection, event) && listsAlone(selection, event))
              .sort((a, b) => comparePlaces(a.place, b.place));
            const beyond = listed.filter((event) => from === null || isBeyond(event.place, from, direction));
            const expected =
              direction === "before" ? beyond.slice(Math.max(0, beyond.length - limit)) : beyond.slice(0, limit);
            const page = pages[index]!;
            expect(page.events().map((event) => event.eventId)).toEqual(expected.map((event) => event.eventId));
            expect(page).toMatchObject({ count: expected.length, more: beyond.length > limit });
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Every other of the stretches between bounds; the last may have no end. */
function spansOf(bounds: number[]): Span[] {
  const spans: Span[] = [];
  for (let index = 0; index < bounds.length; index += 2)
    spans.push({ from: bounds[index]!, to: bounds[index + 1] ?? null });
  return bounds.length === 0 ? [{ from: 0, to: null }] : spans;
}

function stands({ major, minor }: Place, spans: Span[]): boolean {
  return spans.some(({ from, to }) => major >= from && (to === null || major < to || (major === to && minor === "")));
}

function isBeyond(place: Place, from: Place, direction: "before" | "after"): boolean {
  return direction === "before" ? comparePlaces(place, from) < 0 : comparePlaces(place, from) > 0;
}
