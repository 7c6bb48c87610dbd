import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { version } from "../../src/model/version.ts";
import { openDatabase } from "../../src/store/database.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";

interface Column {
  table_name: string;
  column_name: string;
  udt_name: string;
  is_nullable: string;
}

const types: Record<string, string> = {
  String: "text",
  BigInt: "int8",
  DateTime: "timestamptz",
  Boolean: "bool",
  Int: "int4",
  Bytes: "bytea",
};

/** The tables of prisma/schema.prisma, read by its own plain grammar. */
function modelled(): Record<string, Record<string, { type: string; nullable: boolean }>> {
  const text = readFileSync("prisma/schema.prisma", "utf8");
  const tables: ReturnType<typeof modelled> = {};
  for (const [, , body] of text.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)) {
    const columns: Record<string, { type: string; nullable: boolean }> = {};
    for (const [, name, type, list, optional, rest] of body!.matchAll(/^ {2}(\w+)\s+(\w+)(\[\])?(\?)?([^\n]*)$/gm)) {
      if (!(type! in types)) continue;
      const column = /@map\("(\w+)"\)/.exec(rest!)?.[1] ?? name!;
      columns[column] = { type: (list ? "_" : "") + types[type!]!, nullable: optional === "?" };
    }
    tables[/@@map\("(\w+)"\)/.exec(body!)![1]!] = columns;
  }
  return tables;
}

test("the migrations make the tables that prisma/schema.prisma describes", async () => {
  const url = await freshDatabase();
  const columns = await sql<Column>(
    url,
    "SELECT table_name, column_name, udt_name, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'",
  );
  const actual: ReturnType<typeof modelled> = {};
  for (const { table_name, column_name, udt_name, is_nullable } of columns) {
    (actual[table_name] ??= {})[column_name] = { type: udt_name, nullable: is_nullable === "YES" };
  }
  expect(actual).toEqual(modelled());
});

test("Prisma's client reads every table", async () => {
  const database = openDatabase(await freshDatabase());
  for (const name of ["account", "event", "room", "member", "marker", "call", "media", "appServiceQueue"]) {
    const model = (database.reader as unknown as Record<string, { findFirst(): Promise<unknown> }>)[name]!;
    expect(await model.findFirst()).toBeNull();
  }
  await database.close();
});

test("[STR-3] the writer's session has the limits that keep a stalled holder of the lock from stopping everybody", async () => {
  const database = openDatabase(await freshDatabase());
  const limits: Record<string, string> = {};
  for (const name of ["idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout"]) {
    const [row] = await database.writer.$queryRawUnsafe<{ limit: string }[]>(
      `SELECT current_setting('${name}') AS limit`,
    );
    limits[name] = row!.limit;
  }
  expect(limits).toEqual({
    idle_in_transaction_session_timeout: "2s",
    statement_timeout: "10s",
    transaction_timeout: "15s",
  });
  await database.close();
});

test("the version is that of package.json", () => {
  expect((JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version).toBe(version);
});
