import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createThumbnails } from "../../src/domain/media/thumbnails.ts";
import type { Blobs } from "../../src/store/media/blobs.ts";
import type { StoredMedia } from "../../src/store/media/rows.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { bytesOf, filesIn, pathOf, sha256, upload } from "../kit/media.ts";
import { hollowPng, picture } from "../kit/pictures.ts";

let server: TestApp;
let alice: Client;

beforeAll(async () => {
  server = await startApp({ mirrors: false });
  alice = await server.user("alice");
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

function thumbnail(mxc: string, query: string): Promise<Response> {
  return fetch(`${server.address}/_matrix/media/v3/thumbnail/${pathOf(mxc)}?${query}`);
}

async function made(mxc: string, query: string): Promise<[string | undefined, number, number]> {
  const response = await thumbnail(mxc, query);
  expect(response.status).toBe(200);
  const { format, width, height } = await sharp(await bytesOf(response)).metadata();
  expect(response.headers.get("content-type")).toBe(`image/${format}`);
  return [format, width, height];
}

const thumbnailsOf = async (bytes: Buffer) =>
  (await filesIn(server.dataDir, "thumbnails")).filter((path) => path.includes(sha256(bytes)));

describe("[AS-14] a thumbnail", () => {
  test.each(["png", "jpeg", "webp", "gif", "avif"] as const)("is made of %s, cut or scaled", async (format) => {
    // The claim decides nothing.
    const mxc = await upload(alice, await picture(format), { type: "text/plain" });
    expect((await made(mxc, "width=300&height=300&method=scale")).slice(1)).toEqual([320, 160]);
    expect((await made(mxc, "width=96&height=96&method=crop")).slice(1)).toEqual([96, 96]);
    expect((await made(mxc, "width=20&height=90")).slice(1)).toEqual([32, 16]);
  });

  test("is never larger than its image, nor than the largest size", async () => {
    const small = await upload(alice, await picture("png", { width: 50, height: 40 }));
    expect((await made(small, "width=800&height=800")).slice(1)).toEqual([50, 40]);
    expect((await made(small, "width=96&height=32&method=crop")).slice(1)).toEqual([50, 32]);
    const large = await upload(alice, await picture("jpeg", { width: 3000, height: 3000 }));
    expect((await made(large, "width=99999&height=5000")).slice(1)).toEqual([800, 800]);
  });

  test("keeps what is transparent, stands upright and tells nothing of the camera", async () => {
    const mxc = await upload(alice, await picture("png", { alpha: 0.5 }));
    expect((await made(mxc, "width=96&height=96"))[0]).toBe("webp");
    const turned = await sharp({ create: { width: 200, height: 100, channels: 3, background: "red" } })
      .withMetadata({ orientation: 6 })
      .withExif({ IFD0: { Copyright: "somebody" } })
      .jpeg()
      .toBuffer();
    const photo = await upload(alice, turned);
    expect(await made(photo, "width=320&height=320")).toEqual(["jpeg", 100, 200]);
    const bytes = await bytesOf(await thumbnail(photo, "width=320&height=320"));
    expect((await sharp(bytes).metadata()).exif).toBeUndefined();
  });

  test("of an animation shows the first picture", async () => {
    const frames = await Promise.all(
      ["red", "blue"].map((background) =>
        sharp({ create: { width: 64, height: 64, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    expect((await sharp(gif).metadata()).pages).toBe(2);
    const shown = await bytesOf(await thumbnail(await upload(alice, gif), "width=32&height=32"));
    const { pages, height } = await sharp(shown).metadata();
    expect([pages ?? 1, height]).toEqual([1, 32]);
    const { dominant } = await sharp(shown).stats();
    expect(dominant.r).toBeGreaterThan(dominant.b);
  });

  test("is made once for all sizes that come to the same, also when all want it at once", async () => {
    const bytes = await picture("jpeg", { width: 1200, height: 900 });
    const mxc = await upload(alice, bytes);
    const sizes = Array.from({ length: 60 }, (_, n) => `width=${100 + n}&height=${300 - n}&method=crop`);
    const answers = await Promise.all(sizes.map((query) => thumbnail(mxc, query)));
    const all = await Promise.all(answers.map(async (answer) => sha256(await bytesOf(answer))));
    expect(new Set(all).size).toBe(1);
    expect(await thumbnailsOf(bytes)).toHaveLength(1);
    const etag = answers[0]!.headers.get("etag")!;
    const again = await fetch(answers[0]!.url, { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    // They are derived: who deletes them loses nothing.
    await rm(join(server.dataDir, "media", "thumbnails"), { recursive: true });
    expect(sha256(await bytesOf(await thumbnail(mxc, sizes[0]!)))).toBe(all[0]);
  });

  test("goes with its file", async () => {
    const bytes = await picture("png", { width: 123, height: 45 });
    const mxc = await upload(alice, bytes);
    await made(mxc, "width=32&height=32");
    expect(await thumbnailsOf(bytes)).toHaveLength(1);
    await server.app.domain.media.delete({ ...alice, admin: false, tokenId: "" } as never, { mxc });
    expect(await thumbnailsOf(bytes)).toEqual([]);
    expect((await thumbnail(mxc, "width=32&height=32")).status).toBe(404);
  });

  test("needs a token where the current API wants one, and a size", async () => {
    const mxc = await upload(alice, await picture("png"));
    const current = `${server.address}/_matrix/client/v1/media/thumbnail/${pathOf(mxc)}?width=32&height=32`;
    expect((await fetch(current)).status).toBe(401);
    const headers = { authorization: `Bearer ${alice.token}` };
    expect((await fetch(current, { headers })).status).toBe(200);
    for (const query of ["", "width=32", "width=0&height=1", "width=a&height=1", "width=1&height=1&method=stretch"]) {
      const refused = await thumbnail(mxc, query);
      expect([refused.status, await refused.json()]).toMatchObject([400, { errcode: "M_INVALID_PARAM" }]);
    }
  });
});

describe("[AS-14] no thumbnail is made, and nothing kept, of", () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>';
  const gifHeader = Buffer.from("GIF89a\xff\xff\xff\xff\xf0\x00\x00", "latin1");
  const bad: [string, number, string, () => Promise<Buffer> | Buffer][] = [
    ["a PNG of 50,000 × 50,000 pixels", 413, "image/png", () => hollowPng(50_000, 50_000)],
    ["a PNG whose data never ends", 400, "image/png", () => hollowPng(4000, 4000, bomb().subarray(0, 1000))],
    ["a GIF of 65,535 × 65,535 pixels", 400, "image/gif", () => gifHeader],
    [
      "a WebP of more pixels than there may be",
      413,
      "image/webp",
      () => picture("webp", { width: 8192, height: 8192 }),
    ],
    ["a JPEG cut off", 400, "image/jpeg", async () => (await noise("jpeg")).subarray(0, 20_000)],
    ["a WebP cut off", 400, "image/webp", async () => (await noise("webp")).subarray(0, 5000)],
    ["a PNG cut off", 400, "image/png", async () => (await noise("png")).subarray(0, 20_000)],
    ["SVG", 400, "image/svg+xml", () => Buffer.from(svg)],
    ["SVG that says it is a PNG", 400, "image/png", () => Buffer.from(svg)],
    ["SVG behind a PNG's signature", 400, "image/png", () => Buffer.from(`\x89PNG\r\n\x1a\n${svg}`, "latin1")],
    ["PDF", 400, "application/pdf", () => Buffer.from("%PDF-1.4\n")],
    ["text that says it is an image", 400, "image/png", () => Buffer.from("just text")],
    ["nothing", 400, "image/png", () => Buffer.alloc(0)],
    [
      "TIFF",
      400,
      "image/tiff",
      async () =>
        sharp(await picture("png"))
          .tiff()
          .toBuffer(),
    ],
  ];

  function bomb(): Buffer {
    return deflateSync(Buffer.alloc(50_000_000));
  }

  function noise(format: "jpeg" | "png" | "webp"): Promise<Buffer> {
    const gaussian = { type: "gaussian" as const, mean: 128, sigma: 60 };
    const create = { width: 400, height: 400, channels: 3 as const, background: "white", noise: gaussian };
    return sharp({ create }).toFormat(format).toBuffer();
  }

  test.each(bad)("%s", async (_what, status, type, bytes) => {
    const file = await bytes();
    const mxc = await upload(alice, file, { type });
    const before = process.memoryUsage().rss;
    for (let n = 0; n < 2; n++) {
      const answer = await thumbnail(mxc, "width=96&height=96");
      const errcode = status === 413 ? "M_TOO_LARGE" : "M_UNKNOWN";
      expect([answer.status, await answer.json()]).toMatchObject([status, { errcode }]);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    expect(await thumbnailsOf(file)).toEqual([]);
    expect(await filesIn(server.dataDir, "spool")).toEqual([]);
    expect((await fetch(`${server.address}/_matrix/media/v3/download/${pathOf(mxc)}`)).status).toBe(200);
  });
});

describe("[AS-14] of bytes that have to be fetched", () => {
  beforeAll(() => mkdir(server.dataDir, { recursive: true }));

  const derived = {
    find: () => Promise.resolve(null),
    put: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    async *hashes() {},
  };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const size = { width: 32, height: 32, method: "scale" } as const;
  const named = (sha256: string) => ({ sha256, place: sha256 }) as StoredMedia;
  /** Thumbnails of what `local` fetches. */
  const thumbnailsBy = (local: Blobs["local"]) =>
    createThumbnails({ connection: server.database.reader, blobs: { local } as Blobs, derived, log });

  test("no more lie around than are worked on", async () => {
    const path = join(server.dataDir, "fetched.png");
    await writeFile(path, await picture("png"));
    let [fetched, most] = [0, 0];
    const thumbnails = thumbnailsBy(() => {
      most = Math.max(most, ++fetched);
      return Promise.resolve({ path, release: () => Promise.resolve(void fetched--) });
    });
    await Promise.all(Array.from({ length: 20 }, (_, n) => thumbnails.of(named(sha256(Buffer.of(n))), size)));
    expect([fetched, most]).toEqual([0, 2]);
  });

  test("those that are deleted meanwhile aren't there, which isn't held against the next ones", async () => {
    const path = join(server.dataDir, "deleted.png");
    await rm(path, { force: true });
    const thumbnails = thumbnailsBy(() => Promise.resolve({ path, release: () => Promise.resolve() }));
    const media = named(sha256(Buffer.from("deleted")));
    await expect(thumbnails.of(media, size)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await writeFile(path, await picture("png"));
    expect(await thumbnails.of(media, size)).toMatchObject({ contentType: "image/jpeg" });
  });
});
