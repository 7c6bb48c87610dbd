import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createApp } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { createRoom } from "../src/domain/actions/createRoom.ts";
import { joinRoom } from "../src/domain/actions/joinRoom.ts";
import type { Domain } from "../src/domain/domain.ts";
import type { Log } from "../src/model/ports.ts";
import type { Requester } from "../src/model/requester.ts";
import { openDatabase, query, type Connection } from "../src/store/database.ts";
import { startEmbeddedPostgres } from "../src/store/embedded/embedded.ts";
import { migrate } from "../src/store/migrate.ts";
import { randomIds, systemClock } from "../src/system.ts";
import { onEnd } from "./cleanup.ts";
import { postmasterOf } from "./server.ts";

const migrations = resolve(fileURLToPath(import.meta.url), "../../prisma/migrations");

export interface BenchUser {
  requester: Requester;
  /** As for the header: `Bearer …` */
  authorization: string;
}

/** The domain on a database, in this process, without a server. */
export interface Workshop {
  domain: Domain;
  connection: Connection;
  postgresPid: number;
}

/** A temporary data directory, deleted at the end. */
export async function temporaryDataDir(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "hearth-bench-"));
  // Under root PostgreSQL runs as another user, who must get through to the data.
  await chmod(directory, 0o711);
  onEnd(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs work on a data directory's database, durable as a server's, and leaves the directory free for a server. */
export async function withDomain<Result>(
  dataDir: string,
  work: (workshop: Workshop) => Promise<Result>,
): Promise<Result> {
  const postgres = await startEmbeddedPostgres({ dataDir });
  onEnd(() => postgres.stop());
  try {
    await migrate(postgres.url(), migrations);
    const database = openDatabase(postgres.url());
    const config = readConfig({ HEARTH_DATA_DIR: dataDir, HEARTH_RATE_LIMIT: "off" }, null);
    const app = await createApp({
      config,
      database,
      clock: systemClock,
      ids: randomIds,
      fetch,
      publicFetch: fetch,
      log,
    });
    try {
      return await work({ domain: app.domain, connection: database.reader, postgresPid: postmasterOf(dataDir) ?? 0 });
    } finally {
      await app.close();
      await database.close();
    }
  } finally {
    await postgres.stop();
  }
}

const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => void process.stderr.write(`warning: ${message} ${describe(fields)}\n`),
  error: (fields, message) => void process.stderr.write(`error: ${message} ${describe(fields)}\n`),
};

function describe(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}

/**
 * Makes accounts with a device and an access token each, straight in the store: hashing passwords would take minutes.
 * They have no password, or all of them the one whose hash is given.
 */
export async function addUsers(
  { domain, connection }: Workshop,
  count: number,
  passwordHash: string | null = null,
): Promise<BenchUser[]> {
  const made = Array.from({ length: count }, (_, index) => {
    const accessToken = `hearth_${randomBytes(32).toString("base64url")}`;
    return {
      userId: `@user${index}:${domain.server.name}`,
      deviceId: "bench",
      tokenId: randomIds.opaque(),
      accessToken,
    };
  });
  const userIds = made.map(({ userId }) => userId);
  const hashes = made.map(({ accessToken }) => createHash("sha256").update(accessToken).digest("hex"));
  await query(
    connection,
    "INSERT INTO account (user_id, password_hash) SELECT unnest($1::text[]), $2::text",
    userIds,
    passwordHash,
  );
  await query(connection, "INSERT INTO device (user_id, device_id) SELECT unnest($1::text[]), 'bench'", userIds);
  await query(
    connection,
    `INSERT INTO access_token (id, secret_hash, user_id, device_id)
     SELECT id, decode(hash, 'hex'), user_id, 'bench'
     FROM unnest($1::text[], $2::text[], $3::text[]) AS made(id, hash, user_id)`,
    made.map(({ tokenId }) => tokenId),
    hashes,
    userIds,
  );
  return made.map(({ accessToken, ...who }) => ({
    requester: { ...who, admin: false },
    authorization: `Bearer ${accessToken}`,
  }));
}

/** Makes a public room that all these users are in; the first creates it. */
export async function addRoom({ domain }: Workshop, users: readonly BenchUser[]): Promise<string> {
  const [creator, ...others] = users;
  const { roomId } = await createRoom(domain.tools, creator!.requester, { joinRule: "PUBLIC", name: "Bench" });
  // One after the other, since each join moves the room's version and would make the others start anew.
  for (const { requester } of others) await joinRoom(domain.tools, requester, { target: { roomId } });
  return roomId;
}
