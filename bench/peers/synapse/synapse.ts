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
import { fillSynapse } from "./fill.ts";
import { installSynapse } from "./install.ts";

const serverName = "localhost";
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
  const database = "synapse";
  const client = new pg.Client({ connectionString: postgres.url() });
  await client.connect();
  await client.query(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`);
  await client.end();
  const url = new URL(postgres.url(database));
  const storage: Storage = {
    kind: "postgres",
    host: url.searchParams.get("host")!,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
  return { storage, pid: postmasterOf(dataDir), stop: () => postgres.stop() };
}

async function start(name: string, plan: Plan, openStore: (dataDir: string) => Promise<Store>): Promise<Peer> {
  const python = await installSynapse();
  const dataDir = await temporaryDataDir();
  const store = await openStore(dataDir);
  const port = await freePort();
  const sharedSecret = randomBytes(32).toString("base64url");
  const config = writeConfig(dataDir, { port, serverName, sharedSecret, storage: store.storage });
  const child = spawn(python, ["-m", "synapse.app.homeserver", "-c", config], {
    cwd: dataDir,
    stdio: ["ignore", "ignore", "inherit"],
    // Out of the terminal's reach: on Ctrl-C it is told to stop once, by us, in its turn.
    detached: true,
  });
  const stop = async (): Promise<void> => {
    await endProcess(child, name);
    await store.stop();
  };
  onEnd(stop);
  const address = `http://127.0.0.1:${port}`;
  await answers(address, child);
  const { clients, rooms } = await fillSynapse(address, { plan, sharedSecret, name });
  const pid = child.pid!;
  return { name, clients, rooms, pid, postgresPid: store.pid, memory: () => memoryOf(pid), stop };
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
