import { createHash } from "node:crypto";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { PrismaClient, type Prisma } from "../../generated/prisma/client.ts";

/** Prisma's client or a transaction of it: the first argument of every function of the store. */
export type Connection = Prisma.TransactionClient;

export interface Database {
  url: string;
  /** For reading, and for writing whatever takes no stream position. */
  reader: PrismaClient;
  /** One connection of its own for the writer, with time limits that keep a stalled holder from stopping everybody. */
  writer: PrismaClient;
  /** Statements that were sent since the start; stays 0 unless they are counted. */
  statements(): number;
  /** How its connections are used now. */
  pools(): PoolUse[];
  close(): Promise<void>;
}

/** The connections of one pool. */
export interface PoolUse {
  pool: "reader" | "writer";
  max: number;
  busy: number;
  idle: number;
  /** Statements and transactions that wait for a connection. */
  waiting: number;
}

export interface DatabaseOptions {
  /** Connections of the reading pool; 10 unless given. */
  readers?: number;
  /** Milliseconds after which a statement of a reader that isn't answered is given up, with its connection; 120 s unless given. */
  patienceMs?: number;
  /** Count the statements for which it says so, which costs a little for each. */
  countStatements?: (text: string) => boolean;
}

/**
 * A paused or dead holder of the append lock is cut off by the database after this long. Who only waits for the lock
 * meets the limit of its statement first, which tells it that nothing was stored; the others end the connection.
 */
const writerLimits = { idle_in_transaction_session_timeout: "2s", statement_timeout: "10s" };
/**
 * Every hot statement looks things up by index, in the index's order, so that these ways of reading never pay, but PostgreSQL
 * takes them where its figures say that a table is small: in a new database, whose tables were empty when the plan was
 * made that it keeps. `jit` is for the costs of tables that have no index to read by: old versions express the preference
 * by such. Plans are kept at once, for whatever values come: planning a page anew takes longer than reading it.
 */
const plannerSettings = {
  ...{ enable_seqscan: "off", enable_bitmapscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" },
  ...{ enable_sort: "off", jit: "off", plan_cache_mode: "force_generic_plan" },
};
/** Longer than all of the server's own limits: then nobody is there who would tell. */
const writerPatienceMs = 20_000;
/** The third limit came with PostgreSQL 17; servers that are older do without it. */
const transactionLimit = "SELECT set_config(name, '15s', false) FROM pg_settings WHERE name = 'transaction_timeout'";

/** All connections of a process that reads by so many: one each for writing and for listening come with them. */
export function connectionsOf(readers: number): number {
  return readers + 2;
}

/** Opens the two pools; connects on first use. `url` is a PostgreSQL connection string, PostgreSQL 15 or later. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  let sent = 0;
  const { countStatements: counts } = options;
  const onStatement = counts === undefined ? null : (text: string) => void (sent += counts(text) ? 1 : 0);
  const readerOptions = serverOptions(plannerSettings);
  // A network that swallows everything, or a machine that stands still, answers nothing at all.
  const { patienceMs = 120_000 } = options;
  const common = { connectionString: url, connectionTimeoutMillis: 10_000, keepAlive: true };
  const max = options.readers ?? 10;
  const readers = new pg.Pool({ ...common, max, query_timeout: patienceMs, options: readerOptions });
  const reader = client(readers, onStatement);
  const writerOptions = serverOptions({ ...plannerSettings, ...writerLimits });
  // The pool waits for the promise, whatever its types say.
  const onConnect = ((connected) => connected.query(transactionLimit)) as NonNullable<pg.PoolConfig["onConnect"]>;
  const writing = { ...common, max: 1, query_timeout: writerPatienceMs };
  const writers = new pg.Pool({ ...writing, options: writerOptions, onConnect });
  const writer = client(writers, onStatement);
  return {
    url,
    reader,
    writer,
    statements: () => sent,
    pools: () => [useOf("reader", readers), useOf("writer", writers)],
    async close() {
      await Promise.all([reader.$disconnect(), writer.$disconnect()]);
    },
  };
}

function useOf(pool: PoolUse["pool"], { options, totalCount, idleCount, waitingCount }: pg.Pool): PoolUse {
  return { pool, max: options.max, busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
}

function serverOptions(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}

/** Statements that a connection remembers; the texts of one that go beyond are planned anew each time. */
const maxPrepared = 500;

/**
 * Names statements by their text, so that PostgreSQL parses and plans each only once per connection: up to a bound, since
 * filters make many texts.
 */
function statementNames(): (statement: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    // The empty name is that of the one statement which isn't remembered.
    if (names.size >= maxPrepared) return "";
    const name = `hearth_${createHash("sha256").update(sql).digest("base64url").slice(0, 22)}`;
    names.set(sql, name);
    return name;
  };
}

/** The client ends the pool when it disconnects, and hears of what breaks its idle connections from its first statement on. */
function client(pool: pg.Pool, onStatement: ((text: string) => void) | null): PrismaClient {
  const options = { statementNameGenerator: statementNames(), disposeExternalPool: true };
  const adapter = new PrismaPg(pool, options);
  if (onStatement === null) return new PrismaClient({ adapter });
  const counted = new PrismaClient({ adapter, log: [{ emit: "event", level: "query" }] });
  counted.$on("query", ({ query }) => onStatement(query));
  return counted;
}

/**
 * SQL that says whether a row is there that a query of one row or none finds. EXISTS lets PostgreSQL read the whole table
 * into memory first, where it believes that the outer rows are many and the table small.
 */
export function isFound(select: string): string {
  return `(SELECT true ${select} LIMIT 1) IS NOT NULL`;
}

/** Runs a parametrised statement and gives its rows. The text must hold no values. */
export function query<Row>(connection: Connection, text: string, ...values: unknown[]): Promise<Row[]> {
  return connection.$queryRawUnsafe<Row[]>(text, ...values);
}
