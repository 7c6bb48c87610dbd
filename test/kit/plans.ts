import { escapeIdentifier, escapeLiteral } from "pg";
import type { Connection } from "../../src/store/database.ts";

/** One scan of a table as it ran. */
export interface Scan {
  table: string;
  /** The index that found the rows; null where the whole table was read. */
  index: string | null;
  /** How often the scan was started. */
  loops: number;
  /** Rows that were looked at in all loops: those that it gave and those that a condition sent away. */
  rows: number;
}

/** A statement as PostgreSQL ran it. */
export interface Plan {
  statement: string;
  /** Pages of 8 KB that were looked at, in memory or not: a measure that neither time nor neighbours change. */
  pages: number;
  scans: Scan[];
}

interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  Plans?: PlanNode[];
}

const explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)";
type Explained = { "QUERY PLAN": { Plan: PlanNode }[] };

/**
 * Lets read what `connection` reads, and writes down how PostgreSQL ran each statement: by the plan that it keeps, which
 * may be old. For a pool of one connection, and not for statements that write.
 */
export function watchPlans(connection: Connection): { connection: Connection; plans: Plan[] } {
  const plans: Plan[] = [];
  const explained = async (statement: string, ...values: unknown[]): Promise<unknown> => {
    const result = await connection.$queryRawUnsafe(statement, ...values);
    const [row] = await connection.$queryRawUnsafe<Explained[]>(
      `${explain} ${await execution(connection, statement, values)}`,
    );
    const root = row!["QUERY PLAN"][0]!.Plan;
    const pages = root["Shared Hit Blocks"] + root["Shared Read Blocks"];
    plans.push({ statement, pages, scans: scansOf(root, null) });
    return result;
  };
  const watched = new Proxy(connection, {
    get: (target, name) => (name === "$queryRawUnsafe" ? explained : (Reflect.get(target, name) as unknown)),
  });
  return { connection: watched, plans };
}

/** The execution of a statement that the connection has prepared already. */
async function execution(connection: Connection, statement: string, values: readonly unknown[]): Promise<string> {
  const [known] = await connection.$queryRawUnsafe<{ name: string; types: string[] }[]>(
    "SELECT name, parameter_types::text[] AS types FROM pg_prepared_statements WHERE statement = $1",
    statement,
  );
  if (known === undefined) throw new Error(`not prepared: ${statement}`);
  const literals = values.map((value, index) => `${literal(value)}::${known.types[index]!}`);
  return `EXECUTE ${escapeIdentifier(known.name)}${literals.length === 0 ? "" : `(${literals.join(", ")})`}`;
}

function literal(value: unknown): string {
  if (value === null) return "NULL";
  if (value instanceof Date) return escapeLiteral(value.toISOString());
  if (Array.isArray(value)) return `ARRAY[${value.map(literal).join(", ")}]`;
  return escapeLiteral(String(value as string | number | boolean));
}

/** Pages that all statements looked at together. */
export function pagesOf(plans: readonly Plan[]): number {
  return plans.reduce((sum, { pages }) => sum + pages, 0);
}

/** `table` is the one that a bitmap of several indexes is for, which its parts don't name. */
function scansOf(node: PlanNode, table: string | null): Scan[] {
  const named = node["Relation Name"] ?? null;
  const scans = (node.Plans ?? []).flatMap((part) => scansOf(part, named ?? table));
  const index = node["Index Name"] ?? null;
  // The heap's side of a bitmap scan: its indexes are its parts.
  if (node["Node Type"] === "Bitmap Heap Scan" || (named === null && index === null)) return scans;
  const loops = node["Actual Loops"];
  const each =
    node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  return [...scans, { table: named ?? table ?? "", index, loops, rows: Math.round(each * loops) }];
}
