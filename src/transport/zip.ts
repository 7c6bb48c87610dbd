import { Readable } from "node:stream";
import { ZipFile } from "yazl";

/** A file to be put into an archive, whose content is read when it is its turn. */
interface ZippedFile {
  path: string;
  /** False for what takes no less room when it is compressed. */
  compress: boolean;
  read(): AsyncIterable<string | Uint8Array>;
}

/**
 * A ZIP archive of files, as a stream: nothing is read faster than it is taken. Destroying it ends the reading; what fails in
 * reading destroys it. `mtime` is the time of all files.
 */
export function zipOf(files: AsyncGenerator<ZippedFile>, mtime: Date): Readable {
  const zip = new ZipFile();
  const archive = zip.outputStream as Readable;
  const fail = (error: unknown): void => void archive.destroy(error as Error);
  zip.on("error", fail);
  let source: Readable | null = null;
  archive.once("close", () => source?.destroy());

  async function add(): Promise<void> {
    // Leaving the loop ends the generator, whether something fails or nobody takes the rest.
    for await (const { path, compress, read } of files) {
      if (archive.destroyed) return;
      const reading = Readable.from(read(), { objectMode: false });
      source = reading;
      await new Promise<void>((resolve, reject) => {
        reading.once("close", resolve).once("error", reject);
        zip.addReadStream(reading, path, { mtime, mode: 0o100600, compress });
      });
      if (archive.destroyed) return;
    }
    zip.end();
  }

  add().catch(fail);
  return archive;
}
