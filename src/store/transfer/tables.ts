import pg from "pg";

/** A table as it is exported: its rows in the order of its primary key. */
export interface Table {
  name: string;
  columns: string[];
  /** Columns of the primary key, with their types in SQL. */
  key: { column: string; type: string }[];
}

/** Tables that no export holds, and why. */
export const leftOut: Record<string, string> = {
  _prisma_migrations: "the import applies the migrations itself",
  attempt: "who tried passwords lately; unlogged, lost with a crash as well",
  hearth_import: "what an import has done so far",
  published_snapshot: "searches of the directory that are under way; unlogged, lost with a crash as well",
  session: "devices that are connected; unlogged, lost with a crash as well",
};

/** Connects with all that the text of values depends on set, so that it is the same on every server. */
export async function connectForTransfer(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  // A connection lost between queries rejects the next one; unheard, the event would end the process.
  client.on("error", () => {});
  await client.connect();
  await client.query(`SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET timezone = 'UTC';
    SET bytea_output = 'hex'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0`);
  return client;
}

/** All tables that an export holds: each after those that its foreign keys lead to. */
export async function exportedTables(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; key: string[]; types: string[] }>(
    `SELECT relname::text AS name,
       ARRAY(SELECT attname::text FROM pg_attribute
         WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attname) AS columns,
       ARRAY(SELECT attname::text ${keyColumns}) AS key,
       ARRAY(SELECT format_type(atttypid, atttypmod) ${keyColumns}) AS types
     FROM pg_class LEFT JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
     WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`,
  );
  const tables = rows
    .filter(({ name }) => !(name in leftOut))
    .map(({ name, columns, key, types }) => {
      if (key.length === 0) throw new Error(`The table ${name} has no primary key to export it by.`);
      return { name, columns, key: key.map((column, number) => ({ column, type: types[number]! })) };
    });
  return byForeignKeys(tables, await foreignKeys(client));
}

const keyColumns = `FROM unnest(indkey::smallint[]) WITH ORDINALITY AS key (attribute, place)
  JOIN pg_attribute ON attrelid = pg_class.oid AND attnum = attribute ORDER BY place`;

async function foreignKeys(client: pg.Client): Promise<{ from: string; to: string }[]> {
  const { rows } = await client.query<{ from: string; to: string }>(
    `SELECT source.relname::text AS from, target.relname::text AS to FROM pg_constraint
     JOIN pg_class source ON source.oid = conrelid JOIN pg_class target ON target.oid = confrelid
     WHERE contype = 'f' AND source.relnamespace = current_schema()::regnamespace AND conrelid <> confrelid`,
  );
  return rows;
}

function byForeignKeys(tables: Table[], keys: { from: string; to: string }[]): Table[] {
  const ordered: Table[] = [];
  let left = tables;
  while (left.length > 0) {
    const waiting = new Set(left.map(({ name }) => name));
    const free = left.filter(({ name }) => !keys.some(({ from, to }) => from === name && waiting.has(to)));
    if (free.length === 0) throw new Error(`Foreign keys lead in a circle among ${[...waiting].join(", ")}.`);
    ordered.push(...free);
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

/** Where each sequence stands, as text. */
export async function sequences(client: pg.Client): Promise<Record<string, { value: string; called: boolean }>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname::text AS name FROM pg_class
     WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S' ORDER BY relname`,
  );
  const found: Record<string, { value: string; called: boolean }> = {};
  for (const { name } of rows) {
    const at = await client.query<{ value: string; called: boolean }>(
      `SELECT last_value::text AS value, is_called AS called FROM ${pg.escapeIdentifier(name)}`,
    );
    found[name] = at.rows[0]!;
  }
  return found;
}

/** Keys after the one and up to the other, as SQL; null: without a bound. */
export interface Range {
  after: string[] | null;
  upTo: string[] | null;
}

/** SELECT of a table's rows in a range, in order, as it goes into a COPY. */
export function selectOf(table: Table, columns: readonly string[], range: Range): string {
  return `SELECT ${columns.map((column) => pg.escapeIdentifier(column)).join(", ")} FROM ${pg.escapeIdentifier(table.name)}
    ${whereOf(table, range)} ORDER BY ${keyOf(table)}`;
}

/**
 * The key at which a chunk that begins after `range.after` should end, when it is to have that many rows and bytes at most;
 * null where all the rest of the range fits.
 */
export async function chunkEnd(
  client: pg.Client,
  table: Table,
  range: Range,
  { rows, bytes }: { rows: number; bytes: number },
): Promise<string[] | null> {
  const names = table.key.map(({ column }) => pg.escapeIdentifier(column));
  const texts = names.map((name, number) => `${name}::text AS k${number}`).join(", ");
  const order = keyOf(table);
  // One row more, which shows that there is something after the chunk.
  const { rows: found } = await client.query<Record<string, string>>(
    `SELECT * FROM (
       SELECT ${texts}, row_number() OVER (ORDER BY ${order}) AS number,
         sum(pg_column_size(${pg.escapeIdentifier(table.name)}.*)) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) AS size,
         lead(true) OVER (ORDER BY ${order}) AS more
       FROM (SELECT * FROM ${pg.escapeIdentifier(table.name)} ${whereOf(table, range)} ORDER BY ${order} LIMIT ${rows + 1})
         AS ${pg.escapeIdentifier(table.name)}
     ) AS measured WHERE (number >= $1 OR size >= $2) AND more ORDER BY number LIMIT 1`,
    [rows, bytes],
  );
  const end = found[0];
  return end === undefined ? null : names.map((_name, number) => end[`k${number}`]!);
}

function keyOf({ key }: Table): string {
  // As the index has it: every text of the store is collated by its bytes, whatever the database's locale.
  return key.map(({ column, type }) => `${pg.escapeIdentifier(column)}${collation(type)}`).join(", ");
}

function whereOf(table: Table, { after, upTo }: Range): string {
  const bound = (sign: string, values: string[] | null): string[] => {
    if (values === null) return [];
    const literals = table.key.map(({ type }, number) => `${pg.escapeLiteral(values[number]!)}::${type}`);
    return [`(${keyOf(table)}) ${sign} (${literals.join(", ")})`];
  };
  const bounds = [...bound(">", after), ...bound("<=", upTo)];
  return bounds.length === 0 ? "" : `WHERE ${bounds.join(" AND ")}`;
}

function collation(type: string): string {
  return /^(text|character)/.test(type) ? ' COLLATE "C"' : "";
}
