import { afterAll, beforeAll, expect, test } from "vitest";
import { createHead, type Head } from "../../src/domain/sync/head.ts";
import type { StoredEvent } from "../../src/model/event.ts";
import { noLog } from "../../src/model/ports.ts";
import { streamHead } from "../../src/store/append.ts";
import { eventsBetween } from "../../src/store/events.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let room: string;
let head: Head;
/** What passed: an event's body, with a star when it came from memory. */
let passed: string[];
let positions: number[];

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
  room = await alice.createRoom({});
});
afterAll(() => server.close());

const bodyOf = ({ content, sender }: StoredEvent): string =>
  (JSON.parse(content!) as { body: string }).body + (sender === "memory" ? "*" : "");

/** A head before six messages, and these as the store has them. */
async function beforeSix(): Promise<StoredEvent[]> {
  head = await createHead(server.database, noLog);
  [passed, positions] = [[], []];
  head.onPassed((events, to) => {
    passed.push(...events.map(bodyOf));
    positions.push(to);
  });
  const from = head.position;
  for (const body of ["1", "2", "3", "4", "5", "6"]) await alice.send(room, body);
  return eventsBetween(server.database.reader, from, await streamHead(server.database.reader), 100);
}

/** A batch of this process, which can be told from what is read. */
function own(events: StoredEvent[], previous: StoredEvent): { previous: number; to: number; events: StoredEvent[] } {
  return {
    previous: previous.position,
    to: events.at(-1)!.position,
    events: events.map((event) => ({ ...event, sender: "memory" })),
  };
}

test("[STR-3] of batches that others come between, what is one's own passes from memory and only the others are read", async () => {
  const [one, two, three, four, five, six] = await beforeSix();
  await Promise.all([head.publish(own([two!, three!], one!)), head.publish(own([five!], four!))]);
  expect(passed).toEqual(["1", "2*", "3*", "4", "5*"]);
  head.notice(six!.position);
  await until(() => passed.length === 6);
  expect(passed.at(-1)).toBe("6");
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  expect(head.position).toBe(six!.position);
  head.close();
});

test("[STR-3] an own batch that was read meanwhile isn't passed again", async () => {
  const [one, two, three, , five, six] = await beforeSix();
  // The notice of what came later is there first, and reading goes on beyond the batch.
  head.notice(six!.position);
  await Promise.all([head.publish(own([two!, three!], one!)), head.publish(own([six!], five!))]);
  expect(passed.map((body) => body[0])).toEqual(["1", "2", "3", "4", "5", "6"]);
  head.close();
});

test("[STR-3] what nobody knows the beginning of is read", async () => {
  const [one, two, three] = await beforeSix();
  await head.publish({ ...own([three!], two!), previous: -1 });
  expect(passed).toEqual(["1", "2", "3"]);
  await head.publish({ ...own([one!], one!), previous: -1 });
  expect(passed).toEqual(["1", "2", "3"]);
  head.close();
});
