import { sql } from "./database.ts";

interface Column {
  table: string;
  column: string;
  type: string;
}

/** Where in the database a text stands: `table.column` for each column of any table that holds it anywhere. */
export async function placesOf(databaseUrl: string, secret: string): Promise<string[]> {
  const columns = await sql<Column>(
    databaseUrl,
    `SELECT table_name AS "table", column_name AS "column", udt_name AS type FROM information_schema.columns
     WHERE table_schema = 'public' AND udt_name IN ('text', 'varchar', 'bpchar', 'bytea', 'json', 'jsonb', '_text', '_bytea')`,
  );
  const conditions = columns.map(({ table, column, type }) => {
    const bytes = type === "bytea" ? `"${column}"` : `convert_to("${column}"::text, 'UTF8')`;
    return `SELECT '${table}.${column}' AS place WHERE EXISTS (
      SELECT FROM "${table}" WHERE position(convert_to($1, 'UTF8') IN ${bytes}) > 0)`;
  });
  const rows = await sql<{ place: string }>(databaseUrl, conditions.join(" UNION ALL "), [secret]);
  return rows.map(({ place }) => place).sort();
}
