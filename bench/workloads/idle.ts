import { setTimeout as delay } from "node:timers/promises";
import { temporaryDataDir } from "../data.ts";
import { HttpClient } from "../http.ts";
import type { Options } from "../options.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";

/** A server that has nothing to do: how long it takes to answer first, and how much memory it holds. */
export async function idle(options: Options): Promise<Report> {
  const dataDir = await temporaryDataDir();
  const rows: Row[] = [];
  for (const start of ["first", "second"]) {
    progress(`${start} start, then ${options.seconds} s of rest`);
    const { server, milliseconds } = await timedStart(dataDir);
    await delay(options.seconds * 1000);
    rows.push({ start, "first answer ms": rounded(milliseconds), "node RSS MB": server.memory().now });
    await server.stop();
  }
  return { server: program().from, rows };
}

/** From spawning the process to the first answer of its API. */
async function timedStart(dataDir: string): Promise<{ server: Server; milliseconds: number }> {
  const started = performance.now();
  const server = await startServer(dataDir);
  const client = new HttpClient(server.address, null);
  await client.post(JSON.stringify({ query: "{ server { name } }" }));
  const milliseconds = performance.now() - started;
  client.close();
  return { server, milliseconds };
}
