import { once } from "node:events";
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDataDir } from "../data.ts";
import type { Options } from "../options.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { program } from "../../scripts/program.ts";
import { startServer, type Server } from "../server.ts";
import { Client } from "../../test/kit/client.ts";

const megabyte = 2 ** 20;
const size = 100 * megabyte;

/** One file of 100 MB up and down, several times: how fast, and how much memory the server takes for it. */
export async function media(options: Options): Promise<Report> {
  const settings = { HEARTH_MEDIA_MAX_BYTES: String(size), HEARTH_MEDIA_QUOTA_BYTES: "0" };
  const server = await startServer(await temporaryDataDir(), options, settings);
  const client = await Client.register(server.address, "alice");
  // Whatever is loaded when it is first needed, is now.
  await download(client, await upload(client, megabyte, 0));
  const rows: Row[] = [];
  let uri = "";
  for (let round = 1; round <= (options.rounds ?? 3); round++) {
    progress(`round ${round}`);
    const what = async (name: string, work: () => Promise<unknown>) =>
      void rows.push({ round, what: name, ...(await measured(server, work)) });
    await what("upload", async () => (uri = await upload(client, size, round)));
    await what("download", () => download(client, uri));
    await what("four downloads", () => Promise.all([0, 1, 2, 3].map(() => download(client, uri))));
  }
  await server.stop();
  return { server: program().from, rows };
}

/** Looks at the server's memory while something goes on. */
async function measured(server: Server, work: () => Promise<unknown>): Promise<Row> {
  await delay(1000);
  const before = server.memory().now;
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, server.memory().now)), 5);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  return { seconds: rounded(seconds), "RSS before MB": before, "RSS growth MB": peak - before };
}

/** Sends bytes that no other round sent, a piece at a time. */
async function upload({ address, token }: Client, bytes: number, round: number): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, "content-length": bytes };
  const sending = request(`${address}/_matrix/media/v3/upload`, { method: "POST", headers });
  const piece = Buffer.alloc(64 * 1024, round);
  for (let sent = 0; sent < bytes; sent += piece.length) if (!sending.write(piece)) await once(sending, "drain");
  sending.end();
  const [response] = (await once(sending, "response")) as [AsyncIterable<Buffer>];
  const pieces: Buffer[] = [];
  for await (const each of response) pieces.push(each);
  return (JSON.parse(Buffer.concat(pieces).toString()) as { content_uri: string }).content_uri;
}

/** Reads it all, and keeps nothing. */
async function download({ address }: Client, uri: string): Promise<void> {
  const response = await fetch(`${address}/_matrix/media/v3/download/${uri.slice(6)}`);
  for await (const piece of response.body!) if (piece.length === 0) throw new Error("nothing came");
}
