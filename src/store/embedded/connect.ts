import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { EmbeddedPostgresError, errorCode, errorMessage } from "./errors.ts";
import { PORT } from "./layout.ts";

/** The database every embedded cluster has. */
export const DATABASE = "hearth";
/** The user that owns it, a superuser of its own cluster. */
export const USER = "hearth";

const POLL_MILLISECONDS = 10;
const CONNECT_TIMEOUT_MILLISECONDS = 5_000;

/** How to reach a server over its Unix socket. */
export interface Address {
  socketDirectory: string;
  password: string;
}

/**
 * A connection string that node-postgres, Prisma's adapter and Prisma's own
 * tools all read: the `host` parameter names the socket's directory and goes
 * before the host in the address, which is there because a URL must have one.
 * @param database name made of letters, digits, `_` and `-`.
 */
export function connectionString({ socketDirectory, password }: Address, database: string): string {
  const host = encodeURIComponent(socketDirectory);
  // Without sslmode a PGSSLMODE in the environment would ask the socket for TLS.
  return `postgresql://${USER}:${encodeURIComponent(password)}@localhost:${PORT}/${encodeURIComponent(database)}?host=${host}&sslmode=disable`;
}

/** Opens one connection, and makes no database. Rejects with node-postgres' error, the attempt closed. */
export async function connect(address: Address, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: connectionString(address, database),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MILLISECONDS,
  });
  // A connection that breaks between queries would otherwise end the process.
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

/** What came of one attempt to connect. */
export type Attempt = { client: pg.Client } | { notYet: string };

/**
 * Tries once to connect to the `hearth` database, creating it when missing.
 * `notYet` (with the reason) means the server is starting, stopping or absent.
 * @throws EmbeddedPostgresError when the server refuses our password.
 */
async function attemptConnection(address: Address): Promise<Attempt> {
  try {
    return { client: await connect(address, DATABASE) };
  } catch (error) {
    const code = errorCode(error);
    if (code === "3D000") {
      await createDatabase(address);
      return { client: await connect(address, DATABASE) };
    }
    if (code === "28P01" || code === "28000") {
      throw new EmbeddedPostgresError(
        `The embedded PostgreSQL refuses the password in the data directory's postgres.password (${errorMessage(error)}). ` +
          "Restore that file from the backup the database came from.",
      );
    }
    return { notYet: errorMessage(error) };
  }
}

async function createDatabase(address: Address): Promise<void> {
  const client = await connect(address, "postgres");
  try {
    await client.query(
      `CREATE DATABASE ${DATABASE} OWNER ${USER} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
  } finally {
    await client.end();
  }
}

/**
 * Tries to connect until it succeeds, the server is gone (undefined), or the
 * time is up.
 * @throws EmbeddedPostgresError on a refused password, or when the time is up.
 */
export async function connectWhenReady(options: {
  address: () => Address | undefined;
  isGone: () => boolean;
  milliseconds: number;
  describe: string;
}): Promise<pg.Client | undefined> {
  const deadline = Date.now() + options.milliseconds;
  let reason = "it has not opened its socket";
  while (!options.isGone()) {
    const address = options.address();
    if (address) {
      const attempt = await attemptConnection(address);
      if ("client" in attempt) return attempt.client;
      reason = attempt.notYet;
    }
    if (Date.now() >= deadline) {
      throw new EmbeddedPostgresError(`${options.describe} does not take connections (${reason}).`);
    }
    await delay(POLL_MILLISECONDS);
  }
  return undefined;
}

/** Whether any process at all listens on the socket in this directory. */
export function hasListener(socketDirectory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(join(socketDirectory, `.s.PGSQL.${PORT}`));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
