import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { startEmbeddedPostgres } from "../../../src/store/embedded/embedded.ts";
import { onEnd } from "../../cleanup.ts";
import { temporaryDataDir } from "../../data.ts";
import { endProcess } from "../../processes.ts";
import { postmasterOf } from "../../server.ts";
import { memoryOf } from "../../usage.ts";
import type { Peer, PeerKind, Plan } from "../peer.ts";
import { writeConfig, type Storage } from "./config.ts";
import { synapseClient } from "./client.ts";
import { fillSynapse } from "./fill.ts";
import { installSynapse } from "./install.ts";
import { KeptServer } from "./kept.ts";

const serverName = "localhost";
const database = "synapse";
const startMs = 60_000;

interface Store {
  storage: Storage;
  /** Of its PostgreSQL, if it has one. */
  pid: number | null;
  stop(): Promise<void>;
}

/** Synapse on SQLite, as it is when nothing else is set. */
export const synapseOnSqlite: PeerKind = {
  name: "Synapse, SQLite",
  start: (plan) => start("Synapse, SQLite", plan, () => Promise.resolve(sqlite)),
};

/** Synapse on the same PostgreSQL, with the same settings, as hearth. */
export const synapseOnPostgres: PeerKind = {
  name: "Synapse, PostgreSQL",
  start: (plan) => start("Synapse, PostgreSQL", plan, startPostgres),
};

const sqlite: Store = { storage: { kind: "sqlite" }, pid: null, stop: () => Promise.resolve() };

async function startPostgres(dataDir: string): Promise<Store> {
  const postgres = await startEmbeddedPostgres({ dataDir });
  onEnd(() => postgres.stop());
  const url = new URL(postgres.url(database));
  await makeDatabase(postgres.url());
  const storage: Storage = {
    kind: "postgres",
    host: url.searchParams.get("host")!,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
  return {
    storage,
    pid: postmasterOf(dataDir),
    async stop() {
      // What hearth's data gets, too: PostgreSQL knows what was filled in when the server starts on it.
      await withClient(postgres.url(database), (client) => client.query("VACUUM ANALYZE"));
      await postgres.stop();
    },
  };
}

/** Unless it is there already. */
function makeDatabase(url: string): Promise<void> {
  return withClient(url, async (client) => {
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [database]);
    if (rowCount !== 0) return;
    await client.query(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`);
  });
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function start(name: string, plan: Plan, openStore: (dataDir: string) => Promise<Store>): Promise<Peer> {
  const python = await installSynapse();
  const dataDir = await temporaryDataDir();
  const kept = new KeptServer(name, plan);
  let filled = await kept.restore(dataDir);
  if (filled === null) {
    const sharedSecret = randomBytes(32).toString("base64url");
    const filling = await run({ name, python, dataDir, sharedSecret, openStore });
    filled = await fillSynapse(filling.address, { plan, sharedSecret, name });
    await filling.stop();
    await kept.keep(dataDir, filled);
  }
  // A process of its own for what is measured, as hearth has it.
  const { address, pid, store, stop } = await run({
    name,
    python,
    dataDir,
    sharedSecret: filled.sharedSecret,
    openStore,
  });
  return {
    name,
    clients: filled.users.map(({ userId, accessToken }) => synapseClient(address, userId, accessToken)),
    rooms: filled.rooms,
    pid,
    postgresPid: store.pid,
    memory: () => memoryOf(pid),
    stop,
  };
}

interface Running {
  address: string;
  pid: number;
  store: Store;
  stop(): Promise<void>;
}

async function run(given: {
  name: string;
  python: string;
  dataDir: string;
  sharedSecret: string;
  openStore(dataDir: string): Promise<Store>;
}): Promise<Running> {
  const { name, python, dataDir, sharedSecret } = given;
  const store = await given.openStore(dataDir);
  const port = await freePort();
  const config = writeConfig(dataDir, { port, serverName, sharedSecret, storage: store.storage });
  const child = spawn(python, ["-m", "synapse.app.homeserver", "-c", config], {
    cwd: dataDir,
    stdio: ["ignore", "ignore", "inherit"],
    // Out of the terminal's reach: on Ctrl-C it is told to stop once, by us, in its turn.
    detached: true,
  });
  let stopped: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    await endProcess(child, name);
    await store.stop();
  };
  const stop = (): Promise<void> => (stopped ??= end());
  onEnd(stop);
  const address = `http://127.0.0.1:${port}`;
  await answers(address, child);
  return { address, pid: child.pid!, store, stop };
}

/** A port that nothing listens on: Synapse doesn't tell which one it took of its own choice. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function answers(address: string, child: ChildProcess): Promise<void> {
  let ended: string | null = null;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code, signal) => (ended = `it ended with ${signal ?? code}`));
  for (const deadline = performance.now() + startMs; performance.now() < deadline; await delay(100)) {
    if (ended !== null) throw new Error(`Synapse doesn't start: ${ended}`);
    const response = await fetch(`${address}/_matrix/client/versions`).catch(() => null);
    if (response?.ok) return;
  }
  throw new Error("Synapse doesn't answer");
}
