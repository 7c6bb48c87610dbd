import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase, query } from "../../src/store/database.ts";
import { isStoreAway } from "../../src/store/failures.ts";
import { listen, type NotificationHandlers } from "../../src/store/notifications.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startLossyProxy, type LossyProxy } from "../processes/support/lossyProxy.ts";

let databaseUrl: string;
let proxy: LossyProxy;
beforeAll(async () => {
  databaseUrl = await freshDatabase();
  proxy = await startLossyProxy(databaseUrl);
});
afterAll(() => proxy.close());

test("a connection that leads nowhere any more is given up, and the next statement takes another", async () => {
  const database = openDatabase(proxy.url, { readers: 1, patienceMs: 300 });
  await query(database.reader, "SELECT 1 AS one");
  proxy.holdAnswerTo("SELECT 41");
  const failure = await query(database.reader, "SELECT 41 AS answer").catch((error: unknown) => error);
  expect(isStoreAway(failure)).toBe(true);
  expect(await query(database.reader, "SELECT 42 AS answer")).toEqual([{ answer: 42 }]);
  await database.close();
});

test("a listener whose connection leads nowhere listens on another", async () => {
  let connected = 0;
  const heard: string[] = [];
  const handlers = {
    onConnected: () => void connected++,
    onRights: (users: string[]) => void heard.push(...users),
  } as unknown as NotificationHandlers;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const listener = await listen(proxy.url, handlers, log, { beatMs: 100, patienceMs: 200 });
  proxy.holdAnswerTo("SELECT 1");
  await until(() => connected === 2);
  await sql(databaseUrl, "SELECT pg_notify('hearth_rights', '[\"@alice:localhost\"]')");
  await until(() => heard.length === 1);
  await listener.close();
});
