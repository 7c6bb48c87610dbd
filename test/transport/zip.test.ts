import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { zipOf } from "../../src/transport/zip.ts";
import { unzip } from "../kit/unzip.ts";
import { until } from "../kit/until.ts";

type File = { path: string; compress: boolean; read(): AsyncIterable<string | Uint8Array> };

/** Files that note what becomes of their reading. */
function watched(contents: AsyncIterable<string>[]) {
  const ended: string[] = [];
  async function* files(): AsyncGenerator<File> {
    try {
      for (const [number, content] of contents.entries()) {
        yield {
          ...{ path: `folder/${number}`, compress: number % 2 === 0 },
          async *read() {
            try {
              yield* content;
            } finally {
              ended.push(`file ${number}`);
            }
          },
        };
      }
    } finally {
      await Promise.resolve(ended.push("all"));
    }
  }
  return { ended, files: files() };
}

async function* texts(...pieces: string[]): AsyncGenerator<string> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}

async function* endless(): AsyncGenerator<string> {
  for (;;) yield await Promise.resolve("more and more ".repeat(1000));
}

test("files come out as they went in, one after the other", async () => {
  const { ended, files } = watched([texts("one", " and two"), texts("ä".repeat(100_000)), texts()]);
  const archive = unzip(await buffer(zipOf(files, new Date())));
  expect([...archive].map(([path, content]) => [path, content.toString()])).toEqual([
    ["folder/0", "one and two"],
    ["folder/1", "ä".repeat(100_000)],
    ["folder/2", ""],
  ]);
  expect(ended).toEqual(["file 0", "file 1", "file 2", "all"]);
});

test("who takes no more ends the reading", async () => {
  const { ended, files } = watched([texts("one"), endless(), texts("never")]);
  const archive = zipOf(files, new Date());
  let taken = 0;
  archive.on("data", (piece: Buffer) => {
    taken += piece.length;
    if (taken > 100_000) archive.destroy();
  });
  await until(() => ended.includes("all"));
  expect(ended).toEqual(["file 0", "file 1", "all"]);
});

test("what fails in reading destroys the archive", async () => {
  async function* failing(): AsyncGenerator<string> {
    yield await Promise.resolve("a little");
    throw new Error("gone");
  }
  const { ended, files } = watched([failing(), texts("never")]);
  await expect(buffer(zipOf(files, new Date()))).rejects.toThrow("gone");
  await until(() => ended.includes("all"));
  expect(ended).toEqual(["file 0", "all"]);
});
